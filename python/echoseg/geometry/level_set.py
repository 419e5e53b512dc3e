"""Contours of images: the level set of probabilities, and the border of a mask."""

from __future__ import annotations

from typing import Any

import contourpy
import numpy as np
from numpy.typing import ArrayLike, NDArray

NO_CONTOUR = np.empty((0, 2), dtype=np.float32)
"""The contour of a frame that shows nothing of the structure."""


def level_set_contour(values: ArrayLike, level: float) -> tuple[NDArray[np.float32], int]:
    """Compute the contour of the region in which an image exceeds a level, with subpixel accuracy.

    The contour is that of the largest connected component, without its holes. Between two pixels it passes through the
    point at which linear interpolation equals the level. At the border of the image it lies half a pixel outside the
    outermost pixel centres. Filled by the rule "center", the contour gives the pixels of the largest component and of
    its holes. Two pixels that touch only at a corner are connected if the mean of the four pixels around the corner
    exceeds the level.

    Args:
        values: (H, W) float.
        level: The level. A pixel belongs to the region if its value is larger.

    Returns:
        The contour, (P, 2) float32, pixels, with P at least 4, or (0, 2) if no pixel exceeds the level; and the number
        of connected components.

    Raises:
        ValueError: The shape of `values` is not (H, W).

    Source: marching squares, Lorensen and Cline, "Marching cubes", SIGGRAPH 1987, in two dimensions, by contourpy.
    """
    values = np.asarray(values)
    if values.ndim != 2:
        raise ValueError(f"values: expected (H, W), got shape {values.shape}")
    inside = values > level
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return NO_CONTOUR, 0
    top, left = max(0, rows[0] - 1), max(0, columns[0] - 1)
    region = values[top : rows[-1] + 2, left : columns[-1] + 2].astype(np.float64)
    padded = np.pad(region, 1, mode="edge")
    border = np.ones(padded.shape, dtype=bool)
    border[1:-1, 1:-1] = False
    padded[border] = np.minimum(padded, 2 * level - padded)[border]  # reaches the level half a pixel outside
    lines: Any = contourpy.contour_generator(z=padded, line_type="Separate").lines(level)
    areas = [_signed_area(line) for line in lines]
    largest = int(np.argmax(np.abs(areas)))
    contour = lines[largest][:-1] + np.array([left - 1, top - 1])
    return contour.astype(np.float32), int((np.sign(areas) == np.sign(areas[largest])).sum())


def mask_contour(mask: ArrayLike) -> NDArray[np.float32]:
    """Compute the contour of the largest connected component of a mask, half-way between inner and outer pixels.

    Args:
        mask: (H, W), nonzero inside.

    Returns:
        (P, 2) float32, pixels, with P at least 4, or (0, 2) if the mask is empty; see `level_set_contour`.

    Raises:
        ValueError: The shape of `mask` is not (H, W).
    """
    return level_set_contour(np.asarray(mask) != 0, 0.5)[0]


def _signed_area(line: NDArray[np.float64]) -> float:
    """The signed area of a closed line that ends with its first point. The sign depends on the orientation."""
    x, y = (line - line[0]).T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)
