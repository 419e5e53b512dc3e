"""Orders the points of a tracing to a contour, the closed outline of the ventricle.

A tracing consists of chords `(R, 4)` or points `(P, 2)`. In EchoNet-Dynamic each row is a chord `x1, y1, x2, y2`: the
first row is the long axis from apex to mitral valve, the others cross the ventricle, starting at the apex. In
EchoNet-Pediatric each row is a point. The mask depends on the order of the points, so each ordering has a name.
`chords` and `given` keep the expert's order. The other orderings are those of published code: they derive an order from
the positions, and are kept to measure the effect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from echoseg.errors import DataError

Points = NDArray[np.float32]


def order_contour(tracing: ArrayLike, ordering: str | None = None) -> Points:
    """Order the points of a tracing to a closed contour, in which the last point is connected to the first.

    Args:
        tracing: (R, 4) chords with the long axis in row 0, or (P, 2) points; pixels.
        ordering: A name in `ORDERINGS`; None means `chords` for chords and `given` for points.

    Returns:
        (P, 2) float32, pixels. `hull` returns only the points on the convex hull, `chords` all points except those of
        the long axis, the other orderings all points. (0, 2) for a tracing without points.

    Raises:
        ValueError: The ordering is unknown, or the tracing is neither (R, 4) nor (P, 2).
        DataError: The ordering needs the other kind of tracing.
    """
    rows = np.asarray(tracing, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] not in (2, 4):
        raise ValueError(f"tracing: expected (R, 4) chords or (P, 2) points, got shape {rows.shape}")
    if ordering is None:
        ordering = "chords" if rows.shape[1] == 4 else "given"
    if ordering not in ORDERINGS:
        raise ValueError(f"unknown ordering {ordering!r}; use one of {', '.join(ORDERINGS)}")
    if not len(rows):
        return np.empty((0, 2), dtype=np.float32)
    return np.ascontiguousarray(ORDERINGS[ordering](rows))


def contour_area(contour: ArrayLike) -> NDArray[np.float64]:
    """Area inside contours of either orientation, by the shoelace formula.

    Args:
        contour: (..., P, 2), pixels.

    Returns:
        (...) float64, square pixels; 0 for fewer than three points.

    Raises:
        ValueError: The shape is not (..., P, 2).
    """
    points = np.asarray(contour, dtype=np.float64)
    if points.ndim < 2 or points.shape[-1] != 2:
        raise ValueError(f"contour: expected (..., P, 2), got shape {points.shape}")
    # relative to the first point: this keeps the precision of small contours far from the origin, and the closing edge
    # contributes 0
    x, y = np.moveaxis(points - points[..., :1, :], -1, 0)
    return 0.5 * np.abs((x[..., :-1] * y[..., 1:] - x[..., 1:] * y[..., :-1]).sum(axis=-1))


def contour_elongation(contours: ArrayLike) -> NDArray[np.float64]:
    """How much longer contours are than wide: 1 for a circle, about the ratio of its axes for an ellipse.

    Args:
        contours: (N, P, 2), pixels.

    Returns:
        (N,) float64, the ratio of the standard deviations of the points of the line along its two principal axes;
        infinite for points on one straight line.
    """
    points = np.asarray(contours, dtype=np.float64)
    edges = np.roll(points, -1, axis=1) - points
    lengths = np.linalg.norm(edges, axis=2)
    weights = lengths / lengths.sum(axis=1, keepdims=True)
    middles = points + edges / 2
    centred = middles - np.einsum("np,npi->ni", weights, middles)[:, None]
    variances = np.linalg.eigvalsh(np.einsum("np,npi,npj->nij", weights, centred, centred)).clip(min=0)
    with np.errstate(divide="ignore"):
        return np.sqrt(variances[:, 1] / variances[:, 0])


def _chords(rows: Points) -> Points:
    """The expert's order: the first ends of the chords from apex to base, the second ends back, without the long axis.

    Source: Ouyang et al., "Video-based AI for beat-to-beat assessment of cardiac function", Nature 2020, and its code
    (echonet/dynamic).
    """
    if rows.shape[1] != 4:
        raise DataError("ordering 'chords' needs chords X1,Y1,X2,Y2, but the tracing has points; use 'given'")
    return np.concatenate([rows[1:, :2], rows[:0:-1, 2:]])


def _given(rows: Points) -> Points:
    """The order of points in the file."""
    if rows.shape[1] != 2:
        raise DataError("ordering 'given' needs points X,Y, but the tracing has chords; use 'chords'")
    return rows


def _all_points(rows: Points) -> Points:
    """All ends of all rows as (P, 2), including the long axis, as in published code."""
    return rows.reshape(-1, 2)


def _angle(rows: Points) -> Points:
    """By the angle about the mean of all points; equal angles in the order of the file.

    Correct for contours that are star-shaped about the mean; others become zigzag lines.

    Source: The "centroid" sort of Rodríguez Valencia et al.
    """
    points = _all_points(rows)
    x, y = (points - points.mean(axis=0, dtype=np.float64)).T
    return points[np.argsort(np.arctan2(y, x), kind="stable")]


def _hull(rows: Points) -> Points:
    """The convex hull, which fills every concavity.

    Source: Sklansky, "Finding the convex hull of a simple polygon", Pattern Recognition Letters 1, 1982, in OpenCV.
    """
    return np.asarray(cv2.convexHull(_all_points(rows)), dtype=np.float32).reshape(-1, 2)


def _sorted(rows: Points) -> Points:
    """By x, then y, like Python's `sorted`; not a contour.

    Source: The "simple sort" of Rodríguez Valencia et al.
    """
    points = _all_points(rows)
    return points[np.lexsort((points[:, 1], points[:, 0]))]


def _nearest(rows: Points) -> Points:
    """Greedy nearest neighbour: starts at the first point by angle, continues with the nearest unused point.

    Each point is used once, including duplicates. Ties are resolved by angle. The greedy choice may skip a point and
    return to it at the end.

    Source: The "refined sort" of Mendoza et al., with its errors corrected.
    """
    points = _angle(rows).astype(np.float64)
    order = np.zeros(len(points), dtype=np.intp)
    unused = np.ones(len(points), dtype=bool)
    for step in range(1, len(points)):
        unused[order[step - 1]] = False
        distance = ((points - points[order[step - 1]]) ** 2).sum(axis=1)
        order[step] = np.where(unused, distance, np.inf).argmin()
    return points[order].astype(np.float32)


ORDERINGS: dict[str, Callable[[Any], Points]] = {
    "chords": _chords,
    "angle": _angle,
    "hull": _hull,
    "sorted": _sorted,
    "nearest": _nearest,
    "given": _given,
}
"""Name → function from a tracing, (R, 4) or (P, 2) float32, to its contour, (P, 2) float32."""
