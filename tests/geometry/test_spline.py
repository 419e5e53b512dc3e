from __future__ import annotations

from fractions import Fraction
from itertools import combinations, pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.interpolate import CubicSpline
from test_landmarks import bullet, ellipse

from echoseg.geometry.contour import contour_area, order_contour
from echoseg.geometry.landmarks import choose_landmarks
from echoseg.geometry.spline import OUTLINES, crosses_itself, join_landmarks

CURVES = [name for name in OUTLINES if name != "polygon"]


def crosses_slowly(outline):
    """Each pair of edges, in exact arithmetic."""
    points = [(Fraction(float(x)), Fraction(float(y))) for x, y in outline]
    edges = list(zip(points, points[1:] + points[:1], strict=True))

    def side(edge, point):
        (ax, ay), (bx, by) = edge
        return (bx - ax) * (point[1] - ay) - (by - ay) * (point[0] - ax)

    return any(
        side(one, other[0]) * side(one, other[1]) < 0 and side(other, one[0]) * side(other, one[1]) < 0
        for one, other in combinations(edges, 2)
    )


def some_points(least=3, most=9):
    shape = st.tuples(st.integers(1, 3), st.integers(least, most), st.just(2))
    whole = arrays.arrays(np.float32, shape, elements=st.integers(0, 12))
    anywhere = arrays.arrays(np.float32, shape, elements=st.floats(0, 112, width=32))
    return whole | anywhere


@settings(max_examples=50)
@given(some_points())
def test_crossings_are_found(outlines):
    found = crosses_itself(outlines).tolist()
    assert found == [crosses_slowly(outline) for outline in outlines]


@settings(max_examples=50)
@given(landmarks=some_points(), outline=st.sampled_from(list(OUTLINES)), scheme=st.sampled_from(["arc", "anatomical"]))
def test_no_outline_crosses_itself(landmarks, outline, scheme):
    joined = join_landmarks(landmarks, scheme=scheme, outline=outline, per_segment=6)
    assert joined.shape == (len(landmarks), landmarks.shape[1] * 6, 2)
    assert np.isfinite(joined).all()
    assert not crosses_itself(joined).any()


@pytest.mark.parametrize("outline", OUTLINES)
def test_outlines_go_through_their_landmarks_and_close(outline):
    landmarks = choose_landmarks(ellipse()[None], 7)
    curve = join_landmarks(landmarks, outline=outline, per_segment=10)
    assert curve.shape == (1, 70, 2)
    np.testing.assert_allclose(curve[:, ::10], landmarks, atol=1e-4)
    if outline in CURVES:
        steps = np.linalg.norm(np.roll(curve, -1, axis=1) - curve, axis=2)
        assert steps.max() < 1.6 * np.median(steps)


@pytest.mark.parametrize("outline", CURVES)
def test_curves_keep_the_area_of_a_smooth_outline(outline):
    landmarks = choose_landmarks(ellipse(200)[None], 9)
    curve = join_landmarks(landmarks, outline=outline)[0]
    assert cv2.contourArea(curve) == pytest.approx(np.pi * 20 * 35, rel=0.03)
    assert cv2.contourArea(landmarks[0]) < 0.95 * np.pi * 20 * 35


def test_cubic_is_scipys_periodic_spline():
    landmarks = choose_landmarks(ellipse()[None], 5)[0].astype(np.float64)
    spline = CubicSpline(np.arange(6), np.vstack([landmarks, landmarks[:1]]), bc_type="periodic")
    np.testing.assert_allclose(join_landmarks(landmarks)[:60], spline(np.arange(60) / 12), atol=1e-4)


def test_catmull_rom_is_that_of_the_pyramid():
    """Barry and Goldman's evaluation: three linear interpolations over another."""
    landmarks = np.float64([[10, 10], [40, 5], [60, 30], [30, 33], [5, 30]])
    curve = join_landmarks(landmarks, outline="catmull_rom", per_segment=8).reshape(5, 8, 2)
    for k in range(5):
        p = [landmarks[(k + i) % 5] for i in (-1, 0, 1, 2)]
        t = np.cumsum([0, *(np.linalg.norm(b - a) ** 0.5 for a, b in pairwise(p))])
        for j, at in enumerate(t[1] + np.arange(8) / 8 * (t[2] - t[1])):
            level = p
            for width in (1, 2, 3):
                knots = [(t[0], t[1]), (t[1], t[2]), (t[2], t[3])] if width == 1 else []
                knots = knots or ([(t[0], t[2]), (t[1], t[3])] if width == 2 else [(t[1], t[2])])
                level = [((b - at) * level[i] + (at - a) * level[i + 1]) / (b - a) for i, (a, b) in enumerate(knots)]
            np.testing.assert_allclose(curve[k, j], level[0], atol=1e-4)


@pytest.mark.parametrize("outline", OUTLINES)
def test_the_annulus_of_anatomical_landmarks_is_a_straight_line(outline):
    contour = order_contour(bullet(turn=0.3))
    landmarks = choose_landmarks(contour[None], 7, scheme="anatomical")
    curve = join_landmarks(landmarks, scheme="anatomical", outline=outline)[0]
    np.testing.assert_allclose(curve[::12], landmarks[0], atol=1e-4)
    assert (curve[36:48] == landmarks[0, 3]).all()
    if outline in CURVES:
        periodic = join_landmarks(landmarks, outline=outline)[0]
        true = contour_area(contour)
        assert abs(contour_area(curve) - true) < 0.02 * true < abs(contour_area(periodic) - true)


@pytest.mark.parametrize("outline", OUTLINES)
def test_landmarks_out_of_order_are_joined_by_their_angle(outline):
    around = choose_landmarks(ellipse()[None], 7)
    shuffled = around[:, [0, 3, 1, 5, 2, 6, 4]]
    joined = join_landmarks(np.concatenate([around, shuffled]), outline=outline)
    assert contour_area(joined[1]) == pytest.approx(contour_area(around[0]), rel=1e-4)
    np.testing.assert_array_equal(joined[0], join_landmarks(around, outline=outline)[0])


def test_a_curve_that_loops_gives_way_to_straight_lines():
    thin = np.float64([[0, 0], [40, 10], [80, 0], [41, 10.5], [40, 12], [39, 10.5]])
    assert not crosses_itself(thin[None])[0]
    assert set(map(tuple, join_landmarks(thin, outline="cubic"))) == set(map(tuple, thin.astype(np.float32)))


@pytest.mark.parametrize("outline", OUTLINES)
def test_no_landmarks_make_no_outlines(outline):
    assert join_landmarks(np.zeros((0, 5, 2)), outline=outline).shape == (0, 60, 2)


def test_leading_axes_and_refusals():
    landmarks = choose_landmarks(np.stack([ellipse(), ellipse(turn=0.1)]), 5)
    many = join_landmarks(landmarks.reshape(2, 1, 5, 2))
    np.testing.assert_array_equal(many[:, 0], join_landmarks(landmarks))
    with pytest.raises(ValueError, match="at least 3"):
        join_landmarks(np.zeros((1, 2, 2)))
    with pytest.raises(ValueError, match="known: polygon, cubic, catmull_rom"):
        join_landmarks(landmarks, outline="circle")
