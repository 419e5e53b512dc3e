"""From a mask back to the outline that draws it."""

from __future__ import annotations

from typing import Any

import contourpy
import numpy as np
from numpy.typing import ArrayLike, NDArray

from echoseg.geometry.contour import contour_area


def outline_of_mask(mask: ArrayLike) -> NDArray[np.float32] | None:
    """Trace the outer contour of a mask's largest piece, halfway between the pixels inside and those outside.

    Pixels that touch by a corner only belong to different pieces. Filled by the rule "center", the contour gives that
    piece back, pixel for pixel, its holes closed.

    Args:
        mask: (H, W), nonzero inside.

    Returns:
        (P, 2) float32, pixels, P at least 4; None of an empty mask.

    Raises:
        ValueError: not (H, W).
    """
    inside = np.asarray(mask) != 0
    if inside.ndim != 2:
        raise ValueError(f"mask: expected (H, W), got shape {inside.shape}")
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    top, left = rows[0], columns[0]
    piece = np.pad(inside[top : rows[-1] + 1, left : columns[-1] + 1], 1).astype(np.float64)
    lines: Any = contourpy.contour_generator(z=piece, line_type="Separate").lines(0.5)
    largest = max(lines, key=lambda line: float(contour_area(line)))
    return np.asarray(largest[:-1] + np.array([left - 1, top - 1]), dtype=np.float32)
