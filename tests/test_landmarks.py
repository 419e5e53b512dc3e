from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echoseg.geometry.landmarks import choose_landmarks
from echoseg.geometry.ragged import pad_contours
from echoseg.geometry.spline import close_spline


def ellipse(count=40, *, centre=(50, 60), axes=(20, 35), turn=0.3, start=0.0):
    t = start + np.linspace(0, 2 * np.pi, count, endpoint=False)
    x, y = axes[0] * np.cos(t), axes[1] * np.sin(t)
    c, s = np.cos(turn), np.sin(turn)
    return np.stack([centre[0] + c * x - s * y, centre[1] + s * x + c * y], axis=1).astype(np.float32)


def walk(contour, lengths):
    """The slow way: go along the outline segment by segment."""
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


def test_square_by_hand():
    square = np.array([[[10, 10], [30, 10], [30, 30], [10, 30]]], dtype=np.float32)
    assert choose_landmarks(square, 4).tolist() == [[[20, 10], [30, 20], [20, 30], [10, 20]]]


@pytest.mark.parametrize("count", [3, 7, 20])
def test_equal_arc_length_from_the_top(count):
    contour = ellipse().astype(np.float64)
    chosen = choose_landmarks(contour[None].astype(np.float32), count)[0]
    centre = np.array([50, 60])  # the ellipse's centroid
    assert abs(chosen[0, 0] - centre[0]) < 1e-3
    assert chosen[0, 1] < centre[1]
    fine = np.array([chosen[0]])
    # cut the outline open at the first landmark and walk
    position = min(range(40), key=lambda i: _off_segment(contour[i], contour[(i + 1) % 40], chosen[0]))
    opened = np.concatenate([fine, np.roll(contour, -position - 1, axis=0)])
    perimeter = np.linalg.norm(np.roll(opened, -1, axis=0) - opened, axis=1).sum()
    np.testing.assert_allclose(chosen, walk(opened, np.arange(count) / count * perimeter), atol=1e-3)


def _off_segment(a, b, p):
    return np.linalg.norm(a - p) + np.linalg.norm(b - p) - np.linalg.norm(a - b)


@settings(max_examples=50)
@given(start=st.integers(0, 39), reverse=st.booleans(), repeats=st.integers(0, 5), count=st.integers(3, 12))
def test_identity_does_not_depend_on_how_the_outline_is_written(start, reverse, repeats, count):
    contour = ellipse()
    other = np.roll(contour, start, axis=0)[:: -1 if reverse else 1]
    other = np.concatenate([other, np.repeat(other[-1:], repeats, axis=0)])
    np.testing.assert_allclose(choose_landmarks(other[None], count), choose_landmarks(contour[None], count), atol=2e-3)


def test_a_mirrored_contour_has_mirrored_landmarks_in_mirrored_order():
    contour = ellipse()[None]
    mirrored = contour * np.float32([-1, 1]) + np.float32([100, 0])
    plain = choose_landmarks(contour, 7)
    expected = np.roll(plain[:, ::-1], 1, axis=1) * np.float32([-1, 1]) + np.float32([100, 0])
    np.testing.assert_allclose(choose_landmarks(mirrored, 7), expected, atol=1e-3)


@pytest.mark.parametrize("points", [[[5, 5]] * 4, [[5, 5], [5, 9], [5, 7]], [[1, 5], [9, 5], [4, 5]]])
def test_contours_without_area_give_finite_points(points):
    assert np.isfinite(choose_landmarks(np.float32([points]), 5)).all()


def test_refusals():
    with pytest.raises(ValueError, match="at least 3"):
        choose_landmarks(ellipse()[None], 2)
    with pytest.raises(ValueError, match="known: arc"):
        choose_landmarks(ellipse()[None], 5, scheme="nose")
    with pytest.raises(ValueError, match="at least 3"):
        close_spline(np.zeros((1, 2, 2)))


def test_spline_goes_through_its_landmarks_and_closes():
    landmarks = choose_landmarks(ellipse()[None], 7)
    curve = close_spline(landmarks, per_segment=10)
    assert curve.shape == (1, 70, 2)
    np.testing.assert_allclose(curve[:, ::10], landmarks, atol=1e-4)
    steps = np.linalg.norm(np.roll(curve, -1, axis=1) - curve, axis=2)
    assert steps.max() < 1.5 * np.median(steps)


def test_spline_keeps_the_area_of_a_smooth_outline():
    curve = close_spline(choose_landmarks(ellipse(200)[None], 7))[0]
    assert cv2.contourArea(curve) == pytest.approx(np.pi * 20 * 35, rel=0.02)


def test_padding_changes_no_outline():
    points, offsets = np.arange(16, dtype=np.float32).reshape(8, 2), np.array([0, 3, 8])
    dense = pad_contours(points, offsets)
    assert dense.shape == (2, 5, 2)
    assert dense[0].tolist() == [*points[:3].tolist(), points[2].tolist(), points[2].tolist()]
    assert dense[1].tolist() == points[3:].tolist()
    assert pad_contours(points[:0], np.array([0])).shape == (0, 0, 2)
