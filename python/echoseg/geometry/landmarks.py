"""Chooses landmarks: K points on a contour, where landmark k has the same meaning in all contours.

A scheme determines how landmarks are chosen. A scheme that refers to the image ("straight above the centroid") chooses
them on the augmented contour. A scheme that refers to the anatomy ("the apex") chooses them once, and augmentation
moves them with the contour.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from echoseg.errors import DataError
from echoseg.geometry.ragged import pad_contours

_EPSILON = 1e-3  # pixels; points closer to the last one are padding
_BASE = 0.2  # share of the height at the base for the scheme "extremes"


class Scheme(NamedTuple):
    """A method of choosing landmarks.

    Attributes:
        choose: Function from contours (N, P, 2) float64, padded with their last points, their lengths (N,) and K to the
            landmarks (N, K, 2) float64.
        anchor: "image" or "anatomy": what the landmarks refer to.
        mirror: Function from K to indices (K,): landmark k of a mirrored contour is the mirror image of landmark
            `mirror(K)[k]`.
        accepts: Whether the scheme can choose K landmarks.
        accepted_counts: A description of the accepted K, for error messages.
        names: Function from K to the names of the landmarks, in their order. Left and right are those of the screen.
        straight: Function from K to the index of the landmark that is connected to the next one by a straight line;
            None if there is no such landmark.
    """

    choose: Callable[[np.ndarray, np.ndarray, int], np.ndarray]
    anchor: str
    mirror: Callable[[int], np.ndarray]
    accepts: Callable[[int], bool]
    accepted_counts: str
    names: Callable[[int], list[str]]
    straight: Callable[[int], int | None] = lambda count: None


def choose_landmarks(
    contours: np.ndarray, count: int, *, scheme: str = "arc", offsets: np.ndarray | None = None
) -> np.ndarray:
    """Choose K landmarks on each contour.

    Args:
        contours: (N, P, 2) float32, pixels, where the last point may be repeated as padding; or (M, 2) float32 with
            `offsets`.
        count: K, the number of landmarks per contour.
        scheme: A name in `SCHEMES`.
        offsets: (N+1,) int64, for ragged contours.

    Returns:
        (N, K, 2) float32, pixels; nan for a ragged contour without points. Landmark k has the same meaning in all
        contours. Except for the scheme `angle`, the landmarks are in order around the contour.

    Raises:
        DataError: The scheme does not accept this number of landmarks, or a contour has too few points.
        ValueError: The scheme is unknown.
    """
    check_count(count, scheme)
    if offsets is None:
        differs = np.abs(contours - contours[:, -1:]).max(axis=2, initial=0) > _EPSILON
        lengths = np.minimum((differs * np.arange(1, contours.shape[1] + 1)).max(axis=1) + 1, contours.shape[1])
    else:
        traced = np.diff(offsets) > 0
        if not traced.all():
            landmarks = np.full((len(traced), count, 2), np.nan, dtype=np.float32)
            traced_offsets = offsets[np.append(True, traced)]
            landmarks[traced] = choose_landmarks(contours, count, scheme=scheme, offsets=traced_offsets)
            return landmarks
        contours, lengths = pad_contours(contours, offsets), np.diff(offsets)
    return SCHEMES[scheme].choose(contours.astype(np.float64), lengths, count).astype(np.float32)


def move_landmarks(landmarks: np.ndarray, linear: np.ndarray, offset: np.ndarray, *, scheme: str) -> np.ndarray:
    """Apply affine maps to landmarks of a scheme that refers to the anatomy.

    Args:
        landmarks: (N, K, 2) float, pixels.
        linear: (N, 2, 2) float, the linear part of each map; a negative determinant mirrors.
        offset: (N, 2) float, the translation of each map, pixels.
        scheme: A name in `SCHEMES`.

    Returns:
        (N, K, 2) float32, pixels: the landmarks that the scheme would choose on the mapped contours.
    """
    moved = landmarks @ linear.transpose(0, 2, 1) + offset[:, None]
    mirrored = np.linalg.det(linear) < 0
    moved[mirrored] = moved[mirrored][:, SCHEMES[scheme].mirror(landmarks.shape[1])]
    return moved.astype(np.float32)


def check_count(count: int, scheme: str) -> None:
    """Check that a scheme accepts a number of landmarks.

    Raises:
        DataError: The scheme does not accept this number.
        ValueError: The scheme is unknown.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"unknown landmark scheme {scheme!r}; use one of {', '.join(SCHEMES)}")
    if not SCHEMES[scheme].accepts(count):
        raise DataError(
            f"{count} landmarks: the scheme {scheme!r} accepts {SCHEMES[scheme].accepted_counts}; change the number or "
            "the scheme"
        )


