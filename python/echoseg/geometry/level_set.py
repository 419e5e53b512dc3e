"""From an image to the contour of what it shows: the level set of probabilities, the border of a mask."""

from __future__ import annotations

from typing import Any

import contourpy
import numpy as np
from numpy.typing import ArrayLike, NDArray

NO_CONTOUR = np.empty((0, 2), dtype=np.float32)
"""The contour of a frame in which nothing is found."""


def level_set_contour(values: ArrayLike, level: float) -> tuple[NDArray[np.float32], int]:
    """Trace the region in which an image exceeds a level, to a fraction of a pixel.

    The contour is that of the region's largest piece, without its holes. Between two pixels it runs where linear
    interpolation reaches the level; at the image's border it runs half a pixel outside the outermost centres. Filled by
    the rule "center", the contour gives the pixels of the largest piece and of its holes. Pixels that touch by a corner
    only are one piece if the mean of the four pixels around that corner exceeds the level.

    Args:
        values: (H, W) float.
        level: The level; a pixel belongs to the region if its value is above it.

    Returns:
        The contour, (P, 2) float32, pixels, with P at least 4, or (0, 2) if no pixel exceeds the level; and the number
        of pieces.

    Raises:
        ValueError: `values` are not (H, W).

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
    padded[border] = np.minimum(padded, 2 * level - padded)[border]  # the level lies half-way to the padding
    lines: Any = contourpy.contour_generator(z=padded, line_type="Separate").lines(level)
    areas = [_signed_area(line) for line in lines]
    largest = int(np.argmax(np.abs(areas)))
    contour = lines[largest][:-1] + np.array([left - 1, top - 1])
    return contour.astype(np.float32), int((np.sign(areas) == np.sign(areas[largest])).sum())


def mask_contour(mask: ArrayLike) -> NDArray[np.float32]:
    """Trace the contour of a mask's largest piece, half-way between the pixels inside and those outside.

    Args:
        mask: (H, W), nonzero inside.

    Returns:
        (P, 2) float32, pixels, with P at least 4, or (0, 2) if the mask is empty; see `level_set_contour`.

    Raises:
        ValueError: `mask` is not (H, W).
    """
    return level_set_contour(np.asarray(mask) != 0, 0.5)[0]


def _signed_area(line: NDArray[np.float64]) -> float:
    """Of a closed line whose last point is its first: positive or negative by its direction."""
    x, y = (line - line[0]).T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)
