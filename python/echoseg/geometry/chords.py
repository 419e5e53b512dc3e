"""Converts a contour to the chords of a tracing, as EchoNet-Dynamic stores them."""

from __future__ import annotations

import numpy as np

CHORDS = 20
"""The number of chords in tracings of EchoNet-Dynamic."""


def cut_chords(contour: np.ndarray, axis: np.ndarray, *, count: int = CHORDS) -> np.ndarray:
    """Intersect a contour with lines perpendicular to its long axis, at the centres of equal slices.

    Args:
        contour: (P, 2) float, closed, pixels.
        axis: (2, 2) float, apex and middle of the base, pixels; two different points on the contour.
        count: Number of chords.

    Returns:
        (1 + count, 4) float32, pixels: x1, y1, x2, y2 of the long axis, followed by the chords from apex to base. Each
        chord connects the two outermost intersections, from left to right if the apex is on top.
    """
    apex, base = np.asarray(axis, dtype=np.float64)
    direction = base - apex
    perpendicular = np.array([direction[1], -direction[0]]) / np.hypot(*direction)
    closed = np.concatenate([contour, contour[:1]]).astype(np.float64)
    rows = [np.concatenate([apex, base])]
    for depth in (np.arange(count) + 0.5) / count:
        height = (closed - (apex + depth * direction)) @ direction
        start, end = height[:-1], height[1:]
        edges = np.flatnonzero((start <= 0) != (end <= 0))
        fraction = (start[edges] / (start[edges] - end[edges]))[:, None]
        intersections = closed[edges] + fraction * (closed[edges + 1] - closed[edges])
        offset = intersections @ perpendicular
        rows.append(np.concatenate([intersections[offset.argmin()], intersections[offset.argmax()]]))
    return np.asarray(rows, dtype=np.float32)
