"""What the table of results says about a stack: its volume, the truth, and the index by body surface area."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from echoseg.errors import DataError
from echoseg.inference.measure import Measurement
from echoseg.inference.truth import read_truth
from echoseg.io.clip import Clip
from echoseg.metrics.volumes import MM3_PER_ML

STACK_COLUMNS = dict.fromkeys(
    (
        *("volume", "true_volume", "volume_mm3", "true_volume_mm3", "volume_dice", "true_edv", "true_esv", "true_ef"),
        *("bsa", "volume_index"),
    ),
    "float64",
)
"""The columns, with their types. Volumes are in the unit of the row, `bsa` is in m², `volume_index` in ml/m²; for a
cine, it is that of the end-diastolic volume. `true_edv`, `true_esv` and `true_ef` are those of a stack over time."""


def stack_row(measurement: Measurement) -> dict[str, Any]:
    """The values of `STACK_COLUMNS`; nan where they are unknown."""
    truth, mm3 = measurement.truth, MM3_PER_ML if measurement.unit == "ml" else math.nan
    row = {"volume": measurement.volume, "volume_mm3": measurement.volume * mm3}
    row |= {"bsa": measurement.bsa, "volume_index": measurement.volume_index}
    if truth is not None:
        row |= {"true_volume": truth.volume, "true_volume_mm3": truth.volume * mm3, "volume_dice": truth.volume_dice}
        row |= {"true_edv": truth.edv, "true_esv": truth.esv, "true_ef": truth.ef}
    return dict.fromkeys(STACK_COLUMNS, math.nan) | row


def read_stack_truth(path: Path, mask: Path | None, clip: Clip, structure: str | None) -> tuple[np.ndarray | None, str]:
    """Read the true masks of a stack.

    Args:
        path: The stack.
        mask: The file of its ground truth; None if there is none.
        clip: The clip read from `path`; the truth of a cine of single images is not read.
        structure: The name of the structure.

    Returns:
        (T, H, W) uint8, 0 or 1, or None; and a note for the user, if there is a file that cannot be used.
    """
    if mask is None or math.isnan(clip.thickness):
        return None, ""
    try:
        true = read_truth(path, mask, structure)
        if clip.time_points > 1 and not true.any():
            raise DataError(f"{mask}: no time point is traced")
        return true, ""
    except DataError as error:
        reason = str(error)
        for folder in (mask.parent, mask.parent.parent):  # whose names the table of results does not contain
            reason = reason.replace(f"{folder}{os.sep}", "")
        return None, f"not compared with its ground truth: {reason}"
