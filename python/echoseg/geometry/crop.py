"""The part of a frame that a network sees, at the network's size; and the way back to the frame's own pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from echoseg.errors import DataError

_MAX_PIXELS = 2**26


class Box(NamedTuple):
    """A rectangle of a frame, pixels; it may reach beyond the frame, where everything is black."""

    top: int
    left: int
    height: int
    width: int


def fov_box(part: Box, spacing: tuple[float, float], fov_mm: float | None) -> Box:
    """Find the square field of view in the middle of a part of a frame.

    Args:
        part: The part.
        spacing: (row, column) mm a pixel.
        fov_mm: Side of the square, mm.

    Returns:
        The square's box, rounded to pixels; `part` itself if there is no field of view or the spacing is unknown.

    Raises:
        DataError: The spacing is so small that the square would have more than 2^26 pixels.
    """
    if fov_mm is None or not all(math.isfinite(step) for step in spacing):
        return part
    height, width = (max(1, round(fov_mm / step)) for step in spacing)
    if height * width > _MAX_PIXELS:
        raise DataError(f"{fov_mm:g} mm at {spacing} mm a pixel are {height}×{width} pixels; check the spacing")
    return Box(part.top + (part.height - height) // 2, part.left + (part.width - width) // 2, height, width)


@dataclass(frozen=True)
class Crop:
    """A box of a frame, resized.

    Attributes:
        box: The part of the frame.
        size: (H, W) that it is brought to; each axis has its own scale.
    """

    box: Box
    size: tuple[int, int]

    @property
    def scale(self) -> NDArray[np.float64]:
        """(2,): pixels of the crop for one pixel of the frame, along x and y."""
        return np.array([self.size[1] / self.box.width, self.size[0] / self.box.height])

    def frames(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Crop and resize frames: by area if both sides shrink, else bilinear.

        Args:
            frames: (T, h, w) uint8.

        Returns:
            (T, H, W) uint8; `frames` itself if nothing changes.
        """
        if self.box != (0, 0, *frames.shape[1:]):
            frames = cut(frames, self.box)
        if self.box[2:] == tuple(self.size):
            return frames
        shrinks = self.size[0] <= self.box.height and self.size[1] <= self.box.width
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        resized = np.empty((len(frames), *self.size), dtype=np.uint8)
        for frame, out in zip(frames, resized, strict=True):
            cv2.resize(frame, (self.size[1], self.size[0]), dst=out, interpolation=method)
        return resized

    def points(self, points: ArrayLike) -> NDArray[np.float32]:
        """Move points with the pixels: from the frame's pixels to the crop's.

        The corners of the outermost pixels stay corners, not their centres.

        Args:
            points: (..., 2) float, pixels of the frame.

        Returns:
            (..., 2) float32, pixels of the crop.
        """
        corner = np.array([self.box.left, self.box.top]) - 0.5
        return ((np.asarray(points, dtype=np.float64) - corner) * self.scale - 0.5).astype(np.float32)

    def points_in_frame(self, points: ArrayLike) -> NDArray[np.float32]:
        """The way back: (..., 2) float, pixels of the crop → (..., 2) float32, pixels of the frame."""
        corner = np.array([self.box.left, self.box.top]) - 0.5
        return ((np.asarray(points, dtype=np.float64) + 0.5) / self.scale + corner).astype(np.float32)


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
    """What box and frame share, as rows and columns of the frame and of the box."""
    starts, lengths = (box.top, box.left), (box.height, box.width)
    frame = tuple(
        (max(0, start), min(whole, start + length)) for start, length, whole in zip(starts, lengths, size, strict=True)
    )
    (top, bottom), (left, right) = frame
    return (slice(top, bottom), slice(left, right)), (
        slice(top - box.top, bottom - box.top),
        slice(left - box.left, right - box.left),
    )
