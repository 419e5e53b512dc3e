"""Crop and resize frames and points to the network's size, and map them back to the pixels of the frame."""

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
    """A rectangle in pixels of a frame. Where it extends beyond the frame, the crop is black."""

    top: int
    left: int
    height: int
    width: int


def fov_box(region: Box, spacing: tuple[float, float], fov_mm: float | None) -> Box:
    """Compute the square field of view in the middle of a region.

    Args:
        region: A region of a frame.
        spacing: The height and width of a pixel, mm; nan if unknown.
        fov_mm: The side of the square, mm; None for no field of view.

    Returns:
        The box of the square, rounded to pixels; `region` if there is no field of view or the spacing is unknown.

    Raises:
        DataError: The spacing is so small that the square would have more than 2^26 pixels.
    """
    if fov_mm is None or not all(math.isfinite(step) for step in spacing):
        return region
    height, width = (max(1, round(fov_mm / step)) for step in spacing)
    if height * width > _MAX_PIXELS:
        raise DataError(
            f"a field of view of {fov_mm:g} mm with pixels of {spacing} mm has {height}×{width} pixels; check the "
            "spacing"
        )
    return Box(region.top + (region.height - height) // 2, region.left + (region.width - width) // 2, height, width)


@dataclass(frozen=True)
class Crop:
    """A box of a frame that is resized to a given size.

    Attributes:
        box: The box in pixels of the frame.
        size: (H, W) of the crop. Both axes are scaled independently.
    """

    box: Box
    size: tuple[int, int]

    @property
    def scale(self) -> NDArray[np.float64]:
        """(2,) float64: The scale factors from frame to crop along x and y."""
        return np.array([self.size[1] / self.box.width, self.size[0] / self.box.height])

    def frames(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Crop and resize frames.

        Frames are downsampled by area averaging. If one side is enlarged, interpolation is bilinear.

        Args:
            frames: (T, h, w) uint8.

        Returns:
            (T, H, W) uint8; `frames` itself if neither crop nor resize is needed.
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
        """Map points from the frame to the crop.

        The outer edges of the box are mapped to the outer edges of the crop, as for the pixels of the frames.

        Args:
            points: (..., 2) float, pixels of the frame.

        Returns:
            (..., 2) float32, pixels of the crop.
        """
        corner = np.array([self.box.left, self.box.top]) - 0.5
        return ((np.asarray(points, dtype=np.float64) - corner) * self.scale - 0.5).astype(np.float32)

    def points_in_frame(self, points: ArrayLike) -> NDArray[np.float32]:
        """Map points from the crop to the frame; the inverse of `points`.

        Args:
            points: (..., 2) float, pixels of the crop.

        Returns:
            (..., 2) float32, pixels of the frame.
        """
        corner = np.array([self.box.left, self.box.top]) - 0.5
        return ((np.asarray(points, dtype=np.float64) + 0.5) / self.scale + corner).astype(np.float32)


def cut(frames: NDArray[Any], box: Box) -> NDArray[Any]:
    """Crop frames, (..., H, W), to a box. Pixels outside the frames are 0."""
    frame, patch = _overlap(frames.shape[-2:], box)
    out = np.zeros((*frames.shape[:-2], box.height, box.width), dtype=frames.dtype)
    out[..., patch[0], patch[1]] = frames[..., frame[0], frame[1]]
    return out


def paste(patches: NDArray[Any], box: Box, size: tuple[int, int]) -> NDArray[Any]:
    """Place patches, (..., h, w), at a box in frames of the given size. All other pixels are 0."""
    frame, patch = _overlap(size, box)
    out = np.zeros((*patches.shape[:-2], *size), dtype=patches.dtype)
    out[..., frame[0], frame[1]] = patches[..., patch[0], patch[1]]
    return out


def _overlap(size: tuple[int, ...], box: Box) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The intersection of box and frame, as rows and columns of the frame and as rows and columns of the box."""
    starts, lengths = (box.top, box.left), (box.height, box.width)
    frame = tuple(
        (max(0, start), min(limit, start + length)) for start, length, limit in zip(starts, lengths, size, strict=True)
    )
    (top, bottom), (left, right) = frame
    return (slice(top, bottom), slice(left, right)), (
        slice(top - box.top, bottom - box.top),
        slice(left - box.left, right - box.left),
    )
