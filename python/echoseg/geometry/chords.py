"""Chords of a tracing, as EchoNet-Dynamic stores them: cut from a contour, or brought into the order that it uses."""

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


def arrange_chords(rows: np.ndarray) -> np.ndarray | None:
    """Bring the rows of a tracing into the order of EchoNet-Dynamic, whatever the order in the file.

    The long axis is the row that crosses the others; it is moved to row 0. The chords are sorted from apex to base, and
    turned so that all have the same direction. If the axis and the order of the chords contradict each other, the apex
    is at the end with the shorter chords, since the mitral valve is wider than the apex. A row that occurs twice is
    used once.

    Args:
        rows: (R, 4) float32, pixels: x1, y1, x2, y2 of the long axis and the chords.

    Returns:
        (Q, 4) float32, Q ≤ R; `rows` itself if it is in order. None if there is not exactly one long axis, which
        crosses at least half of the other rows.
    """
    unique = rows[np.sort(np.unique(rows, axis=0, return_index=True)[1])]
    rows = rows if len(unique) == len(rows) else unique
    crossings = _crossings(rows)
    is_axis = crossings >= max(2, (len(rows) - 1) / 2)
    if is_axis.sum() != 1:
        return None
    place = int(is_axis.argmax())
    axis, chords = rows[place], np.delete(rows, place, axis=0)
    direction = axis[2:].astype(np.float64) - axis[:2]
    perpendicular = np.array([direction[1], -direction[0]])
    depth = (chords[:, :2] + chords[:, 2:]).astype(np.float64) @ direction
    is_turned = (chords[:, 2:] - chords[:, :2]).astype(np.float64) @ perpendicular < 0
    wrong = is_turned if is_turned.mean() <= 0.5 else ~is_turned  # most chords have the same direction
    chords = np.where(wrong[:, None], chords[:, [2, 3, 0, 1]], chords)
    steps = np.diff(depth)
    chords = chords[np.argsort(depth, kind="stable")]
    if steps.size and (steps < 0).all() and _is_narrower_at_end(chords):
        axis, chords = axis[[2, 3, 0, 1]], chords[::-1]
    arranged = np.concatenate([axis[None], chords])
    return rows if np.array_equal(arranged, rows) else arranged


def are_arranged(rows: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Whether tracings are in the order of `arrange_chords` and enclose an area; much faster than arranging each one.

    Args:
        rows: (M, 4) float32, the rows of all tracings, pixels.
        edges: (N + 1,) int64, tracing i is rows[edges[i]:edges[i + 1]]; no tracing is empty.

    Returns:
        (N,) bool.
    """
    counts = np.diff(edges)
    axis = np.repeat(rows[edges[:-1]], counts, axis=0).astype(np.float64)
    start, along = axis[:, :2], axis[:, 2:] - axis[:, :2]
    first, second = rows[:, :2] - start, rows[:, 2:] - start
    chord = second - first

    def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]

    is_axis = np.zeros(len(rows), dtype=bool)
    is_axis[edges[:-1]] = True
    crosses = (cross(along, first) * cross(along, second) <= 0) & (
        cross(chord, first) * cross(chord, first - along) <= 0
    )
    crossed = np.add.reduceat(crosses & ~is_axis, edges[:-1])
    direction = np.sign(cross(along, chord)) * ~is_axis
    is_same_direction = np.abs(np.add.reduceat(direction, edges[:-1])) == counts - 1
    depth = np.einsum("ij,ij->i", first + second, along)
    falls = np.concatenate([[False], (np.diff(depth) < 0) | (np.diff(rows, axis=0) == 0).all(axis=1)]) & ~is_axis
    first_chord = np.minimum(edges[:-1] + 1, edges[1:] - 1)
    falls[first_chord] = False  # it follows the axis
    rises = (np.add.reduceat(falls, edges[:-1]) == 0) & (depth[edges[1:] - 1] > depth[first_chord])
    return (crossed >= np.maximum(2, (counts - 1) / 2)) & is_same_direction & rises


def _is_narrower_at_end(chords: np.ndarray) -> bool:
    """Whether the chords of the last fifth are shorter than those of the first."""
    lengths = np.hypot(*(chords[:, 2:] - chords[:, :2]).T)
    count = max(1, len(chords) // 5)
    return bool(lengths[-count:].mean() < lengths[:count].mean())


def _crossings(rows: np.ndarray) -> np.ndarray:
    """(R,) int: how many other rows each row crosses or touches."""
    start, end = rows[:, None, :2].astype(np.float64), rows[:, None, 2:].astype(np.float64)
    along = end - start

    def side(points: np.ndarray) -> np.ndarray:
        """(R, R): on which side of row i the point of row j is."""
        offset = points.astype(np.float64) - start
        return along[..., 0] * offset[..., 1] - along[..., 1] * offset[..., 0]

    divides = side(rows[None, :, :2]) * side(rows[None, :, 2:]) <= 0  # line i divides segment j
    crosses = divides & divides.T
    np.fill_diagonal(crosses, False)
    return crosses.sum(axis=1)
