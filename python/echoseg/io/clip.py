"""The frames of one file, with frame rate and spacing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_PIXELS = 1 << 26
"""Limit for the pixels of one frame. A file that declares more is refused."""
MAX_BYTES = 1 << 32
"""Limit for the decoded size of one file. A file that declares more is refused."""


def plausible_rate(rate: float) -> float:
    """The rate of a film, frames per second, if it is between 1 and 1000; else nan."""
    return rate if 1 <= rate <= 1000 else math.nan


@dataclass(frozen=True, eq=False)
class Clip:
    """The frames of one file.

    Attributes:
        frames: (T, H, W) uint8, grey.
        fps: Frames per second; nan if the rate is unknown; for a stack, time points per second.
        spacing: (row, column) mm per pixel; nan if unknown.
        thickness: Distance between slices in mm; nan if the frames are time points.
        square: (top, left, side) of the region to segment, pixels; it may extend beyond the frame. None means the whole
            frame.
        declared: Number of frames that the file's header declares, if it differs from the number decoded; else 0.
        note: What had to be chosen when the file was read, for the user; "" if nothing.
        time_points: The number of time points of a stack. Its frames are the slices of the first time point, then those
            of the second, and so on. 1 for any other clip, a cine of single images included.
    """

    frames: NDArray[np.uint8]
    fps: float
    spacing: tuple[float, float]
    thickness: float
    square: tuple[int, int, int] | None = None
    declared: int = 0
    note: str = ""
    time_points: int = 1