def _arc(contours: np.ndarray, lengths: np.ndarray, count: int) -> np.ndarray:
    """Points at equal arc length, clockwise on the screen, from the point straight above the centroid."""
    contours = np.where(_runs_clockwise(contours)[:, None, None], contours, contours[:, ::-1])
    following = np.roll(contours, -1, axis=1)
    steps = np.linalg.norm(following - contours, axis=2)
    ends = np.cumsum(steps, axis=1)
    begins = ends - steps
    perimeter = ends[:, -1:]

    anchor = _arc_length_above_centroid(contours, following, begins, steps)
    targets = (anchor + np.arange(count) / count * perimeter) % np.maximum(perimeter, np.finfo(np.float64).tiny)
    segment = (targets[:, :, None] >= ends[:, None, :]).sum(axis=2).clip(max=contours.shape[1] - 1)
    rows = np.arange(len(contours))[:, None]
    fraction = (targets - begins[rows, segment]) / np.maximum(steps[rows, segment], np.finfo(np.float64).tiny)
    start, end = contours[rows, segment], following[rows, segment]
    return start + fraction[:, :, None] * (end - start)


def _angle(contours: np.ndarray, lengths: np.ndarray, count: int) -> np.ndarray:
    """The contour points with the smallest interior angles, in increasing order of the angle.

    The points are first ordered by their angle about their mean, which also resolves ties. Landmark k is the k-th
    sharpest corner, which is not a fixed location of the ventricle; the scheme is kept for comparison.

    Source: Rodríguez Valencia et al., who also use the ends of the long axis.
    """
    if len(lengths) and lengths.min() < count:
        raise DataError(
            f"the scheme 'angle' chooses among the points of a contour, but a contour has {lengths.min()} points for "
            f"{count} landmarks; choose fewer landmarks, or the scheme 'arc'"
        )
    valid = _is_valid(contours, lengths)
    mean = (contours * valid[..., None]).sum(axis=1, keepdims=True) / lengths[:, None, None]
    x, y = np.moveaxis(contours - mean, -1, 0)
    order = np.where(valid, np.arctan2(y, x), np.inf).argsort(axis=1, kind="stable")
    contours = np.take_along_axis(contours, order[..., None], axis=1)
    angles = np.where(valid, _interior_angles(*_edges(contours, lengths)), np.inf)
    sharpest = angles.argsort(axis=1, kind="stable")[:, :count]
    return np.take_along_axis(contours, sharpest[..., None], axis=1)


def _extremes(contours: np.ndarray, lengths: np.ndarray, count: int) -> np.ndarray:
    """Six contour points, clockwise on the screen from the top.

    The points are top and bottom, leftmost and rightmost in the lowest fifth of the height, and the point of highest
    curvature of each wall between the highest and the lowest fifth.

    Source: Mendoza et al., who use the two points of highest curvature anywhere. Here each wall, that is each side of
    the line from top to bottom, has one of them, since two points on one wall could not be distinguished.
    """
    valid = _is_valid(contours, lengths)
    x, y = contours[..., 0], contours[..., 1]
    top, bottom = np.where(valid, y, np.inf).argmin(axis=1), np.where(valid, y, -np.inf).argmax(axis=1)
    rows = np.arange(len(contours))
    start, axis = contours[rows, top], contours[rows, bottom] - contours[rows, top]
    depth = (y - start[:, 1:]) / np.maximum(axis[:, 1:], _EPSILON)
    base = valid & (depth >= 1 - _BASE)
    middle = valid & (depth > _BASE) & (depth < 1 - _BASE)
    left, right = np.where(base, x, np.inf).argmin(axis=1), np.where(base, x, -np.inf).argmax(axis=1)

    backward, forward = _edges(contours, lengths)
    length = np.linalg.norm(backward, axis=2) + np.linalg.norm(forward, axis=2)
    curvature = (np.pi - _interior_angles(backward, forward)) / np.maximum(length, _EPSILON)
    side = axis[:, :1] * (y - start[:, 1:]) - axis[:, 1:] * (x - start[:, :1])
    walls = [
        np.where(middle & wall, curvature, np.where(valid & wall, -1.0, -2.0)).argmax(axis=1)
        for wall in (side > 0, side < 0)
    ]
    return contours[rows[:, None], np.stack([top, walls[1], right, bottom, left, walls[0]], axis=1)]


