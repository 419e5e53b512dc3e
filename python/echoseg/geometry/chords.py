"""From an outline back to the chords of a tracing."""

from __future__ import annotations

import numpy as np

CHORDS = 20  # as EchoNet-Dynamic has them


def cut_chords(outline: np.ndarray, axis: np.ndarray, *, count: int = CHORDS) -> np.ndarray:
    """Cut an outline across its long axis, at the middles of equal slices.

    Args:
        outline: (P, 2) float, closed, pixels.
        axis: (2, 2) float, apex and middle of the base, on the outline and apart.
        count: chords.

    Returns:
        (1 + count, 4) float32, pixels: x1, y1, x2, y2 of the long axis, then of the chords from apex to base, each
        between the outermost places where its line meets the outline, from left to right where the apex is on top.
    """
    top, bottom = np.asarray(axis, dtype=np.float64)
    along = bottom - top
    across = np.array([along[1], -along[0]]) / np.hypot(*along)
    closed = np.concatenate([outline, outline[:1]]).astype(np.float64)
    rows = [np.concatenate([top, bottom])]
    for share in (np.arange(count) + 0.5) / count:
        height = (closed - (top + share * along)) @ along
        start, end = height[:-1], height[1:]
        hit = np.flatnonzero((start <= 0) != (end <= 0))
        where = (start[hit] / (start[hit] - end[hit]))[:, None]
        places = closed[hit] + where * (closed[hit + 1] - closed[hit])
        offset = places @ across
        rows.append(np.concatenate([places[offset.argmin()], places[offset.argmax()]]))
    return np.asarray(rows, dtype=np.float32)
