"""Any file that holds frames as one thing: frames, and what is known of their time and size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from echoseg.data.video import read_frame_rate, read_frames


@dataclass(frozen=True, eq=False)
class Clip:
    """The frames of one file.

    Attributes:
        frames: (T, H, W) uint8, grey.
        fps: Frames a second; nan where frames are slices, or where nobody knows.
        spacing: (row, column) mm a pixel; nan if unknown.
        thickness: mm from one slice to the next; nan where frames are moments in time.
        square: (top, left, side) of the part to segment, pixels, which may reach beyond the frame; None is all of it.
    """

    frames: NDArray[np.uint8]
    fps: float
    spacing: tuple[float, float]
    thickness: float
    square: tuple[int, int, int] | None = None


def read_clip(path: str | Path) -> Clip:
    """Read every frame of a file, whatever kind it is of.

    Args:
        path: A video or a DICOM file.

    Raises:
        DataError: The file is missing, damaged, or of no kind that is known.
    """
    from echoseg.data.dicom import is_dicom, read_dicom  # which knows what a clip is

    if is_dicom(Path(path)):
        return read_dicom(Path(path))
    return Clip(read_frames(path), read_frame_rate(path), (float("nan"), float("nan")), float("nan"))
