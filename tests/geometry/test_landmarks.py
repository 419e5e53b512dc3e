from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echoseg.errors import DataError
from echoseg.geometry.contour import order_contour
from echoseg.geometry.landmarks import SCHEMES, choose_landmarks, move_landmarks
from echoseg.geometry.ragged import pad_contours
from echoseg.ops import fill_polygons


def ellipse(count=40, *, centre=(50, 60), axes=(20, 35), angle=0.3, start=0.0):
    t = start + np.linspace(0, 2 * np.pi, count, endpoint=False)
    x, y = axes[0] * np.cos(t), axes[1] * np.sin(t)
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([centre[0] + c * x - s * y, centre[1] + s * x + c * y], axis=1).astype(np.float32)


def points_at(contour, lengths):
    """The points at given arc lengths, segment by segment."""
    result = []
    for length in lengths:
        i = 0
        while True:
            a, b = contour[i % len(contour)], contour[(i + 1) % len(contour)]
            step = np.linalg.norm(b - a)
            if length <= step:
                result.append(a + (b - a) * (length / step if step else 0))
                break
            length -= step
            i += 1
    return np.array(result)


def test_arc_landmarks_of_a_square():
    square = np.array([[[10, 10], [30, 10], [30, 30], [10, 30]]], dtype=np.float32)
    assert choose_landmarks(square, 4).tolist() == [[[20, 10], [30, 20], [20, 30], [10, 20]]]


@pytest.mark.parametrize("count", [3, 7, 20])
def test_arc_landmarks_have_equal_arc_length_from_the_top(count):
    contour = ellipse().astype(np.float64)
    chosen = choose_landmarks(contour[None].astype(np.float32), count)[0]
    centre = np.array([50, 60])
    assert abs(chosen[0, 0] - centre[0]) < 1e-3
    assert chosen[0, 1] < centre[1]
    # the contour, starting at the first landmark
    segment = min(range(40), key=lambda i: _distance_to_segment(contour[i], contour[(i + 1) % 40], chosen[0]))
    shifted = np.concatenate([chosen[:1], np.roll(contour, -segment - 1, axis=0)])
    perimeter = np.linalg.norm(np.roll(shifted, -1, axis=0) - shifted, axis=1).sum()
    np.testing.assert_allclose(chosen, points_at(shifted, np.arange(count) / count * perimeter), atol=1e-3)


def _distance_to_segment(a, b, p):
    return np.linalg.norm(a - p) + np.linalg.norm(b - p) - np.linalg.norm(a - b)


@settings(max_examples=50)
@given(start=st.integers(0, 39), reverse=st.booleans(), repeats=st.integers(0, 5), count=st.integers(3, 12))
def test_landmarks_do_not_depend_on_start_direction_and_padding_of_the_contour(start, reverse, repeats, count):
    contour = ellipse()
    other = np.roll(contour, start, axis=0)[:: -1 if reverse else 1]
    other = np.concatenate([other, np.repeat(other[-1:], repeats, axis=0)])
    np.testing.assert_allclose(choose_landmarks(other[None], count), choose_landmarks(contour[None], count), atol=2e-3)


def test_a_mirrored_contour_has_mirrored_landmarks_in_mirrored_order():
    contour = ellipse()[None]
    mirrored = contour * np.float32([-1, 1]) + np.float32([100, 0])
    chosen = choose_landmarks(contour, 7)
    expected = np.roll(chosen[:, ::-1], 1, axis=1) * np.float32([-1, 1]) + np.float32([100, 0])
    np.testing.assert_allclose(choose_landmarks(mirrored, 7), expected, atol=1e-3)


COUNTS = {"arc": 8, "anatomical": 9, "angle": 8, "extremes": 6}


def half_ellipse_chords(chords=20, *, length=50.0, width=18.0, angle=0.0, apex=(50, 20)):
    """(1 + chords, 4): a tracing like EchoNet-Dynamic's, a bent half ellipse in which no two angles are equal."""
    depth = (np.arange(chords) + 0.5) / chords
    half = width * np.sqrt(1 - (1 - depth) ** 2)
    centre = 0.1 * width * np.sin(np.pi * depth)
    rows = np.stack([centre - half, depth * length, centre + 0.9 * half, depth * length], axis=1)
    rows = np.concatenate([[[0, 0, 0, length]], rows])
    c, s = np.cos(angle), np.sin(angle)
    points = rows.reshape(-1, 2) @ np.array([[c, s], [-s, c]]) + apex
    return points.reshape(-1, 4).astype(np.float32)


