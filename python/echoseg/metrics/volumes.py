"""Volumes of the ventricle from the contours of frames, in ml where the spacing is known.

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
        axis: (2, 2) float64, apex and middle of the base.
    """

    points: np.ndarray
    axis: np.ndarray


_NOTHING = ScaledContour(np.zeros((3, 2)), np.zeros((2, 2)))


def scale_contours(
    contours: Iterable[np.ndarray],
    axes: Sequence[np.ndarray] | np.ndarray | None = None,
    spacings: np.ndarray | tuple[float, float] = (1.0, 1.0),
) -> list[ScaledContour]:
    """Bring contours and their long axes from pixels to a unit of length.

    Args:
        contours: N arrays (P, 2) float, pixels; (0, 2) for a frame without a ventricle, whose volume is 0.
        axes: (N, 2, 2) float, pixels, apex and middle of the base; None takes `echoseg.geometry.discs.long_axis`.
        spacings: (row, column) length of a pixel's sides, such as mm; (N, 2), or one pair for all.

    Returns:
        N scaled contours.
    """
    scaled = []
    contours = list(contours)
    for i, (contour, spacing) in enumerate(zip(contours, np.broadcast_to(spacings, (len(contours), 2)), strict=True)):
        if not len(contour):
            scaled.append(_NOTHING)
            continue
        points = np.asarray(contour, dtype=np.float64) * spacing[::-1]
        if axes is None:  # the points that lie farthest apart are on the convex hull, which has few
            hull = cv2.convexHull(points.astype(np.float32)).reshape(1, -1, 2)
            axis = discs.long_axis(hull)[0]
        else:
            axis = np.asarray(axes[i], dtype=np.float64) * spacing[::-1]
        scaled.append(ScaledContour(points, axis))
    return scaled


def disc_volumes(contours: Sequence[ScaledContour]) -> np.ndarray:
    """(N,) float64, by the method of discs from one view, in the cube of the contours' unit."""
    return np.array([discs.disc_volumes(one.points[None], one.axis[None])[0] for one in contours])


def area_length_volumes(contours: Sequence[ScaledContour]) -> np.ndarray:
    """(N,) float64, by the area-length formula, in the cube of the contours' unit."""
    return np.array([discs.area_length_volumes(one.points[None], one.axis[None])[0] for one in contours])


def biplane_volumes(first: Sequence[ScaledContour], second: Sequence[ScaledContour]) -> np.ndarray:
    """(N,) float64, by the method of discs from two views at a right angle, in the cube of the contours' unit."""
    return np.array(
        [
            discs.biplane_volumes(one.points[None], other.points[None], one.axis[None], other.axis[None])[0]
            for one, other in zip(first, second, strict=True)
        ]
    )


def slice_volumes(
    areas: np.ndarray, spacing: np.ndarray | tuple[float, float], thickness: np.ndarray | float
) -> np.ndarray:
    """What each slice adds to the volume of a stack; the stack's volume is their sum.

    Args:
        areas: (T,) pixels.
        spacing: (row, column) length of a pixel's sides; each may be (T,).
        thickness: Distance from one slice to the next, in the same unit; may be (T,).

    Returns:
        (T,) float64, in the cube of the unit.
    """
    return np.asarray(areas, dtype=np.float64) * spacing[0] * spacing[1] * thickness
