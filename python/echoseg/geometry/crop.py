"""The middle square of a frame, so many millimetres wide: what a network sees where sizes are known."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from echoseg.errors import DataError

_MAX_PIXELS = 2**26  # pixels


class Box(NamedTuple):
    """A rectangle of a frame in pixels; what lies outside the frame is black."""

    top: int
    left: int
    height: int
    width: int


def fov_box(part: Box, spacing: tuple[float, float], fov_mm: float | None) -> Box:
    """Find the square in the middle.

    Args:
        part: In whose middle.
        spacing: (row, column) mm a pixel.
        fov_mm: Side of the square, mm.

    Returns:
        Its box, to the nearest pixel; `part` itself without a fov_mm or where the spacing is unknown.

    Raises:
        DataError: The spacing is so small that the square would have more than 2^26 pixels.
    """
    if fov_mm is None or not all(math.isfinite(step) for step in spacing):
        return part
    height, width = (max(1, round(fov_mm / step)) for step in spacing)
    if height * width > _MAX_PIXELS:
        raise DataError(f"{fov_mm:g} mm at {spacing} mm a pixel are {height}×{width} pixels; check the spacing")
    return Box(part.top + (part.height - height) // 2, part.left + (part.width - width) // 2, height, width)


def cut(frames: NDArray[Any], box: Box) -> NDArray[Any]:
    """Cut a box out of (..., H, W) frames; what lies outside them is 0."""
    frame, patch = _overlap(frames.shape[-2:], box)
    out = np.zeros((*frames.shape[:-2], box.height, box.width), dtype=frames.dtype)
    out[..., patch[0], patch[1]] = frames[..., frame[0], frame[1]]
    return out


def paste(patches: NDArray[Any], box: Box, size: tuple[int, int]) -> NDArray[Any]:
    """Put (..., h, w) patches back where they were cut from frames of a size; 0 around them."""
    frame, patch = _overlap(size, box)
    out = np.zeros((*patches.shape[:-2], *size), dtype=patches.dtype)
    out[..., frame[0], frame[1]] = patches[..., patch[0], patch[1]]
    return out


def _overlap(size: tuple[int, ...], box: Box) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """What box and frame share, rows and columns: in the frame, in the box."""
    starts, lengths = (box.top, box.left), (box.height, box.width)
    frame = tuple(
        (max(0, start), min(whole, start + length)) for start, length, whole in zip(starts, lengths, size, strict=True)
    )
    (top, bottom), (left, right) = frame
    return (slice(top, bottom), slice(left, right)), (
        slice(top - box.top, bottom - box.top),
        slice(left - box.left, right - box.left),
    )
