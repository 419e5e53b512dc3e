from __future__ import annotations

from fractions import Fraction
from itertools import combinations, pairwise

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.interpolate import CubicSpline
from test_landmarks import ellipse, half_ellipse_chords

from echoseg.geometry.contour import contour_area, order_contour
from echoseg.geometry.landmarks import choose_landmarks
from echoseg.geometry.spline import OUTLINES, intersects_itself, join_landmarks

CURVES = [name for name in OUTLINES if name != "polygon"]


def intersects_exactly(contour):
    """Compare all pairs of edges in exact arithmetic."""
    points = [(Fraction(float(x)), Fraction(float(y))) for x, y in contour]
    edges = list(zip(points, points[1:] + points[:1], strict=True))

    def side(edge, point):
        (ax, ay), (bx, by) = edge
        return (bx - ax) * (point[1] - ay) - (by - ay) * (point[0] - ax)

    return any(
        side(edge, other[0]) * side(edge, other[1]) < 0 and side(other, edge[0]) * side(other, edge[1]) < 0
        for edge, other in combinations(edges, 2)
    )


def point_arrays():
    shape = st.tuples(st.integers(1, 3), st.integers(3, 9), st.just(2))
    integers = arrays.arrays(np.float32, shape, elements=st.integers(0, 12))
    floats = arrays.arrays(np.float32, shape, elements=st.floats(0, 112, width=32))
    return integers | floats


@settings(max_examples=50)
@given(point_arrays().map(lambda points: np.round(points * 4096) / 4096))  # so that differences and products are exact
@example(np.float32([[[5, 6], [6, 6], [6, 0], [6, 12], [6, 6], [7, 6]]]))  # edges through the mean of the points
@example(np.float32([[[0, 0], [0.5, 1], [0.5, 0], [0, 0], [0, 0], [0, 0], [1, 1]]]))
def test_self_intersections_equal_exact_arithmetic(contours):
    assert intersects_itself(contours).tolist() == [intersects_exactly(contour) for contour in contours]


@settings(max_examples=50)
@given(landmarks=point_arrays(), outline=st.sampled_from(list(OUTLINES)), scheme=st.sampled_from(["arc", "anatomical"]))
def test_joined_landmarks_never_intersect_themselves(landmarks, outline, scheme):
    joined = join_landmarks(landmarks, scheme=scheme, outline=outline, per_segment=6)
    assert joined.shape == (len(landmarks), landmarks.shape[1] * 6, 2)
    assert np.isfinite(joined).all()
    assert not intersects_itself(joined).any()


@pytest.mark.parametrize("outline", OUTLINES)
def test_curves_pass_through_their_landmarks_and_are_closed(outline):
    landmarks = choose_landmarks(ellipse()[None], 7)
    curve = join_landmarks(landmarks, outline=outline, per_segment=10)
    assert curve.shape == (1, 70, 2)
    np.testing.assert_allclose(curve[:, ::10], landmarks, atol=1e-4)
    if outline in CURVES:
        steps = np.linalg.norm(np.roll(curve, -1, axis=1) - curve, axis=2)
        assert steps.max() < 1.6 * np.median(steps)


@pytest.mark.parametrize("outline", CURVES)
def test_curves_preserve_the_area_of_a_smooth_contour(outline):
    landmarks = choose_landmarks(ellipse(200)[None], 9)
    curve = join_landmarks(landmarks, outline=outline)[0]
    assert cv2.contourArea(curve) == pytest.approx(np.pi * 20 * 35, rel=0.03)
    assert cv2.contourArea(landmarks[0]) < 0.95 * np.pi * 20 * 35


def test_cubic_equals_the_periodic_spline_of_scipy():
    landmarks = choose_landmarks(ellipse()[None], 5)[0].astype(np.float64)
    spline = CubicSpline(np.arange(6), np.vstack([landmarks, landmarks[:1]]), bc_type="periodic")
    np.testing.assert_allclose(join_landmarks(landmarks)[:60], spline(np.arange(60) / 12), atol=1e-4)