def _anatomical(contours: np.ndarray, lengths: np.ndarray, count: int) -> np.ndarray:
    """Apex, both ends of the mitral annulus, and pairs of wall points at fixed fractions of the long axis.

    The landmarks are clockwise on the screen, from the apex. The contour must be a tracing by chords in the ordering
    `chords`. Chords cross the long axis at equal steps, so the index of a chord is its depth. The apex is the centre of
    the first chord, and the last chord is the annulus. The pairs are denser towards the apex: their depths correspond
    to equal steps of angle on half an ellipse.
    """
    pairs = (count - 3) // 2
    depths = 1 - np.cos(np.pi / 2 * np.arange(pairs + 2) / (pairs + 1))
    indices = depths * (lengths[:, None] // 2 - 1)
    walls = _interpolate(contours, indices), _interpolate(contours, lengths[:, None] - 1 - indices)
    apex = (walls[0][:, :1] + walls[1][:, :1]) / 2
    clockwise = _runs_clockwise(contours)[:, None, None]
    first, second = np.where(clockwise, walls[0], walls[1]), np.where(clockwise, walls[1], walls[0])
    return np.concatenate([apex, first[:, 1:], second[:, :0:-1]], axis=1)


def _interpolate(contours: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """(N, K, 2) points at fractional indices (N, K), by linear interpolation."""
    rows, before = np.arange(len(contours))[:, None], np.floor(indices).astype(np.intp)
    after = np.ceil(indices).astype(np.intp)
    return contours[rows, before] + (indices - before)[..., None] * (contours[rows, after] - contours[rows, before])


def _is_valid(contours: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(N, P) bool: False for padding."""
    return np.arange(contours.shape[1]) < lengths[:, None]


def _edges(contours: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors from each point to the previous and to the next point, (N, P, 2) each."""
    index, last = np.arange(contours.shape[1]), lengths[:, None] - 1
    before, after = np.where(index == 0, last, index - 1), np.where(index >= last, 0, index + 1)
    rows = np.arange(len(contours))[:, None]
    return contours[rows, before] - contours, contours[rows, after] - contours


def _interior_angles(backward: np.ndarray, forward: np.ndarray) -> np.ndarray:
    """(N, P) angle between the edges at each point, from 0 to π; π if an edge has length 0."""
    cross = backward[..., 0] * forward[..., 1] - backward[..., 1] * forward[..., 0]
    angles = np.abs(np.arctan2(cross, (backward * forward).sum(axis=2)))
    return np.where(backward.any(axis=2) & forward.any(axis=2), angles, np.pi)


def _runs_clockwise(contours: np.ndarray) -> np.ndarray:
    """(N,) bool: whether contours run clockwise on the screen (y down); True for contours without area."""
    x, y = contours[..., 0], contours[..., 1]
    return (x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(axis=1) >= 0


def _arc_length_above_centroid(
    contours: np.ndarray, following: np.ndarray, begins: np.ndarray, steps: np.ndarray
) -> np.ndarray:
    """(N, 1) arc length at the topmost intersection of each contour with the vertical line through its centroid."""
    x0, y0 = contours[..., 0], contours[..., 1]
    x1, y1 = following[..., 0], following[..., 1]
    centre_x = _centroid_x(x0, y0, x1, y1)[:, None]
    crosses = (x0 <= centre_x) != (x1 <= centre_x)
    fraction = np.divide(centre_x - x0, x1 - x0, out=np.zeros_like(x0), where=crosses)
    height = np.where(crosses, y0 + fraction * (y1 - y0), np.inf)
    # a contour without width has no intersection: use its topmost point
    height = np.where(crosses.any(axis=1, keepdims=True), height, y0)
    top = height.argmin(axis=1)[:, None]
    return np.take_along_axis(begins + fraction * steps, top, axis=1)


def _centroid_x(x0: np.ndarray, y0: np.ndarray, x1: np.ndarray, y1: np.ndarray) -> np.ndarray:
    """(N,) x of the centroid of the enclosed area, or of the points if the area is 0."""
    cross = x0 * y1 - x1 * y0
    area = cross.sum(axis=1) * 3
    flat = np.abs(area) < 1e-9
    return np.where(flat, x0.mean(axis=1), ((x0 + x1) * cross).sum(axis=1) / np.where(flat, 1, area))


def _reversed_order(count: int) -> np.ndarray:
    """`Scheme.mirror` for clockwise landmarks, the first of which is its own mirror image."""
    return -np.arange(count) % count


def _anatomical_names(count: int) -> list[str]:
    right, left = ([f"{side} wall {number + 1}" for number in range((count - 3) // 2)] for side in ("right", "left"))
    return ["apex", *right, "right annulus", "left annulus", *left[::-1]]


def _at_least_3(count: int) -> bool:
    return count >= 3


SCHEMES: dict[str, Scheme] = {
    "arc": Scheme(
        _arc,
        "image",
        _reversed_order,
        _at_least_3,
        "at least 3",
        lambda count: ["top", *(f"{number}/{count} of the arc clockwise from the top" for number in range(1, count))],
    ),
    "anatomical": Scheme(
        _anatomical,
        "anatomy",
        _reversed_order,
        lambda count: count >= 3 and count % 2 == 1,
        "3, 5, 7, …",
        _anatomical_names,
        straight=lambda count: count // 2,
    ),
    "angle": Scheme(
        _angle,
        "anatomy",
        np.arange,
        _at_least_3,
        "at least 3",
        lambda count: [f"corner {number + 1} by sharpness" for number in range(count)],
    ),
    "extremes": Scheme(
        _extremes,
        "image",
        _reversed_order,
        lambda count: count == 6,
        "exactly 6",
        lambda count: ["top", "right wall", "right base", "bottom", "left base", "left wall"],
    ),
}
"""Scheme name → scheme."""
