"""Landmarks: a few points of a contour, each with an identity that a network can learn.

A scheme says how they are chosen. One that is anchored in the image ("straight above the centroid") must look at a
contour after augmentation has moved it. One that is anchored in the anatomy ("the apex") chooses once, and its
landmarks move with the contour.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from echoseg.errors import DataError
from echoseg.geometry.ragged import pad_contours

_SAME = 1e-3  # pixels: points that near to the last one are its padding
_LOW = 0.2  # of the height, from below


class Scheme(NamedTuple):
    """How landmarks are chosen.

    Attributes:
        choose: (N, P, 2) float64 contours padded with their last points, (N,) their lengths, K → (N, K, 2).
        anchor: "image" or "anatomy".
        mirror: K → (K,) places: landmark k of a mirrored contour is the mirror image of landmark ``mirror(K)[k]``.
        takes: whether it can choose K landmarks.
        counts: which K it takes, in words.
        straight: K → the landmark from which the outline runs straight to the next one; None for none.
    """

    choose: Callable[[np.ndarray, np.ndarray, int], np.ndarray]
    anchor: str
    mirror: Callable[[int], np.ndarray]
    takes: Callable[[int], bool]
    counts: str
    straight: Callable[[int], int | None] = lambda count: None


def choose_landmarks(
    contours: np.ndarray, count: int, *, scheme: str = "arc", offsets: np.ndarray | None = None
) -> np.ndarray:
    """Choose ``count`` landmarks on each contour.

    Args:
        contours: (N, P, 2) float32, pixels, where a contour's last point may be repeated as padding; or, with
            ``offsets``, (M, 2) float32.
        count: landmarks a contour, K.
        scheme: a name in ``SCHEMES``.
        offsets: (N + 1,) int64 of ragged contours.

    Returns:
        (N, K, 2) float32, pixels; landmark k has the same meaning in every contour, and joined in their order the
        landmarks go once around it (but for ``angle``).

    Raises:
        DataError: a number of landmarks that the scheme does not take, or contours that have too few points for it.
        ValueError: an unknown scheme.
    """
    check_count(count, scheme)
    if offsets is None:
        apart = np.abs(contours - contours[:, -1:]).max(axis=2, initial=0) > _SAME
        lengths = np.minimum((apart * np.arange(1, contours.shape[1] + 1)).max(axis=1) + 1, contours.shape[1])
    else:
        contours, lengths = pad_contours(contours, offsets), np.diff(offsets)
    return SCHEMES[scheme].choose(contours.astype(np.float64), lengths, count).astype(np.float32)


def move_landmarks(landmarks: np.ndarray, linear: np.ndarray, offset: np.ndarray, *, scheme: str) -> np.ndarray:
    """Move landmarks that are anchored in the anatomy with their contours.

    Args:
        landmarks: (N, K, 2) float, pixels.
        linear, offset: (N, 2, 2) and (N, 2), one map an image; those of negative determinant mirror.
        scheme: a name in ``SCHEMES``.

    Returns:
        (N, K, 2) float32, pixels: as the scheme would choose them on the moved contours.
    """
    moved = landmarks @ linear.transpose(0, 2, 1) + offset[:, None]
    mirrored = np.linalg.det(linear) < 0
    moved[mirrored] = moved[mirrored][:, SCHEMES[scheme].mirror(landmarks.shape[1])]
    return moved.astype(np.float32)


def check_count(count: int, scheme: str) -> None:
    """Raises:
    DataError: the scheme does not take so many landmarks.
    ValueError: an unknown scheme.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"unknown landmark scheme {scheme!r}; known: {', '.join(SCHEMES)}")
    if not SCHEMES[scheme].takes(count):
        raise DataError(
            f"{count} landmarks: the scheme {scheme!r} takes {SCHEMES[scheme].counts}; change either of them"
        )


