"""Prediction of traced frames with the frames before and after them, for post-processing over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from tqdm import tqdm

from echoseg.datasets.recording import Recording
from echoseg.errors import DataError
from echoseg.geometry.crop import Box, Crop, fov_box
from echoseg.inference.postprocess import parse_step, postprocess
from echoseg.inference.predictor import Prediction, Predictor
from echoseg.io.reading import decode_clip
from echoseg.utils.parallel import map_in_order

_RADIUS_IN_SIGMA = 3  # of the Gaussian filter
_TRACK_RADIUS = 30  # frames; those further away have next to no influence


def temporal_radius(steps: Sequence[str]) -> int:
    """The number of frames before and after a traced frame that post-processing steps use."""
    radius = 0
    for step in steps:
        if step == "track":
            radius += _TRACK_RADIUS
        elif step.partition("=")[0] == "smooth":
            radius += math.ceil(_RADIUS_IN_SIGMA * parse_step(step)[1])
    return radius


def predict_traced(
    predictor: Predictor, recordings: Mapping[str, Recording], samples: pd.DataFrame, steps: Sequence[str]
) -> Prediction:
    """Predict traced frames at the network's size, with post-processing steps that use neighbouring frames.

    Args:
        predictor: The predictor.
        recordings: The recordings by name of the video.
        samples: N rows of a store's table, with the columns video and frame.
        steps: Post-processing steps; see `echoseg.inference.postprocess`.

    Returns:
        The prediction for N images, in the order of the samples. Neighbouring frames that cannot be decoded are left
        out.

    Raises:
        DataError: A video cannot be opened, or one of its traced frames cannot be decoded.
    """
    config = predictor.config
    groups = [(recordings[str(name)], rows) for name, rows in samples.reset_index(drop=True).groupby("video")]

    def decode(group: tuple[Recording, pd.DataFrame]) -> tuple[np.ndarray, list[int], int]:
        recording, rows = group
        radius = 0 if math.isfinite(recording.thickness) else temporal_radius(steps)  # slices have no temporal order
        requested = {t for frame in rows["frame"] for t in range(max(0, frame - radius), frame + radius + 1)}
        decoded = decode_clip(recording.path, sorted(requested)).frames
        if missing := set(rows["frame"]) - set(decoded):
            raise DataError(f"{recording.path}: frame {min(missing)} cannot be read; replace the file")
        frames = np.stack(list(decoded.values()))
        box = fov_box(Box(0, 0, *frames.shape[1:]), recording.spacing, config.fov_mm)
        return Crop(box, config.size).frames(frames), list(decoded), radius

    parts: list[Prediction] = []
    indices: list[int] = []
    bar = tqdm(groups, desc="predict with temporal context", unit="video", disable=None)
    for (_, rows), (frames, numbers, radius) in zip(bar, map_in_order(decode, groups), strict=True):
        prediction = predictor(frames)
        for index, frame in rows["frame"].items():
            window = [i for i, number in enumerate(numbers) if abs(number - frame) <= radius]
            middle = window.index(numbers.index(frame))
            parts.append(postprocess(prediction.take(window), steps, predictor.codec).take([middle]))
            indices.append(int(index))
    return Prediction.join(parts).take(np.argsort(indices))
