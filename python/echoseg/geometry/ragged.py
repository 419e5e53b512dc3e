"""Contours of unequal length as one dense array."""

from __future__ import annotations

import numpy as np


def pad_contours(points: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Make ragged contours dense by repeating each one's last point, which changes neither outline nor area.

    Args:
        points: (M, 2) float32, pixels.
        offsets: (N + 1,) int64; contour i is ``points[offsets[i]:offsets[i + 1]]``, at least one point each.

    Returns:
        (N, P, 2) float32, P the length of the longest contour.
    """
    lengths = np.diff(offsets)
    column = np.minimum(np.arange(lengths.max(initial=0)), lengths[:, None] - 1)
    return points[offsets[:-1, None] + column]
