"""A smooth closed outline through a few landmarks."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.interpolate import CubicSpline


@lru_cache(maxsize=32)
def _weights(count: int, per_segment: int) -> np.ndarray:
    """(count * per_segment, count) float64: each point of the curve as a weighted sum of the landmarks."""
    unit = np.eye(count)
    spline = CubicSpline(np.arange(count + 1), np.vstack([unit, unit[:1]]), bc_type="periodic")
    return spline(np.arange(count * per_segment) / per_segment)


def close_spline(landmarks: np.ndarray, *, per_segment: int = 12) -> np.ndarray:
    """Join landmarks, in their own order, by a periodic cubic spline.

    The parameter runs evenly from landmark to landmark, which suits landmarks at equal arc length. The curve is
    linear in the landmarks, so a whole batch is one matrix product.

    Args:
        landmarks: (..., K, 2) float, pixels, K ≥ 3.
        per_segment: points on the curve from one landmark to the next.

    Returns:
        (..., K * per_segment, 2) float32, pixels; every ``per_segment``-th point is a landmark.

    Raises:
        ValueError: fewer than three landmarks.
    """
    landmarks = np.asarray(landmarks)
    count = landmarks.shape[-2]
    if count < 3:
        raise ValueError(f"a closed outline needs at least 3 landmarks, got {count}")
    return (_weights(count, per_segment) @ landmarks).astype(np.float32)
