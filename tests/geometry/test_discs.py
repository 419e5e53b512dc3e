from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import reference
from echoseg.geometry.discs import (
    area_length_volumes,
    biplane_volumes,
    disc_volumes,
    disc_widths,
    ejection_fraction,
    ejection_fraction_deviations,
    long_axis,
)

angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)


def ellipses(half_widths, half_lengths, turns=0.0):
    """Standing ellipses about (60, 50), turned, and their axes."""
    half_widths, half_lengths, turns = np.broadcast_arrays(
        np.atleast_1d(half_widths), half_lengths, np.asarray(turns, float)
    )
    upright = np.stack([half_widths[:, None] * np.sin(angle), -half_lengths[:, None] * np.cos(angle)], axis=2)
    ends = np.stack([np.stack([0 * half_lengths, sign * half_lengths], axis=1) for sign in (-1, 1)], axis=1)
    c, s = np.cos(turns), np.sin(turns)
    turn = np.stack([np.stack([c, -s], axis=1), np.stack([s, c], axis=1)], axis=1).transpose(0, 2, 1)
    return upright @ turn + [60, 50], ends @ turn + [60, 50]


@pytest.mark.parametrize("turn", [0.0, 0.4, -1.2])
def test_an_ellipsoid_by_every_method(turn):
    contours, axes = ellipses([10.0, 20.0], [30.0, 31.0], turn)
    second, _ = ellipses([14.0, 17.0], [30.0, 28.0], turn)
    true = 4 / 3 * np.pi * np.array([10.0, 20.0]) ** 2 * [30, 31]
    for chosen in (axes, None):
        np.testing.assert_allclose(disc_volumes(contours, chosen), true, rtol=2e-3)
        np.testing.assert_allclose(area_length_volumes(contours, chosen), true, rtol=2e-3)
        two = biplane_volumes(contours, second, chosen)
        np.testing.assert_allclose(two, 4 / 3 * np.pi * np.array([10 * 14, 20 * 17]) * [30, 31], rtol=2e-3)
    np.testing.assert_allclose(long_axis(contours), axes, atol=1e-6)


def test_area_length_and_discs_differ_where_the_shape_is_no_ellipse():
    block = np.array([[[-10, 0], [10, 0], [10, 60], [-10, 60]]], dtype=np.float32)
    axis = np.array([[[0, 0], [0, 60]]])
    assert disc_volumes(block, axis) == pytest.approx(np.pi * 100 * 60)
    assert area_length_volumes(block, axis) == pytest.approx(8 * 1200**2 / (3 * np.pi * 60))
    upper_half = np.array([[[0, 0], [0, 30]]])  # what lies beyond the axis is not counted
    assert disc_volumes(block, upper_half) == pytest.approx(np.pi * 100 * 30)


@settings(max_examples=40)
@given(
    hnp.arrays(np.float64, 14, elements=st.floats(5, 30)),
    st.floats(-1.5, 1.5),
    st.integers(1, 20),
)
def test_widths_equal_a_slow_scan(radii, turn, discs):
    """Star-shaped outlines, hollows and all, against the pixels of a fine raster along each line."""
    t = turn + 2 * np.pi * np.arange(14) / 14
    contour = (radii[:, None] * np.stack([np.cos(t), np.sin(t)], axis=1))[None]
    (apex, base), axis = long_axis(contour)[0], long_axis(contour)
    length = np.linalg.norm(base - apex)
    along = (base - apex) / length
    moved = (contour[0] - apex) @ np.stack([along, [-along[1], along[0]]], axis=1)
    steps, fine = 2000, 0.05
    for i, width in enumerate(disc_widths(contour, axis, discs=discs)[0]):
        line = np.array([0.0, -length * (i + 0.5) / discs])
        pixels = (moved[:, ::-1] + line) / [fine, 1.0] + [steps / 2, 0]
        assert width == pytest.approx(reference.fill_center(pixels, (1, steps)).sum() * fine, abs=0.6)


@pytest.mark.parametrize("points", [[[5, 5]] * 4, [[5, 5], [5, 9], [5, 7]], [[1, 5], [9, 5], [4, 5]]])
def test_contours_without_area_hold_nothing(points):
    contours = np.float32([points])
    for volumes in (disc_volumes, area_length_volumes):
        assert volumes(contours) == pytest.approx(0)
    assert len(disc_volumes(np.zeros((0, 9, 2)))) == 0


def test_padding_changes_no_volume():
    contours, axes = ellipses([10.0], [30.0])
    padded = np.concatenate([contours, np.repeat(contours[:, -1:], 9, axis=1)], axis=1)
    np.testing.assert_allclose(disc_volumes(padded, axes), disc_volumes(contours, axes))
    np.testing.assert_allclose(disc_volumes(padded), disc_volumes(contours))


def test_spacing_scales_by_its_cube():
    contours, _ = ellipses([10.0, 12.0], [30.0, 29.0])
    np.testing.assert_allclose(disc_volumes(0.5 * contours), disc_volumes(contours) / 8)


def test_ejection_fraction():
    assert ejection_fraction(np.array([100.0, 80.0]), np.array([40.0, 80.0])).tolist() == [60, 0]
    assert np.isnan(ejection_fraction(np.array([0.0]), np.array([0.0]))).all()


def test_the_deviation_of_the_ejection_fraction_equals_that_of_many_draws():
    random = np.random.default_rng(0)
    ed, es = random.normal(100, 3, 100_000), random.normal(40, 2, 100_000)
    found = ejection_fraction_deviations(np.array([100.0]), np.array([40.0]), (np.array([3.0]), np.array([2.0])))
    assert found == pytest.approx(ejection_fraction(ed, es).std(), rel=0.02)
    assert not np.isfinite(ejection_fraction_deviations(np.zeros(1), np.zeros(1), (np.ones(1), np.ones(1)))).any()


def test_the_axis_of_a_long_contour_joins_its_most_distant_points():
    random = np.random.default_rng(0)
    contours = random.normal(50, 20, (5, 700, 2)).astype(np.float32)
    contours[4] = contours[4, :1]  # a single point
    ends = long_axis(contours)
    pairs = np.linalg.norm(contours[:, :, None].astype(np.float64) - contours[:, None], axis=3)
    np.testing.assert_allclose(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1), pairs.max(axis=(1, 2)))
    assert (ends[:, 0, 1] <= ends[:, 1, 1]).all()
