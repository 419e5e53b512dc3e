"""Volumes of a structure from the contours of frames.

The formulas are those of `echoseg.geometry.discs`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from echoseg.geometry import discs

MM3_PER_ML = 1000.0


class ScaledContour(NamedTuple):
    """A contour with its long axis, both in the same unit of length.

    Attributes:
        points: (P, 2) float64.
        axis: (2, 2) float64, the apex and the middle of the base.
    """

    points: np.ndarray
    axis: np.ndarray


_EMPTY = ScaledContour(np.zeros((3, 2)), np.zeros((2, 2)))


def scale_contours(
    contours: Iterable[np.ndarray],
    axes: Sequence[np.ndarray] | np.ndarray | None = None,
    spacings: np.ndarray | tuple[float, float] = (1.0, 1.0),
) -> list[ScaledContour]:
    """Convert contours and their long axes from pixels to a unit of length.

    Args:
        contours: N contours, (P, 2) float, pixels; (0, 2) for an empty frame, which has the volume 0.
        axes: (N, 2, 2) float, pixels, the apex and the middle of the base; None computes the axes by
            `echoseg.geometry.discs.long_axis`.
        spacings: (N, 2) float, the height and width of a pixel in a unit of length, such as mm; or one pair for all.

    Returns:
        N scaled contours.
    """
    scaled = []
    contours = list(contours)
    for i, (contour, spacing) in enumerate(zip(contours, np.broadcast_to(spacings, (len(contours), 2)), strict=True)):
        if not len(contour):
            scaled.append(_EMPTY)
            continue
        points = np.asarray(contour, dtype=np.float64) * spacing[::-1]
        if axes is None:  # the two most distant points lie on the convex hull, which has fewer points
            hull = cv2.convexHull(points.astype(np.float32)).reshape(1, -1, 2)
            axis = discs.long_axis(hull)[0]
        else:
            axis = np.asarray(axes[i], dtype=np.float64) * spacing[::-1]
        scaled.append(ScaledContour(points, axis))
    return scaled


def disc_volumes(contours: Sequence[ScaledContour]) -> np.ndarray:
    """Compute volumes by the method of discs from one view, (N,) float64, in the cube of the contours' unit."""
    return np.array([discs.disc_volumes(points[None], axis[None])[0] for points, axis in contours])


def area_length_volumes(contours: Sequence[ScaledContour]) -> np.ndarray:
    """Compute volumes by the area-length formula, (N,) float64, in the cube of the contours' unit."""
    return np.array([discs.area_length_volumes(points[None], axis[None])[0] for points, axis in contours])


def biplane_volumes(first: Sequence[ScaledContour], second: Sequence[ScaledContour]) -> np.ndarray:
    """Compute volumes by the method of discs from two perpendicular views.

    Args:
        first: N contours in one view.
        second: N contours in the other view, in the same unit.

    Returns:
        (N,) float64, in the cube of the contours' unit.
    """
    return np.array(
        [
            discs.biplane_volumes(a.points[None], b.points[None], a.axis[None], b.axis[None])[0]
            for a, b in zip(first, second, strict=True)
        ]
    )


def slice_volumes(
    areas: np.ndarray, spacing: np.ndarray | tuple[float, float], thickness: np.ndarray | float
) -> np.ndarray:
    """Compute the volume of each slice of a stack. The volume of the stack is their sum.

    Args:
        areas: (T,) int or float, pixels.
        spacing: The height and width of a pixel; each a number or (T,) float.
        thickness: The distance between slices, in the same unit; a number or (T,) float.

    Returns:
        (T,) float64, in the cube of the unit.
    """
    return np.asarray(areas, dtype=np.float64) * spacing[0] * spacing[1] * thickness
