from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from _folders import ellipse_chords
from echoseg.errors import DataError
from echoseg.geometry.contour import ORDERINGS, contour_area, contour_elongation, order_contour

# a coarse grid of values, so that duplicates, ties and collinear points are common
grid = st.integers(-8, 8).map(float)
point_arrays = st.integers(1, 30).flatmap(lambda count: arrays(np.float32, (count, 2), elements=grid))


def bent_chords(chords: int = 30) -> np.ndarray:
    """The chords of a bent ventricle, in which the mean of all points is outside the contour."""
    t = np.linspace(0.03, 0.97, chords)
    left, y = 10 + 30 * np.sin(np.pi * t), 8 + 96 * t
    return np.concatenate([[[10, 8, 10, 104]], np.stack([left, y, left + 8, y], axis=1)])


def mask(contour: np.ndarray) -> np.ndarray:
    return cv2.fillPoly(np.zeros((112, 112), np.uint8), [np.rint(contour).astype(np.int32)], 1).astype(bool)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_chords_gives_first_ends_then_second_ends_in_reverse_without_the_long_axis():
    tracing = [[9, 0, 9, 9], [4, 1, 6, 1], [3, 2, 7, 2], [2, 3, 8, 3]]
    expected = [[4, 1], [3, 2], [2, 3], [8, 3], [7, 2], [6, 1]]
    for name in (None, "chords"):
        contour = order_contour(tracing, name)
        assert contour.dtype == np.float32
        np.testing.assert_array_equal(contour, expected)


def test_orderings_agree_on_a_convex_ventricle():
    tracing = ellipse_chords(centre=(56, 56), radii=(20, 36), chords=20)
    expected = mask(order_contour(tracing))
    for name in ("angle", "hull"):
        assert dice(mask(order_contour(tracing, name)), expected) > 0.99, name


def test_orderings_by_position_fail_on_a_bent_ventricle():
    tracing = bent_chords()
    contour = order_contour(tracing)
    assert contour_area(contour) == pytest.approx(8 * 96 * 0.94, rel=1e-3)
    assert contour_area(order_contour(tracing, "hull")) > 1.5 * contour_area(contour)
    for name in ("angle", "hull", "sorted"):
        assert dice(mask(order_contour(tracing, name)), mask(contour)) < 0.8, name


def test_sorted_fails_even_on_a_convex_ventricle():
    tracing = ellipse_chords(centre=(56, 56), radii=(20, 36), chords=20)
    assert dice(mask(order_contour(tracing, "sorted")), mask(order_contour(tracing))) < 0.9


def test_nearest_recovers_a_dense_bent_contour_from_shuffled_points():
    wall = np.stack([30 + 25 * np.sin(np.linspace(0, np.pi, 60)), np.linspace(10, 100, 60)], axis=1)
    contour = np.concatenate([wall, wall[::-1] + np.array([12, 0])]).astype(np.float32)
    shuffled = np.random.default_rng(0).permutation(contour)
    area = contour_area(contour)
    assert contour_area(order_contour(shuffled, "nearest")) == pytest.approx(area, rel=0.05)
    assert contour_area(order_contour(shuffled, "angle")) != pytest.approx(area, rel=0.2)


def test_nearest_resolves_ties_by_angle():
    cross = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], dtype=np.float32)
    # from (0, -1), the first by angle, (1, 0) and (-1, 0) have the same distance; (1, 0) is first by angle
    np.testing.assert_array_equal(order_contour(cross, "nearest"), [[0, -1], [1, 0], [0, 1], [-1, 0]])


@given(point_arrays)
def test_orderings_of_points_are_permutations(points):
    for name in ("angle", "sorted", "nearest", "given"):
        ordered = order_contour(points, name)
        assert sorted(map(tuple, ordered)) == sorted(map(tuple, points)), name


@given(point_arrays)
def test_hull_consists_of_given_points_and_encloses_all(points):
    hull = order_contour(points, "hull")
    assert {tuple(point) for point in hull} <= {tuple(point) for point in points}
    assert all(cv2.pointPolygonTest(hull, (float(x), float(y)), True) >= -1e-3 for x, y in points)


@given(arrays(np.float32, (6, 4), elements=grid), st.sampled_from([name for name in ORDERINGS if name != "given"]))
def test_every_ordering_accepts_degenerate_chords(tracing, name):
    contour = order_contour(tracing, name)
    assert contour.ndim == 2
    assert contour.shape[1] == 2
    assert contour.dtype == np.float32
    assert contour.flags.c_contiguous


def test_an_ordering_for_the_other_kind_of_tracing_is_refused():
    with pytest.raises(DataError, match="use 'given'"):
        order_contour(np.zeros((5, 2)), "chords")
    with pytest.raises(DataError, match="use 'chords'"):
        order_contour(np.zeros((5, 4)), "given")


def test_an_unknown_ordering_is_refused():
    with pytest.raises(ValueError, match="chords, angle, hull, sorted, nearest, given"):
        order_contour(np.zeros((5, 4)), "clockwise")


@pytest.mark.parametrize("shape", [(5,), (5, 3), (2, 5, 2)])
def test_a_wrong_shape_is_refused(shape):
    with pytest.raises(ValueError, match="tracing: expected"):
        order_contour(np.zeros(shape))


def test_areas_do_not_depend_on_orientation_and_position():
    square = np.array([[0, 0], [2, 0], [2, 2], [0, 2]], dtype=np.float32)
    batch = np.stack([square, square[::-1], square + 2.0**20, square[[0, 0, 1, 2]], square[[0, 1, 0, 1]]])
    np.testing.assert_array_equal(contour_area(batch), [4, 4, 4, 2, 0])
    assert contour_area(square[:2]) == 0


@given(st.floats(1, 5), st.floats(0, np.pi), st.integers(0, 2**32 - 1))
def test_elongation_is_that_of_points_drawn_evenly_on_the_line(ratio, turn, seed):
    random = np.random.default_rng(seed)
    angles = np.sort(random.uniform(0, 2 * np.pi, 60))  # uneven points: the line counts, not how it is sampled
    ellipse = np.stack([ratio * np.cos(angles), np.sin(angles)], axis=1)
    turned = ellipse @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]] + (50, 20)
    closed = np.concatenate([turned, turned[:1]])
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    places = np.linspace(0, along[-1], 20001)[:-1]
    drawn = np.stack([np.interp(places, along, closed[:, axis]) for axis in (0, 1)])
    small, large = np.linalg.eigvalsh(np.cov(drawn))
    found = contour_elongation(np.stack([turned, 7 * turned]))
    np.testing.assert_allclose(found, np.sqrt(large / small), rtol=0.05)


def test_elongation_of_points_on_one_straight_line_is_infinite():
    assert contour_elongation([[[0, 0], [2, 0], [4, 0]]]).tolist() == [np.inf]
