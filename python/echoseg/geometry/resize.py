"""Frames and points brought to another size."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray


def resize_frames(frames: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize frames, each axis on its own scale: by area when both shrink, else bilinear.

    Args:
        frames: (T, h, w) uint8.
        size: (H, W).

    Returns:
        (T, H, W) uint8; `frames` itself where nothing changes.
    """
    height, width = frames.shape[1:]
    if (height, width) == tuple(size):
        return frames
    shrinks = size[0] <= height and size[1] <= width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = np.empty((len(frames), *size), dtype=np.uint8)
    for frame, out in zip(frames, resized, strict=True):
        cv2.resize(frame, (size[1], size[0]), dst=out, interpolation=method)
    return resized


def resize_points(points: ArrayLike, source: tuple[int, int], size: tuple[int, int]) -> NDArray[np.float32]:
    """Move points with the pixels of a resized image, whose corners, not whose pixel centres, stay corners.

    Args:
        points: (..., 2), pixels of an image of size `source`.
        source: (h, w).
        size: (H, W).

    Returns:
        (..., 2) float32, pixels of the resized image.
    """
    scale = np.array([size[1] / source[1], size[0] / source[0]])
    return ((np.asarray(points, dtype=np.float64) + 0.5) * scale - 0.5).astype(np.float32)
