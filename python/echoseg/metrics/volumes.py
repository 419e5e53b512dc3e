"""Volumes of outlined ventricles: outlines and long axes of masks, in mm where the spacing is known.

The formulas are those of ``geometry.discs``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from echoseg.geometry import discs
from echoseg.geometry.landmarks import SCHEMES
from echoseg.geometry.outline import outline_of_mask


class Outline(NamedTuple):
    """What a volume is computed from, in any unit of length.

    Attributes:
        points: (P, 2) float64.
        axis: (2, 2) float64: apex and middle of the base.
    """

    points: np.ndarray
    axis: np.ndarray


_NOTHING = Outline(np.zeros((3, 2)), np.zeros((2, 2)))


def outlines_of(
    contours: Iterable[np.ndarray | None],
    axes: Sequence[np.ndarray] | np.ndarray | None = None,
    spacings: np.ndarray | tuple[float, float] = (1.0, 1.0),
) -> list[Outline]:
    """Contours with their long axes, to scale.

    Args:
        contours: N times (P, 2) float, pixels; None is a frame without a ventricle, whose volume is 0.
        axes: (N, 2, 2) float, pixels, apex and middle of the base; None takes ``geometry.discs.long_axis``.
        spacings: (row, column) of a pixel, such as in mm; (N, 2) or one for all.
    """
    found = []
    contours = list(contours)
    for i, (contour, spacing) in enumerate(zip(contours, np.broadcast_to(spacings, (len(contours), 2)), strict=True)):
        if contour is None:
            found.append(_NOTHING)
            continue
        points = np.asarray(contour, dtype=np.float64) * spacing[::-1]
        if axes is None:  # the farthest points lie on the hull, which has few
            hull = cv2.convexHull(points.astype(np.float32)).reshape(1, -1, 2)
            axis = discs.long_axis(hull)[0]
        else:
            axis = np.asarray(axes[i], dtype=np.float64) * spacing[::-1]
        found.append(Outline(points, axis))
    return found


def outlines_of_masks(
    masks: np.ndarray,
    axes: np.ndarray | None = None,
    spacings: np.ndarray | tuple[float, float] = (1.0, 1.0),
) -> list[Outline]:
    """The largest outer contour of each of (N, H, W) masks; the rest as in ``outlines_of``."""
    return outlines_of(map(outline_of_mask, masks), axes, spacings)


def landmark_axes(landmarks: np.ndarray | None, scheme: str | None) -> np.ndarray | None:
    """The long axis that landmarks tell: from the apex to the middle of the annulus.

    Args:
        landmarks: (N, K, 2) float; None where there are none.
        scheme: a name in ``geometry.landmarks.SCHEMES``.

    Returns:
        (N, 2, 2) float; None of a scheme that does not know where the annulus is.
    """
    if landmarks is None or scheme is None:
        return None
    annulus = SCHEMES[scheme].straight(landmarks.shape[1])
    if annulus is None:
        return None
    return np.stack([landmarks[:, 0], landmarks[:, annulus : annulus + 2].mean(axis=1)], axis=1)


def disc_volumes(outlines: Sequence[Outline]) -> np.ndarray:
    """(N,) float64 by the method of discs from one view, in the cube of the outlines' unit."""
    return np.array([discs.disc_volumes(one.points[None], one.axis[None])[0] for one in outlines])


def area_length_volumes(outlines: Sequence[Outline]) -> np.ndarray:
    """(N,) float64 by the area-length formula, in the cube of the outlines' unit."""
    return np.array([discs.area_length_volumes(one.points[None], one.axis[None])[0] for one in outlines])


def biplane_volumes(first: Sequence[Outline], second: Sequence[Outline]) -> np.ndarray:
    """(N,) float64 by the method of discs from two views at a right angle, in the cube of the outlines' unit."""
    return np.array(
        [
            discs.biplane_volumes(one.points[None], other.points[None], one.axis[None], other.axis[None])[0]
            for one, other in zip(first, second, strict=True)
        ]
    )