def _arc(contours: np.ndarray, lengths: np.ndarray, count: int) -> np.ndarray:
    """Points at equal arc length, clockwise on the screen, from where the contour lies straight above its centroid."""
    contours = np.where(_runs_clockwise(contours)[:, None, None], contours, contours[:, ::-1])
    following = np.roll(contours, -1, axis=1)
    steps = np.linalg.norm(following - contours, axis=2)
    ends = np.cumsum(steps, axis=1)
    begins = ends - steps
    perimeter = ends[:, -1:]

    anchor = _arc_length_above_centroid(contours, following, begins, steps)
    wanted = (anchor + np.arange(count) / count * perimeter) % np.maximum(perimeter, np.finfo(np.float64).tiny)
    segment = (wanted[:, :, None] >= ends[:, None, :]).sum(axis=2).clip(max=contours.shape[1] - 1)
    rows = np.arange(len(contours))[:, None]
    share = (wanted - begins[rows, segment]) / np.maximum(steps[rows, segment], np.finfo(np.float64).tiny)
    start, end = contours[rows, segment], following[rows, segment]
    return start + share[:, :, None] * (end - start)


def _angle(contours: np.ndarray, lengths: np.ndarray, count: int) -> np.ndarray:
    """The first seed's: the contour's own points where the interior angle is smallest, the sharpest first.

    The points are first put in the order of their angle about their mean, as the seed has them (its long axis among
    them, which our contours leave out); of equally sharp ones the first in that order comes first. Landmark k is "the
    k-th sharpest", which is no place of the ventricle: kept for the comparison.
    """
    if len(lengths) and lengths.min() < count:
        raise DataError(
            f"the scheme 'angle' chooses among a contour's own points, and one has {lengths.min()}, "
            f"fewer than {count} landmarks; take fewer, or the scheme 'arc'"
        )
    real = _real(contours, lengths)
    mean = (contours * real[..., None]).sum(axis=1, keepdims=True) / lengths[:, None, None]
    x, y = np.moveaxis(contours - mean, -1, 0)
    order = np.where(real, np.arctan2(y, x), np.inf).argsort(axis=1, kind="stable")
    contours = np.take_along_axis(contours, order[..., None], axis=1)
    angles = np.where(real, _interior_angles(*_edges(contours, lengths)), np.inf)
    sharpest = angles.argsort(axis=1, kind="stable")[:, :count]
    return np.take_along_axis(contours, sharpest[..., None], axis=1)


def _extremes(contours: np.ndarray, lengths: np.ndarray, count: int) -> np.ndarray:
    """The second seed's six of the contour's own points: top, bottom, leftmost and rightmost of the lowest fifth of
    the height, and where the walls bend most between the highest and the lowest fifth.

    The seed takes the two sharpest bends wherever they are. Here each wall, which is what lies on one side of the line
    from top to bottom, has one of them: two of one wall would have no identity. Clockwise on the screen, from the top.
    """
    real = _real(contours, lengths)
    x, y = contours[..., 0], contours[..., 1]
    top, bottom = np.where(real, y, np.inf).argmin(axis=1), np.where(real, y, -np.inf).argmax(axis=1)
    rows = np.arange(len(contours))
    start, axis = contours[rows, top], contours[rows, bottom] - contours[rows, top]
    depth = (y - start[:, 1:]) / np.maximum(axis[:, 1:], _SAME)
    low = real & (depth >= 1 - _LOW)
    middle = real & (depth > _LOW) & (depth < 1 - _LOW)
    left, right = np.where(low, x, np.inf).argmin(axis=1), np.where(low, x, -np.inf).argmax(axis=1)

    back, forth = _edges(contours, lengths)
    length = np.linalg.norm(back, axis=2) + np.linalg.norm(forth, axis=2)
    bend = (np.pi - _interior_angles(back, forth)) / np.maximum(length, _SAME)
    leftwards = axis[:, :1] * (y - start[:, 1:]) - axis[:, 1:] * (x - start[:, :1])
    walls = [
        np.where(middle & wall, bend, np.where(real & wall, -1.0, -2.0)).argmax(axis=1)
        for wall in (leftwards > 0, leftwards < 0)
    ]
    return contours[rows[:, None], np.stack([top, walls[1], right, bottom, left, walls[0]], axis=1)]


