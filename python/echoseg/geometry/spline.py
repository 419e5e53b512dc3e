"""Joins landmarks to a closed contour: splines and polygons."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.interpolate import CubicSpline

from echoseg.geometry.landmarks import SCHEMES

PER_SEGMENT = 12


def join_landmarks(
    landmarks: np.ndarray, *, scheme: str = "arc", outline: str = "cubic", per_segment: int = PER_SEGMENT
) -> np.ndarray:
    """Join landmarks, in the order of their scheme, to a contour without self-intersections.

    If the curve would intersect itself, straight lines are used instead. If the polygon of the landmarks also
    intersects itself, the landmarks are connected in the order of their angles about their mean; this happens with the
    scheme `angle` and with poor predictions.

    Args:
        landmarks: (..., K, 2) float, pixels, K ≥ 3.
        scheme: The scheme of the landmarks. In the scheme `anatomical` the mitral annulus is a straight line.
        outline: The kind of curve, a name in `OUTLINES`.
        per_segment: Number of points from one landmark to the next.

    Returns:
        (..., K * per_segment, 2) float32, pixels; every `per_segment`-th point is a landmark.

    Raises:
        ValueError: There are fewer than three landmarks, or the kind of curve is unknown.
    """
    straight = SCHEMES[scheme].straight(np.shape(landmarks)[-2])
    return join_points(landmarks, straight=straight, outline=outline, per_segment=per_segment)


def join_points(
    points: np.ndarray, *, straight: int | None = None, outline: str = "cubic", per_segment: int = PER_SEGMENT
) -> np.ndarray:
    """Join points to a contour without self-intersections; see `join_landmarks`.

    Args:
        points: (..., K, 2) float, pixels, K ≥ 3.
        straight: Index of the point that is connected to the next one by a straight line; None for no such point.
        outline: The kind of curve, a name in `OUTLINES`.
        per_segment: Number of points from one point to the next.

    Returns:
        (..., K * per_segment, 2) float32, pixels.

    Raises:
        ValueError: There are fewer than three points, or the kind of curve is unknown.
    """
    if outline not in OUTLINES:
        raise ValueError(f"unknown outline {outline!r}; use one of {', '.join(OUTLINES)}")
    batch = np.asarray(points, dtype=np.float32)
    count = batch.shape[-2]
    if count < 3:
        raise ValueError(f"a contour needs at least 3 landmarks, got {count}")
    points = batch.reshape(-1, count, 2)
    curves = OUTLINES[outline](points, per_segment, straight).astype(np.float32)
    unordered = intersects_itself(points)
    polygonal = unordered | intersects_itself(curves)
    points = np.where(unordered[:, None, None], _order_by_angle(points), points)
    curves[polygonal] = _polygon(points[polygonal], per_segment, None)
    return curves.reshape(*batch.shape[:-2], count * per_segment, 2)


def intersects_itself(contours: np.ndarray) -> np.ndarray:
    """Whether two edges of a closed contour cross each other; edges that only touch do not count.

    Args:
        contours: (N, P, 2) float, pixels.

    Returns:
        (N,) bool.
    """
    contours = np.asarray(contours, dtype=np.float64)
    result = ~_is_star_shaped(contours)
    if not result.any():
        return result
    start = contours[result]
    end = np.roll(start, -1, axis=1)
    found = np.zeros(len(start), dtype=bool)
    for shift in range(2, contours.shape[1] // 2 + 1):  # all pairs of edges without a common point
        other_start, other_end = np.roll(start, -shift, axis=1), np.roll(end, -shift, axis=1)
        separated = _side(start, end, other_start) * _side(start, end, other_end) < 0
        other_separated = _side(other_start, other_end, start) * _side(other_start, other_end, end) < 0
        found |= (separated & other_separated).any(axis=1)
    result[result] = found
    return result


def _is_star_shaped(contours: np.ndarray) -> np.ndarray:
    """(N,) bool: whether the contour runs once around its mean in one direction; it then cannot intersect itself.

    An edge through the mean has no direction around it, so a contour with such an edge is not counted.
    """
    x, y = np.moveaxis(contours - contours.mean(axis=1, keepdims=True), -1, 0)
    next_x, next_y = np.roll(x, -1, axis=1), np.roll(y, -1, axis=1)
    cross = x * next_y - y * next_x
    dot = x * next_x + y * next_y
    rounding = 1e-9 * (x**2 + y**2).max(axis=1, keepdims=True)
    through_mean = ((np.abs(cross) <= rounding) & (dot <= rounding)).any(axis=1)
    total_angle = np.arctan2(cross, dot).sum(axis=1)
    one_direction = (cross >= 0).all(axis=1) | (cross <= 0).all(axis=1)
    return one_direction & ~through_mean & (np.abs(total_angle) < 3 * np.pi)


def _side(start: np.ndarray, end: np.ndarray, point: np.ndarray) -> np.ndarray:
    """(N, P): 1, 0 or -1, the side of the line from start to end on which a point is."""
    line, offset = end - start, point - start
    return np.sign(line[..., 0] * offset[..., 1] - line[..., 1] * offset[..., 0])


def _order_by_angle(landmarks: np.ndarray) -> np.ndarray:
    """(N, K, 2) ordered by angle about the mean: a polygon without self-intersections."""
    x, y = np.moveaxis(landmarks - landmarks.mean(axis=1, keepdims=True, dtype=np.float64), -1, 0)
    return np.take_along_axis(landmarks, np.arctan2(y, x).argsort(axis=1)[..., None], axis=1)


def _polygon(landmarks: np.ndarray, per_segment: int, straight: int | None) -> np.ndarray:
    """Straight lines. The points of a segment are all equal to its first landmark, which gives the same polygon."""
    return np.repeat(landmarks, per_segment, axis=1)


def _cubic(landmarks: np.ndarray, per_segment: int, straight: int | None) -> np.ndarray:
    """Cubic spline with uniform parameters; periodic, or open if there is a straight segment."""
    return _cubic_weights(landmarks.shape[1], per_segment, straight) @ landmarks


@lru_cache(maxsize=32)
def _cubic_weights(count: int, per_segment: int, straight: int | None) -> np.ndarray:
    """(count * per_segment, count) float64: the weights of the landmarks in each point of the curve."""
    unit = np.eye(count)
    if straight is None:
        spline = CubicSpline(np.arange(count + 1), np.vstack([unit, unit[:1]]), bc_type="periodic")
        return spline(np.arange(count * per_segment) / per_segment)
    first = straight + 1
    spline = CubicSpline(np.arange(count), np.roll(unit, -first, axis=0))
    curve = spline(np.arange((count - 1) * per_segment) / per_segment)
    return np.roll(np.vstack([curve, np.repeat(unit[[straight]], per_segment, axis=0)]), first * per_segment, axis=0)


def _catmull_rom(landmarks: np.ndarray, per_segment: int, straight: int | None) -> np.ndarray:
    """Centripetal Catmull-Rom spline; the segments next to a straight segment are parabolas.

    The parameter advances by the square root of the distance between landmarks, so that there are no loops or cusps
    within a segment.

    Source: Yuksel, Schaefer and Keyser, "Parameterization and applications of Catmull-Rom curves", Computer-Aided
    Design 43, 2011.
    """
    count = landmarks.shape[1]
    following = np.roll(landmarks, -1, axis=1)
    step = np.sqrt(np.linalg.norm(following - landmarks, axis=2, keepdims=True))
    step = np.maximum(step, 1e-6)  # for equal landmarks
    slope = (following - landmarks) / step
    before, step_before = np.roll(slope, 1, axis=1), np.roll(step, 1, axis=1)
    velocity = (before * step + slope * step_before) / (step + step_before)
    if straight is not None:
        first = (straight + 1) % count
        velocity[:, straight] = 2 * slope[:, straight - 1] - velocity[:, straight - 1]
        velocity[:, first] = 2 * slope[:, first] - velocity[:, (first + 1) % count]

    t = np.arange(per_segment) / per_segment
    weights = [2 * t**3 - 3 * t**2 + 1, t**3 - 2 * t**2 + t, 3 * t**2 - 2 * t**3, t**3 - t**2]
    parts = [landmarks, velocity * step, following, np.roll(velocity, -1, axis=1) * step]
    curve = sum(part[:, :, None] * weight[:, None] for part, weight in zip(parts, weights, strict=True))
    if straight is not None:
        curve[:, straight] = landmarks[:, straight, None]
    return curve.reshape(len(landmarks), count * per_segment, 2)


OUTLINES: dict[str, Callable[[np.ndarray, int, int | None], np.ndarray]] = {
    "polygon": _polygon,
    "cubic": _cubic,
    "catmull_rom": _catmull_rom,
}
"""Name → function from landmarks (N, K, 2), points per segment and straight segment to contours (N, P, 2)."""
