"""Exports a corrected clip as the files that `echoseg predict` writes."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from echoseg.inference.measure import Measurement
from echoseg.inference.predictor import Prediction
from echoseg.review.clips import LoadedClip

OUTPUTS = ("masks", "frames", "png")


def export_clip(loaded: LoadedClip, prediction: Prediction, measurement: Measurement, structure: str) -> bytes:
    """Make a ZIP archive with the masks, frames and beats of a clip.

    It contains what `echoseg predict --keep masks frames png` writes: `masks.tif`, or `mask.nii.gz` for a volume;
    `frames.csv`; and `png/`, with a mask and an overlay of each frame of a cine. `beats.csv` has a row for each beat.

    Args:
        loaded: The clip.
        prediction: Its prediction, with corrections.
        measurement: The measurement of the prediction.
        structure: The name of what is segmented.

    Returns:
        The archive.

    Raises:
        DataError: The files cannot be written.
    """
    from echoseg.report.results import write_prediction  # imports matplotlib, which the page does not need

    archive = io.BytesIO()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keep = OUTPUTS if np.isnan(loaded.clip.thickness) else OUTPUTS[:2]
        source = loaded.source.path
        write_prediction(source, loaded.clip, prediction, measurement, folder, keep=keep, structure=structure)
        if np.isnan(loaded.clip.thickness):
            beats = {"ed": measurement.ed, "es": measurement.es}
            volumes = {f"edv_{measurement.unit}": measurement.edv, f"esv_{measurement.unit}": measurement.esv}
            table = pd.DataFrame({**beats, **volumes, "ef": measurement.ef})
            table.to_csv(folder / "beats.csv", index=False, float_format="%.3f")
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    file.write(path, path.relative_to(folder).as_posix())
    return archive.getvalue()