def _anatomical(contours: np.ndarray, lengths: np.ndarray, count: int) -> np.ndarray:
    """Apex, both ends of the mitral annulus, and pairs at fixed fractions of the long axis.

    For contours of chord tracings in their own order: first ends from apex to annulus, then second ends back. The
    chords cross the long axis at equal steps, so a chord's number is its depth. The apex is the middle of the first
    chord, the annulus is the last one. The pairs stand nearer to each other towards the apex, at the depths that have
    equal steps of angle on half an ellipse. Clockwise on the screen, from the apex.
    """
    pairs = (count - 3) // 2
    shares = 1 - np.cos(np.pi / 2 * np.arange(pairs + 2) / (pairs + 1))
    down = shares * (lengths[:, None] // 2 - 1)
    walls = _between(contours, down), _between(contours, lengths[:, None] - 1 - down)
    apex = (walls[0][:, :1] + walls[1][:, :1]) / 2
    clockwise = _runs_clockwise(contours)[:, None, None]
    first, second = np.where(clockwise, walls[0], walls[1]), np.where(clockwise, walls[1], walls[0])
    return np.concatenate([apex, first[:, 1:], second[:, :0:-1]], axis=1)


def _between(contours: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(N, K, 2) at fractional (N, K) places between a contour's points."""
    rows, before = np.arange(len(contours))[:, None], np.floor(places).astype(np.intp)
    after = np.ceil(places).astype(np.intp)
    return contours[rows, before] + (places - before)[..., None] * (contours[rows, after] - contours[rows, before])


def _real(contours: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(N, P) bool: not padding."""
    return np.arange(contours.shape[1]) < lengths[:, None]


def _edges(contours: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, P, 2) each: from a point to the one before it, and to the one after it."""
    place, last = np.arange(contours.shape[1]), lengths[:, None] - 1
    before, after = np.where(place == 0, last, place - 1), np.where(place >= last, 0, place + 1)
    rows = np.arange(len(contours))[:, None]
    return contours[rows, before] - contours, contours[rows, after] - contours


def _interior_angles(back: np.ndarray, forth: np.ndarray) -> np.ndarray:
    """(N, P) angle between the edges at each point, 0 to π; π where an edge has no length."""
    cross = back[..., 0] * forth[..., 1] - back[..., 1] * forth[..., 0]
    angles = np.abs(np.arctan2(cross, (back * forth).sum(axis=2)))
    return np.where(back.any(axis=2) & forth.any(axis=2), angles, np.pi)


def _runs_clockwise(contours: np.ndarray) -> np.ndarray:
    """(N,) bool: on the screen (y down); a contour without area counts as clockwise."""
    x, y = contours[..., 0], contours[..., 1]
    return (x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(axis=1) >= 0


def _arc_length_above_centroid(
    contours: np.ndarray, following: np.ndarray, begins: np.ndarray, steps: np.ndarray
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
    return np.take_along_axis(begins + share * steps, top, axis=1)


def _centroid_x(x0: np.ndarray, y0: np.ndarray, x1: np.ndarray, y1: np.ndarray) -> np.ndarray:
    """(N,) x of the centroid of the enclosed area; of the points where no area is enclosed."""
    cross = x0 * y1 - x1 * y0
    area = cross.sum(axis=1) * 3
    flat = np.abs(area) < 1e-9
    return np.where(flat, x0.mean(axis=1), ((x0 + x1) * cross).sum(axis=1) / np.where(flat, 1, area))


def _turned(count: int) -> np.ndarray:
    """The mirror's places where landmarks go once around clockwise, from one that is its own mirror image."""
    return -np.arange(count) % count


def _at_least_3(count: int) -> bool:
    return count >= 3


SCHEMES: dict[str, Scheme] = {
    "arc": Scheme(_arc, "image", _turned, _at_least_3, "at least 3"),
    "anatomical": Scheme(
        _anatomical,
        "anatomy",
        _turned,
        lambda count: count >= 3 and count % 2 == 1,
        "3, 5, 7, …",
        straight=lambda count: count // 2,
    ),
    "angle": Scheme(_angle, "anatomy", np.arange, _at_least_3, "at least 3"),
    "extremes": Scheme(_extremes, "image", _turned, lambda count: count == 6, "exactly 6"),
}
"""Name → scheme."""
