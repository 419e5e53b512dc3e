from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echoseg.ops import decode_heatmaps, render_heatmaps
from reference import dark, soft_argmax

SIZE = (60, 90)
METHODS = ["argmax", "soft_argmax", "dark"]


def inner_landmarks(seed, margin, count=8, per_image=25):
    random = np.random.default_rng(seed)
    return random.uniform(margin, [SIZE[1] - 1 - margin, SIZE[0] - 1 - margin], (count, per_image, 2)).astype(
        np.float32
    )


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([0.0, 0.001, 0.02, 0.5]),
    st.sampled_from([2.0, 0.0, -0.0, -1.0]),
)
def test_argmax_equals_numpy(seed, height, width, nans, largest):
    random = np.random.default_rng(seed)
    shape = 2, 3, height, width
    maps = random.integers(-2, 3, shape).astype(np.float32)  # many ties
    maps *= random.choice([-1.0, 1.0], shape)  # -0 among them
    maps[maps > largest] = largest
    maps[random.random(shape) < nans] = random.choice([np.nan, -np.nan])
    maps[random.random(maps.shape) < 0.1] = -np.inf
    points, confidence = decode_heatmaps(maps)
    best = maps.reshape(2, 3, -1).argmax(axis=2)
    np.testing.assert_array_equal(points, np.stack([best % width, best // width], axis=2))
    np.testing.assert_array_equal(confidence, maps.reshape(2, 3, -1).max(axis=2))


def test_argmax_of_rendered_landmarks():
    landmarks = inner_landmarks(7, 0)
    points, confidence = decode_heatmaps(render_heatmaps(landmarks, SIZE))
    np.testing.assert_array_equal(points, np.rint(landmarks))
    assert (confidence > 0.98).all()


def test_unknown_method():
    with pytest.raises(ValueError, match="unknown method 'mean'; known: argmax, soft_argmax, dark"):
        decode_heatmaps(np.zeros((1, 1, 4, 4), np.float32), method="mean")


@pytest.mark.parametrize("sigma", [1.5, 2, 2.7, 4])
@pytest.mark.parametrize("method", ["soft_argmax", "dark"])
def test_sub_pixel_positions(method, sigma):
    landmarks = inner_landmarks(0, 10)
    points, confidence = decode_heatmaps(render_heatmaps(landmarks, SIZE, sigma=sigma), method=method)
    assert np.linalg.norm(points - landmarks, axis=2).max() < (0.01 if method == "soft_argmax" else 1e-4)
    np.testing.assert_array_equal(confidence, decode_heatmaps(render_heatmaps(landmarks, SIZE, sigma=sigma))[1])


@pytest.mark.parametrize("window", [3, 6.5, 12])
def test_other_windows_of_a_symmetric_peak(window):
    landmarks = inner_landmarks(1, 14)
    points, _ = decode_heatmaps(render_heatmaps(landmarks, SIZE, sigma=2.5), method="soft_argmax", window=window)
    assert np.linalg.norm(points - landmarks, axis=2).max() < 0.02


def test_noise_and_scale():
    landmarks = inner_landmarks(2, 10)
    for sigma in (1.5, 2.5, 4):
        maps = render_heatmaps(landmarks, SIZE, sigma=sigma)
        maps += np.random.default_rng(2).normal(0, 0.02, maps.shape).astype(np.float32)
        points, _ = decode_heatmaps(maps, method="soft_argmax")
        assert np.median(np.linalg.norm(points - landmarks, axis=2)) < 0.05
        for method in METHODS:
            for scale in (2.0**-100, 2.0**100):
                moved, confidence = decode_heatmaps(maps * np.float32(scale), method=method)
                np.testing.assert_allclose(moved, decode_heatmaps(maps, method=method)[0], atol=1e-5)
                np.testing.assert_array_equal(confidence, maps.max(axis=(2, 3)) * np.float32(scale))


def test_centre_of_a_plateau():
    maps = np.zeros((1, 1, *SIZE), np.float32)
    maps[0, 0, 20:25, 40:43] = 1
    assert decode_heatmaps(maps)[0].tolist() == [[[40, 20]]]
    np.testing.assert_allclose(decode_heatmaps(maps, method="soft_argmax")[0], [[[41, 22]]], atol=1e-3)
    assert decode_heatmaps(maps, method="dark")[0].tolist() == [[[40, 20]]]


@pytest.mark.slow
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 24),
    st.integers(1, 24),
    st.sampled_from(["peaks", "noise", "negative", "few values"]),
    st.floats(0.3, 12),
)
def test_equal_to_the_oracles(seed, height, width, kind, window):
    random = np.random.default_rng(seed)
    if kind == "peaks":
        landmarks = random.uniform([-2, -2], [width + 2, height + 2], (1, 4, 2)).astype(np.float32)
        maps = render_heatmaps(
            landmarks, (height, width), sigma=float(random.uniform(0.5, 4)), radius=random.choice([3, None])
        )
    elif kind == "few values":
        maps = random.integers(0, 3, (1, 4, height, width)).astype(np.float32)
    else:
        maps = random.normal(0.0 if kind == "noise" else -9.0, 1, (1, 4, height, width)).astype(np.float32)
    points, _ = decode_heatmaps(maps, method="soft_argmax", window=window)
    np.testing.assert_allclose(points[0], [soft_argmax(plane, window) for plane in maps[0]], atol=1e-4)
    assert (points >= 0).all()
    assert (points <= [width - 1, height - 1]).all()
    points, _ = decode_heatmaps(maps, method="dark")
    np.testing.assert_allclose(points[0], [dark(plane) for plane in maps[0]], atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, 0.5, -1.0, np.nan, np.inf, -np.inf, 3e38, 1e-45])
def test_constant_planes_return_their_first_pixel(method, value):
    points, confidence = decode_heatmaps(np.full((1, 2, 9, 12), value, np.float32), method=method)
    np.testing.assert_array_equal(points, 0)
    np.testing.assert_array_equal(confidence, np.full((1, 2), value, np.float32))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("invalid", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite(method, invalid):
    maps = render_heatmaps(np.full((1, 1, 2), 20.3, np.float32), (40, 40), sigma=2)
    maps[0, 0, 22, 21] = invalid
    points, confidence = decode_heatmaps(maps, method=method)
    if invalid == -np.inf:
        assert abs(points - 20.3).max() < 0.5
        assert np.isfinite(confidence).all()
    else:
        np.testing.assert_array_equal(points, [[[21, 22]]])
        np.testing.assert_array_equal(confidence, [[invalid]])


@pytest.mark.parametrize("method", METHODS)
def test_points_near_the_edge_stay_in_the_image(method):
    corners = np.array([[[0, 0], [89, 0], [0.4, 59.3], [88.6, 58.7], [-3, 30], [45, 61]]], np.float32)
    points, _ = decode_heatmaps(render_heatmaps(corners, SIZE, sigma=2), method=method)
    assert np.linalg.norm(points - corners.clip(0, [89, 59]), axis=2).max() < 0.75
    assert (points >= 0).all()
    assert (points <= [89, 59]).all()


@pytest.mark.parametrize("window", [0.0, -1.0, np.nan, np.inf])
def test_windows_out_of_range(window):
    with pytest.raises(ValueError, match="window must be between"):
        decode_heatmaps(np.zeros((1, 1, 4, 4), np.float32), method="soft_argmax", window=window)