def test_catmull_rom_equals_the_pyramid_algorithm():
    """The evaluation of Barry and Goldman: three levels of linear interpolation."""
    landmarks = np.float64([[10, 10], [40, 5], [60, 30], [30, 33], [5, 30]])
    curve = join_landmarks(landmarks, outline="catmull_rom", per_segment=8).reshape(5, 8, 2)
    for k in range(5):
        p = [landmarks[(k + i) % 5] for i in (-1, 0, 1, 2)]
        t = np.cumsum([0, *(np.linalg.norm(b - a) ** 0.5 for a, b in pairwise(p))])
        for j, parameter in enumerate(t[1] + np.arange(8) / 8 * (t[2] - t[1])):
            level = p
            for width in (1, 2, 3):
                knots = [(t[0], t[1]), (t[1], t[2]), (t[2], t[3])] if width == 1 else []
                knots = knots or ([(t[0], t[2]), (t[1], t[3])] if width == 2 else [(t[1], t[2])])
                level = [
                    ((b - parameter) * level[i] + (parameter - a) * level[i + 1]) / (b - a)
                    for i, (a, b) in enumerate(knots)
                ]
            np.testing.assert_allclose(curve[k, j], level[0], atol=1e-4)


@pytest.mark.parametrize("outline", OUTLINES)
def test_the_annulus_of_anatomical_landmarks_is_a_straight_line(outline):
    contour = order_contour(half_ellipse_chords(angle=0.3))
    landmarks = choose_landmarks(contour[None], 7, scheme="anatomical")
    curve = join_landmarks(landmarks, scheme="anatomical", outline=outline)[0]
    np.testing.assert_allclose(curve[::12], landmarks[0], atol=1e-4)
    assert (curve[36:48] == landmarks[0, 3]).all()
    if outline in CURVES:
        periodic = join_landmarks(landmarks, outline=outline)[0]
        area = contour_area(contour)
        assert abs(contour_area(curve) - area) < 0.02 * area < abs(contour_area(periodic) - area)


@pytest.mark.parametrize("outline", OUTLINES)
def test_shuffled_landmarks_are_joined_by_angle(outline):
    ordered = choose_landmarks(ellipse()[None], 7)
    shuffled = ordered[:, [0, 3, 1, 5, 2, 6, 4]]
    joined = join_landmarks(np.concatenate([ordered, shuffled]), outline=outline)
    assert contour_area(joined[1]) == pytest.approx(contour_area(ordered[0]), rel=1e-4)
    np.testing.assert_array_equal(joined[0], join_landmarks(ordered, outline=outline)[0])


def test_a_curve_with_a_loop_is_replaced_by_straight_lines():
    thin = np.float64([[0, 0], [40, 10], [80, 0], [41, 10.5], [40, 12], [39, 10.5]])
    assert not intersects_itself(thin[None])[0]
    assert set(map(tuple, join_landmarks(thin, outline="cubic"))) == set(map(tuple, thin.astype(np.float32)))


@pytest.mark.parametrize("outline", OUTLINES)
def test_an_empty_batch_gives_an_empty_batch(outline):
    assert join_landmarks(np.zeros((0, 5, 2)), outline=outline).shape == (0, 60, 2)


def test_leading_axes_are_kept():
    landmarks = choose_landmarks(np.stack([ellipse(), ellipse(angle=0.1)]), 5)
    joined = join_landmarks(landmarks.reshape(2, 1, 5, 2))
    np.testing.assert_array_equal(joined[:, 0], join_landmarks(landmarks))


def test_too_few_landmarks_and_an_unknown_curve_are_refused():
    landmarks = choose_landmarks(ellipse()[None], 5)
    with pytest.raises(ValueError, match="at least 3"):
        join_landmarks(np.zeros((1, 2, 2)))
    with pytest.raises(ValueError, match="use one of polygon, cubic, catmull_rom"):
        join_landmarks(landmarks, outline="circle")
