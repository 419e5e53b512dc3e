"""The frames of a file as one thing, and what is known of their time and size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_PIXELS = 1 << 26
"""Of one frame, and"""
MAX_BYTES = 1 << 32
"""of all that a file gives: what tells of more is not believed."""


@dataclass(frozen=True, eq=False)
class Clip:
    """The frames of one file.

    Attributes:
        frames: (T, H, W) uint8, grey.
        fps: Frames a second; nan where frames are slices, or where nobody knows.
        spacing: (row, column) mm a pixel; nan if unknown.
        thickness: mm from one slice to the next; nan where frames are moments in time.
        square: (top, left, side) of the part to segment, pixels, which may reach beyond the frame; None is all of it.
        declared: Frames that the file's header tells of, where that is another number than was found; else 0.
    """

    frames: NDArray[np.uint8]
    fps: float
    spacing: tuple[float, float]
    thickness: float
    square: tuple[int, int, int] | None = None
    declared: int = 0
