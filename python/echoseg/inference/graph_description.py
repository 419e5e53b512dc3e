"""What an exported graph says about itself: how its input is made, and what its outputs mean."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from echoseg.datasets.structure import LEFT_VENTRICLE
from echoseg.geometry.landmarks import SCHEMES
from echoseg.geometry.spline import PER_SEGMENT
from echoseg.inference.predictor import EF_INTERVALS
from echoseg.metrics.conformal import EF_BANDS, LEVEL, load_ef_intervals
from echoseg.training.checkpoint import BEST
from echoseg.training.config import Config
from echoseg.utils.files import hash_file

_CURVES = {
    "cubic": "a cubic spline with uniform parameters",
    "catmull_rom": "a centripetal Catmull-Rom spline",
    "polygon": "straight lines",
}


def describe_graph(run: Path, config: Config) -> dict[str, str]:
    """Describe the graph of a run.

    Args:
        run: The run folder.
        config: The settings of the run.

    Returns:
        The metadata of the graph by name:

        - `echoseg`, the version; `approach`; `structure`; `weights_sha256`, of the run's `model.safetensors`.
        - `input`, how frames are passed; `input_size`, height and width in pixels; `input_range`, the smallest and the
          largest grey value; `fov_mm`, the side of the square that frames are cropped to, or "".
        - `coordinates` and `confidence`, sentences.
        - `scheme`; `landmarks`, JSON, the names in their order; `outline`, how the landmarks are joined. Landmark
          approach only.
        - `ef_intervals`, JSON: the 90 % interval of an EF in percent that is computed from two frames reaches from
          EF + `low` to EF + `high`, of the band of EF; `limits` are those between the bands. Only if they are known.

    Raises:
        DataError: A file of the run is damaged.
    """
    height, width = config.size
    metadata = {
        "echoseg": version("echoseg"),
        "approach": config.approach,
        "structure": config.structure or LEFT_VENTRICLE,
        "weights_sha256": hash_file(run / BEST),
        "input": "frames: (N, H, W) uint8, grey values, each frame resized to H x W",
        "input_size": f"{height} {width}",
        "input_range": "0 255",
        "fov_mm": f"{config.fov_mm or ''}",
        "coordinates": "(x, y) in pixels of the input, x to the right, y down; an integer is the centre of a pixel",
    }
    if config.approach == "mask":
        metadata["confidence"] = "confidence: (N,), the largest probability of each frame"
    else:
        metadata |= _describe_landmarks(config.scheme or "arc", config.landmarks, config.outline)
        side = 4 * config.sigma
        metadata["confidence"] = (
            f"confidence: (N, K), the share of each heatmap within a square of {side:g} pixels about its landmark"
        )
    if (run / EF_INTERVALS).exists():
        plain = asdict(load_ef_intervals(run / EF_INTERVALS).plain)
        metadata["ef_intervals"] = json.dumps({"level": LEVEL, "limits": EF_BANDS, **plain})
    return metadata


def _describe_landmarks(scheme: str, count: int, outline: str) -> dict[str, str]:
    straight = SCHEMES[scheme].straight(count)
    rule = f"{outline}: {_CURVES[outline]} through the landmarks in their order, closed"
    if straight is not None:
        rule += f"; straight from landmark {straight} to {straight + 1}, where the spline ends"
    return {
        "scheme": scheme,
        "landmarks": json.dumps(SCHEMES[scheme].names(count)),
        "outline": f"{rule}; echoseg draws {PER_SEGMENT} points from each landmark to the next",
    }
