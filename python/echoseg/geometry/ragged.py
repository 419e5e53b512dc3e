"""Converts contours of different lengths to one dense array."""

from __future__ import annotations

import numpy as np


def pad_contours(points: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Pad ragged contours by repeating their last points, which changes neither their shape nor their area.

    Args:
        points: (M, 2) float32, pixels.
        offsets: (N+1,) int64; contour i is `points[offsets[i]:offsets[i + 1]]`, with at least one point.

    Returns:
        (N, P, 2) float32, pixels, where P is the length of the longest contour.
    """
    lengths = np.diff(offsets)
    column = np.minimum(np.arange(lengths.max(initial=0)), lengths[:, None] - 1)
    return points[offsets[:-1, None] + column]
