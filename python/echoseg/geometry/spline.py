"""A closed outline through a few landmarks."""

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
    """Join landmarks, in their scheme's order, to an outline that does not cross itself.

    Where a curve would cross itself, straight lines take its place; where those would too (the landmarks are out of
    order, as the scheme ``angle`` and bad predictions have them), straight lines in the order of the landmarks' angles
    about their mean.

    Args:
        landmarks: (..., K, 2) float, pixels, K ≥ 3.
        scheme: that chose them; ``anatomical`` ones have a straight line between the ends of the annulus.
        outline: a name in ``OUTLINES``.
        per_segment: points from one landmark to the next.

    Returns:
        (..., K * per_segment, 2) float32, pixels; every ``per_segment``-th point is a landmark.

    Raises:
        ValueError: fewer than three landmarks, or an unknown outline.
    """
    straight = SCHEMES[scheme].straight(np.shape(landmarks)[-2])
    return join_points(landmarks, straight=straight, outline=outline, per_segment=per_segment)


def join_points(
    points: np.ndarray, *, straight: int | None = None, outline: str = "cubic", per_segment: int = PER_SEGMENT
) -> np.ndarray:
    """As ``join_landmarks``, for points of no scheme.

    Args:
        points: (..., K, 2) float, pixels, K ≥ 3.
        straight: the point from which the outline runs straight to the next one; None for none.
        outline: a name in ``OUTLINES``.
        per_segment: points from one to the next.

    Returns:
        (..., K * per_segment, 2) float32, pixels.

    Raises:
        ValueError: fewer than three points, or an unknown outline.
    """
    if outline not in OUTLINES:
        raise ValueError(f"unknown outline {outline!r}; known: {', '.join(OUTLINES)}")
    given = np.asarray(points, dtype=np.float32)
    count = given.shape[-2]
    if count < 3:
        raise ValueError(f"a closed outline needs at least 3 landmarks, got {count}")
    points = given.reshape(-1, count, 2)
    curves = OUTLINES[outline](points, per_segment, straight).astype(np.float32)
    tangled = crosses_itself(points)
    doubtful = tangled | crosses_itself(curves)
    points = np.where(tangled[:, None, None], _by_angle(points), points)
    curves[doubtful] = _polygon(points[doubtful], per_segment, None)
    return curves.reshape(*given.shape[:-2], count * per_segment, 2)


def crosses_itself(outlines: np.ndarray) -> np.ndarray:
    """Whether two edges of a closed outline cross; to touch is not to cross.

    Args:
        outlines: (N, P, 2) float.

    Returns:
        (N,) bool.
    """
    outlines = np.asarray(outlines, dtype=np.float64)
    doubtful = ~_goes_once_around_its_mean(outlines)
    if not doubtful.any():
        return doubtful
    start = outlines[doubtful]
    end = np.roll(start, -1, axis=1)
    found = np.zeros(len(start), dtype=bool)
    for shift in range(2, outlines.shape[1] // 2 + 1):  # each pair of edges that share no point
        other_start, other_end = np.roll(start, -shift, axis=1), np.roll(end, -shift, axis=1)
        split = _side(start, end, other_start) * _side(start, end, other_end) < 0
        found |= (split & (_side(other_start, other_end, start) * _side(other_start, other_end, end) < 0)).any(axis=1)
    doubtful[doubtful] = found
    return doubtful


def _goes_once_around_its_mean(outlines: np.ndarray) -> np.ndarray:
    """(N,) bool: always the same way round, and once only; such an outline cannot cross itself, as most do not."""
    x, y = np.moveaxis(outlines - outlines.mean(axis=1, keepdims=True), -1, 0)
    next_x, next_y = np.roll(x, -1, axis=1), np.roll(y, -1, axis=1)
    cross = x * next_y - y * next_x
    turned = np.arctan2(cross, x * next_x + y * next_y).sum(axis=1)
    return ((cross >= 0).all(axis=1) | (cross <= 0).all(axis=1)) & (np.abs(turned) < 3 * np.pi)


def _side(start: np.ndarray, end: np.ndarray, point: np.ndarray) -> np.ndarray:
    """(N, P): 1, 0 or -1, on which side of the line from start to end a point lies."""
    along, towards = end - start, point - start
    return np.sign(along[..., 0] * towards[..., 1] - along[..., 1] * towards[..., 0])


def _by_angle(landmarks: np.ndarray) -> np.ndarray:
    """(N, K, 2) in the order of their angles about their mean: an outline that cannot cross itself."""
    x, y = np.moveaxis(landmarks - landmarks.mean(axis=1, keepdims=True, dtype=np.float64), -1, 0)
    return np.take_along_axis(landmarks, np.arctan2(y, x).argsort(axis=1)[..., None], axis=1)


def _polygon(landmarks: np.ndarray, per_segment: int, straight: int | None) -> np.ndarray:
    """Straight lines; the points between two landmarks all lie on the first of them, which a fill does not see."""
    return np.repeat(landmarks, per_segment, axis=1)


def _cubic(landmarks: np.ndarray, per_segment: int, straight: int | None) -> np.ndarray:
    """Cubic spline, periodic or, with a straight edge, open; its parameter runs evenly from landmark to landmark."""
    return _cubic_weights(landmarks.shape[1], per_segment, straight) @ landmarks


@lru_cache(maxsize=32)
def _cubic_weights(count: int, per_segment: int, straight: int | None) -> np.ndarray:
    """(count * per_segment, count) float64: each point of the curve as a weighted sum of the landmarks."""
    unit = np.eye(count)
    if straight is None:
        spline = CubicSpline(np.arange(count + 1), np.vstack([unit, unit[:1]]), bc_type="periodic")
        return spline(np.arange(count * per_segment) / per_segment)
    first = straight + 1
    spline = CubicSpline(np.arange(count), np.roll(unit, -first, axis=0))
    curve = spline(np.arange((count - 1) * per_segment) / per_segment)
    return np.roll(np.vstack([curve, np.repeat(unit[[straight]], per_segment, axis=0)]), first * per_segment, axis=0)


def _catmull_rom(landmarks: np.ndarray, per_segment: int, straight: int | None) -> np.ndarray:
    """Centripetal Catmull-Rom spline: the parameter runs as the square root of the distance, so that landmarks at
    unequal distances make neither loops nor cusps between two of them. Beside a straight edge it ends in a parabola.

    Source: Yuksel, Schaefer and Keyser, "Parameterization and applications of Catmull-Rom curves", Computer-Aided
    Design 43, 2011.
    """
    count = landmarks.shape[1]
    following = np.roll(landmarks, -1, axis=1)
    step = np.sqrt(np.linalg.norm(following - landmarks, axis=2, keepdims=True))
    step = np.maximum(step, 1e-6)  # landmarks in one place
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
"""Name → function from (N, K, 2) landmarks, points a segment and the straight segment to the (N, P, 2) outline."""
