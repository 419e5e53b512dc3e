"""From the rows of a tracing to an ordered, closed outline.

A tracing comes as chords `(R, 4)` (EchoNet-Dynamic: each row is `x1, y1, x2, y2`, the first row is the long axis from
apex to mitral valve, the others cross the ventricle from the apex downwards) or as points `(P, 2)` (EchoNet-Pediatric).
What a polygon fill draws depends on the order of its vertices, so the order has a name. `chords` and `given` keep what
the expert meant. The others forget it and guess it back from the positions: they are the orderings that published code
used, kept so that their cost can be measured.
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
    """Order the points of one tracing into a closed outline (the last point joins the first).

    Args:
        tracing: (R, 4) chords with the long axis in row 0, or (P, 2) points; pixels.
        ordering: A name in `ORDERINGS`; None takes `chords` for chords and `given` for points.

    Returns:
        (P, 2) float32, pixels. `hull` returns only the points on the convex hull; the others return every point that
        they were given (`chords` leaves out the long axis, which runs through the ventricle and not around it).

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
        raise ValueError(f"unknown ordering {ordering!r}; known: {', '.join(ORDERINGS)}")
    return np.ascontiguousarray(ORDERINGS[ordering](rows))


def contour_area(contour: ArrayLike) -> NDArray[np.float64]:
    """Area inside each contour by the shoelace formula, whichever way round it runs.

    Args:
        contour: (..., P, 2), pixels.

    Returns:
        (...) float64, square pixels. Fewer than three points have area 0.
    """
    points = np.asarray(contour, dtype=np.float64)
    if points.ndim < 2 or points.shape[-1] != 2:
        raise ValueError(f"contour: expected (..., P, 2), got shape {points.shape}")
    # Relative to the first point: a small contour far out keeps its digits, and the closing edge adds nothing.
    x, y = np.moveaxis(points - points[..., :1, :], -1, 0)
    return 0.5 * np.abs((x[..., :-1] * y[..., 1:] - x[..., 1:] * y[..., :-1]).sum(axis=-1))


def _chords(rows: Points) -> Points:
    """The tracing's own order: first ends of the chords downwards, second ends upwards; the long axis left out.

    Source: Ouyang et al., "Video-based AI for beat-to-beat assessment of cardiac function", Nature 2020, and its code
    (echonet/dynamic).
    """
    if rows.shape[1] != 4:
        raise DataError("ordering 'chords' needs chords X1,Y1,X2,Y2, this is a point list; use 'given'")
    return np.concatenate([rows[1:, :2], rows[:0:-1, 2:]])


def _given(rows: Points) -> Points:
    """The order of a point list as it stands in the file."""
    if rows.shape[1] != 2:
        raise DataError("ordering 'given' needs a point list X,Y, these are chords; use 'chords'")
    return rows


def _all_points(rows: Points) -> Points:
    """Every end of every row as (P, 2), long axis included, as the published code takes them."""
    return rows.reshape(-1, 2)


def _angle(rows: Points) -> Points:
    """By angle about the mean of all points (equal angles: in the file's order).

    Right for an outline whose every point is seen from the mean; else the outline zigzags.
    Source: the first seed's "centroid" sort.
    """
    points = _all_points(rows)
    x, y = (points - points.mean(axis=0, dtype=np.float64)).T
    return points[np.argsort(np.arctan2(y, x), kind="stable")]


def _hull(rows: Points) -> Points:
    """Only the convex hull (OpenCV's, after Sklansky): every hollow is filled."""
    return np.asarray(cv2.convexHull(_all_points(rows)), dtype=np.float32).reshape(-1, 2)


def _sorted(rows: Points) -> Points:
    """By x, then y, as Python's `sorted` orders points. Not an outline; the first seed's "simple sort"."""
    points = _all_points(rows)
    return points[np.lexsort((points[:, 1], points[:, 0]))]


def _nearest(rows: Points) -> Points:
    """From the first point of the `angle` order on, always to the nearest point not yet used.

    What the second seed's "refined sort" meant, done right: every point is used exactly once, a point that lies there
    twice is used twice, equal distances go to the one that comes first by angle, and the outline is closed by the step
    from the last point back to the first. Like every greedy walk it may pass a point by and fetch it at the end.
    """
    points = _angle(rows).astype(np.float64)
    order = np.zeros(len(points), dtype=np.intp)
    left = np.ones(len(points), dtype=bool)
    for step in range(1, len(points)):
        left[order[step - 1]] = False
        distance = ((points - points[order[step - 1]]) ** 2).sum(axis=1)
        order[step] = np.where(left, distance, np.inf).argmin()
    return points[order].astype(np.float32)


ORDERINGS: dict[str, Callable[[Any], Points]] = {
    "chords": _chords,
    "angle": _angle,
    "hull": _hull,
    "sorted": _sorted,
    "nearest": _nearest,
    "given": _given,
}
"""Name → function from one tracing, (R, 4) or (P, 2) float32, to its outline (P, 2) float32."""