def ragged(contours):
    return np.concatenate(contours), np.cumsum([0, *map(len, contours)])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_batch_of_ragged_contours_equals_single_contours(scheme):
    contours = [order_contour(half_ellipse_chords(n, angle=0.1 * n)) for n in (10, 20, 13)]
    points, offsets = ragged(contours)
    chosen = choose_landmarks(points, COUNTS[scheme], scheme=scheme, offsets=offsets)
    single = [choose_landmarks(contour[None], COUNTS[scheme], scheme=scheme)[0] for contour in contours]
    np.testing.assert_allclose(chosen, single, atol=1e-3)
    np.testing.assert_allclose(
        choose_landmarks(pad_contours(points, offsets), COUNTS[scheme], scheme=scheme), single, atol=1e-3
    )


@settings(max_examples=30)
@given(
    scheme=st.sampled_from(list(SCHEMES)),
    angle=st.floats(-0.5, 0.5),
    scale=st.floats(0.5, 1.5),
    mirrored=st.booleans(),
    shift=st.tuples(st.floats(-30, 30), st.floats(-30, 30)),
)
def test_moved_landmarks_equal_the_landmarks_of_the_moved_contour(scheme, angle, scale, mirrored, shift):
    contour = order_contour(half_ellipse_chords())[None].astype(np.float64)
    if SCHEMES[scheme].anchor == "image":  # a rotation changes these landmarks
        angle = 0.0
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[[c, -s], [s, c]]]) @ np.diag([-1.0 if mirrored else 1.0, 1.0])
    offset = np.array([shift])
    moved = contour @ linear.transpose(0, 2, 1) + offset
    count = COUNTS[scheme]
    expected = choose_landmarks(moved.astype(np.float32), count, scheme=scheme)
    chosen = choose_landmarks(contour.astype(np.float32), count, scheme=scheme)
    np.testing.assert_allclose(move_landmarks(chosen, linear, offset, scheme=scheme), expected, atol=2e-3)


def test_anatomical_landmarks_are_apex_annulus_and_pairs_of_wall_points():
    rows = half_ellipse_chords(20, angle=0.2)
    chosen = choose_landmarks(order_contour(rows)[None], 7, scheme="anatomical")[0]
    first, second = rows[1:, :2], rows[1:, 2:]
    np.testing.assert_allclose(chosen[0], (first[0] + second[0]) / 2, atol=1e-4)
    # clockwise on the screen from the apex, so the right wall comes first; it has the second ends of the chords
    np.testing.assert_allclose(chosen[3:5], [second[-1], first[-1]], atol=1e-4)
    for pair in (1, 2):
        index = 19 * (1 - np.cos(np.pi / 6 * pair))
        for ends, k in ((second, pair), (first, 7 - pair)):
            expected = [np.interp(index, np.arange(20), ends[:, axis]) for axis in (0, 1)]
            np.testing.assert_allclose(chosen[k], expected, atol=1e-3)
    swapped = np.concatenate([rows[:1], rows[1:, [2, 3, 0, 1]]])
    np.testing.assert_allclose(choose_landmarks(order_contour(swapped)[None], 7, scheme="anatomical")[0], chosen)


def sharpest(contour, count):
    """The algorithm of Rodríguez Valencia et al., point by point."""
    centre = contour.mean(axis=0)
    points = sorted(contour.tolist(), key=lambda p: np.arctan2(p[1] - centre[1], p[0] - centre[0]))
    angles = []
    for i, p in enumerate(points):
        a, b = np.subtract(points[i - 1], p), np.subtract(points[(i + 1) % len(points)], p)
        angles.append(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1)))
    return [points[i] for i in np.argsort(angles, kind="stable")[:count]]


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), points=st.integers(5, 30))
def test_angle_landmarks_are_ordered_by_interior_angle(seed, points):
    contour = np.random.default_rng(seed).uniform(0, 100, (points, 2)).astype(np.float32)
    chosen = choose_landmarks(contour[None], 5, scheme="angle")[0]
    np.testing.assert_allclose(chosen, sharpest(contour, 5), atol=1e-5)


