"""Converts contours of different lengths to one dense array."""

from __future__ import annotations

import numpy as np

_OUTSIDE = -1e5  # pixels: far outside any image, before and after an augmentation


def pad_contours(points: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Pad ragged contours by repeating their last points, which changes neither their shape nor their area.

    The contour of a blank slice, which has no points, becomes one point far outside the image, so that its mask is
    empty.

    Args:
        points: (M, 2) float32, pixels.
        offsets: (N+1,) int64; contour i is `points[offsets[i]:offsets[i + 1]]`.

    Returns:
        (N, P, 2) float32, pixels, where P is the length of the longest contour.
    """
    lengths = np.diff(offsets)
    traced = lengths > 0
    column = np.minimum(np.arange(lengths.max(initial=0)), lengths[traced, None] - 1)
    padded = np.full((len(lengths), column.shape[1], 2), _OUTSIDE, dtype=points.dtype)
    padded[traced] = points[offsets[:-1][traced, None] + column]
    return padded
