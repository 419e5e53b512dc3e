"""Landmarks: a few points of a contour, each with an identity that a network can learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def _arc(contours: np.ndarray, count: int) -> np.ndarray:
    """Points at equal arc length, clockwise on the screen, from where the contour lies straight above its centroid."""
    contours = _clockwise(contours.astype(np.float64))
    following = np.roll(contours, -1, axis=1)
    lengths = np.linalg.norm(following - contours, axis=2)
    ends = np.cumsum(lengths, axis=1)
    begins = ends - lengths
    perimeter = ends[:, -1:]

    anchor = _arc_length_above_centroid(contours, following, begins, lengths)
    wanted = (anchor + np.arange(count) / count * perimeter) % np.maximum(perimeter, np.finfo(np.float64).tiny)
    segment = (wanted[:, :, None] >= ends[:, None, :]).sum(axis=2).clip(max=contours.shape[1] - 1)
    rows = np.arange(len(contours))[:, None]
    share = (wanted - begins[rows, segment]) / np.maximum(lengths[rows, segment], np.finfo(np.float64).tiny)
    start, end = contours[rows, segment], following[rows, segment]
    return (start + share[:, :, None] * (end - start)).astype(np.float32)


def _clockwise(contours: np.ndarray) -> np.ndarray:
    """Turn each contour so that it runs clockwise on the screen (y down)."""
    x, y = contours[..., 0], contours[..., 1]
    twice_area = (x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(axis=1)
    return np.where(twice_area[:, None, None] < 0, contours[:, ::-1], contours)


def _arc_length_above_centroid(
    contours: np.ndarray, following: np.ndarray, begins: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """(N, 1) arc length at which each contour crosses the vertical through its centroid for the last time upwards."""
    x0, y0 = contours[..., 0], contours[..., 1]
    x1, y1 = following[..., 0], following[..., 1]
    centre_x = _centroid_x(x0, y0, x1, y1)[:, None]
    crosses = (x0 <= centre_x) != (x1 <= centre_x)
    share = np.divide(centre_x - x0, x1 - x0, out=np.zeros_like(x0), where=crosses)
    height = np.where(crosses, y0 + share * (y1 - y0), np.inf)
    # a contour without width crosses nothing: take its highest point
    height = np.where(crosses.any(axis=1, keepdims=True), height, y0)
    top = height.argmin(axis=1)[:, None]
    return np.take_along_axis(begins + share * lengths, top, axis=1)


def _centroid_x(x0: np.ndarray, y0: np.ndarray, x1: np.ndarray, y1: np.ndarray) -> np.ndarray:
    """(N,) x of the centroid of the enclosed area; of the points where no area is enclosed."""
    cross = x0 * y1 - x1 * y0
    area = cross.sum(axis=1) * 3
    flat = np.abs(area) < 1e-9
    return np.where(flat, x0.mean(axis=1), ((x0 + x1) * cross).sum(axis=1) / np.where(flat, 1, area))


SCHEMES: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {"arc": _arc}


def choose_landmarks(contours: np.ndarray, count: int, *, scheme: str = "arc") -> np.ndarray:
    """Choose ``count`` landmarks on each contour.

    ``arc`` is anchored in the image ("straight above the centroid"), so it must look at a contour after the
    contour has been moved by the augmentation, never before.

    Args:
        contours: (N, P, 2) float32, pixels; repeated points are harmless, so ragged contours may be padded with them.
        count: landmarks a contour, K ≥ 3.
        scheme: a name in ``SCHEMES``.

    Returns:
        (N, K, 2) float32, pixels; landmark k has the same meaning in every contour.

    Raises:
        ValueError: fewer than three landmarks, or an unknown scheme.
    """
    if count < 3:
        raise ValueError(f"a contour needs at least 3 landmarks, got {count}")
    if scheme not in SCHEMES:
        raise ValueError(f"unknown landmark scheme {scheme!r}; known: {', '.join(SCHEMES)}")
    return SCHEMES[scheme](contours, count)