def test_angle_landmarks_with_equal_angles_are_ordered_about_the_mean():
    square = np.float32([[[0, 0], [8, 0], [8, 8], [0, 8]]])
    assert choose_landmarks(square, 3, scheme="angle").tolist() == [[[0, 0], [8, 0], [8, 8]]]


def test_extremes_of_a_kite():
    kite = np.float32([[50, 10], [62, 30], [80, 50], [70, 96], [52, 100], [44, 110], [30, 95], [10, 60], [25, 40]])
    for contour in (kite, kite[::-1], np.roll(kite, 4, axis=0)):
        chosen = choose_landmarks(contour[None], 6, scheme="extremes")[0]
        assert chosen.tolist() == [[50, 10], [80, 50], [70, 96], [44, 110], [30, 95], [10, 60]]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("points", [[[5, 5]] * 8, [[5, 5], [5, 9]] * 4, [[1, 5], [9, 5], [4, 5], [2, 5]] * 2])
def test_contours_without_area_give_finite_points(scheme, points):
    points, offsets = np.float32(points * 2), np.array([0, 8, 16])
    count = 6 if scheme == "extremes" else 5
    assert np.isfinite(choose_landmarks(points, count, scheme=scheme, offsets=offsets)).all()


@pytest.mark.parametrize(
    ("scheme", "count", "message"),
    [
        ("arc", 2, "at least 3"),
        ("angle", 2, "at least 3"),
        ("angle", 41, "a contour has 40 points for 41"),
        ("extremes", 7, "exactly 6"),
        ("anatomical", 8, "3, 5, 7"),
    ],
)
def test_a_number_that_the_scheme_does_not_accept_is_refused(scheme, count, message):
    with pytest.raises(DataError, match=message):
        choose_landmarks(ellipse()[None], count, scheme=scheme)


def test_an_unknown_scheme_is_refused():
    with pytest.raises(ValueError, match="use one of arc, anatomical, angle, extremes"):
        choose_landmarks(ellipse()[None], 5, scheme="nose")


def test_padding_repeats_the_last_point():
    points, offsets = np.arange(16, dtype=np.float32).reshape(8, 2), np.array([0, 3, 8])
    dense = pad_contours(points, offsets)
    assert dense.shape == (2, 5, 2)
    assert dense[0].tolist() == [*points[:3].tolist(), points[2].tolist(), points[2].tolist()]
    assert dense[1].tolist() == points[3:].tolist()
    assert pad_contours(points[:0], np.array([0])).shape == (0, 0, 2)


def test_contours_without_points_have_no_landmarks():
    square = np.float32([[2, 2], [9, 2], [9, 9], [2, 9]])
    points, offsets = np.concatenate([square, square + 3]), np.array([0, 0, 4, 4, 8, 8])
    landmarks = choose_landmarks(points, 5, offsets=offsets)
    assert np.isnan(landmarks[[0, 2, 4]]).all()
    np.testing.assert_array_equal(landmarks[[1, 3]], choose_landmarks(np.stack([square, square + 3]), 5))
    padded = pad_contours(points, offsets)
    np.testing.assert_array_equal(fill_polygons(padded, (16, 16)).sum(axis=(1, 2)), [0, 49, 0, 49, 0])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_landmark_has_a_name(scheme):
    for count in filter(SCHEMES[scheme].accepts, range(3, 14)):
        assert len(set(SCHEMES[scheme].names(count))) == count


def test_anatomical_names_are_those_of_the_screen():
    x, y = np.array([3.0, 4, 4, 3]), np.array([10.0, 20, 30, 40])
    contour = np.concatenate([np.stack([x + 50, y], axis=1), np.stack([50 - x, y], axis=1)[::-1]])[None]
    landmarks = choose_landmarks(contour.astype(np.float32), 7, scheme="anatomical")[0]
    for name, point in zip(SCHEMES["anatomical"].names(7), landmarks, strict=True):
        side = "right" if point[0] > 50 else "left" if point[0] < 50 else "apex"
        assert name.startswith(side)
        assert ("annulus" in name) == (point[1] == 40)
