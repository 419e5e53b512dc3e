from __future__ import annotations

import numpy as np
import pytest

from echoseg.ops import Targets, border_band, fill_polygons, render_heatmaps, render_targets
from reference import random_batch

STYLES = [
    {},
    {"rule": "opencv", "kernel_size": 5, "shape": "ellipse", "iterations": 1, "radius": 8.0},
    {"kind": "euclidean", "radius": 10.0, "shape": "cross", "iterations": 3},
    {"kernel_size": 31, "sigma": 1.5},
]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [(112, 112), (50, 64), (33, 127), (1, 1)])
def test_equal_to_the_single_operators(style, size):
    random = np.random.default_rng(0)
    _, points, offsets = random_batch(random, size, 60)
    landmarks = random.uniform(-10, max(size) + 10, (60, 7, 2)).astype(np.float32)
    targets = render_targets(points, landmarks, size, offsets=offsets, **style)

    band_style = {"iterations": 2} | {k: v for k, v in style.items() if k in ("kernel_size", "shape", "iterations")}
    heat_style = {k: v for k, v in style.items() if k in ("kind", "sigma", "radius")}
    mask = fill_polygons(points, size, offsets=offsets, rule=style.get("rule", "center"))
    band = border_band(mask, **band_style)
    np.testing.assert_array_equal(targets.mask, mask)
    np.testing.assert_array_equal(targets.band, band)
    np.testing.assert_array_equal(targets.heatmaps, render_heatmaps(landmarks, size, band=band, **heat_style))


def test_targets_that_exceed_the_caches():
    """They are written by streaming stores."""
    random = np.random.default_rng(5)
    _, points, offsets = random_batch(random, (111, 113), 100)
    landmarks = random.uniform(-10, 120, (100, 7, 2)).astype(np.float32)
    targets = render_targets(points, landmarks, (111, 113), offsets=offsets, radius=8.0)
    assert targets.heatmaps.nbytes > 2**25
    mask = fill_polygons(points, (111, 113), offsets=offsets)
    band = border_band(mask, iterations=2)
    np.testing.assert_array_equal(targets.mask, mask)
    np.testing.assert_array_equal(targets.band, band)
    for i in range(100):
        alone = render_heatmaps(landmarks[i : i + 1], (111, 113), band=band[i : i + 1], radius=8.0)
        np.testing.assert_array_equal(targets.heatmaps[i], alone[0])


def test_out_is_overwritten():
    random = np.random.default_rng(1)
    contours = random.uniform(0, 64, (5, 9, 2)).astype(np.float32)
    landmarks = random.uniform(0, 64, (5, 3, 2)).astype(np.float32)
    fresh = render_targets(contours, landmarks, (64, 64))
    out = Targets(
        np.full((5, 64, 64), 7, np.uint8),
        np.full((5, 64, 64), 9, np.uint8),
        np.full((5, 3, 64, 64), np.nan, np.float32),
    )
    for given in (out, Targets(out.mask, None, None), Targets(None, out.band, out.heatmaps)):
        drawn = render_targets(contours, landmarks, (64, 64), out=given)
        for array, old, expected in zip(drawn, given, fresh, strict=True):
            assert old is None or array is old
            np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_out_with_previous_landmarks(dtype):
    random = np.random.default_rng(3)
    out, previous = None, None
    for _ in range(3):
        contours = random.uniform(0, 112, (6, 9, 2)).astype(np.float32)
        landmarks = random.uniform(-10, 122, (6, 7, 2)).astype(np.float32)
        style = {"radius": 8.0, "kernel_size": int(random.integers(2, 9)), "dtype": dtype}
        fresh = render_targets(contours, landmarks, (112, 112), **style)
        out = render_targets(contours, landmarks, (112, 112), out=out, previous=previous, **style)
        previous = landmarks
        for a, b in zip(out, fresh, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
    assert out.heatmaps.dtype == dtype


def test_wrong_previous_landmarks_leave_old_pixels():
    contours = np.random.default_rng(4).uniform(0, 64, (1, 9, 2)).astype(np.float32)
    there, gone = np.full((1, 1, 2), 12, np.float32), np.full((1, 1, 2), 50, np.float32)
    out = render_targets(contours, there, (64, 64), radius=5.0, kernel_size=31)
    once = out.heatmaps.copy()
    render_targets(contours, gone, (64, 64), radius=5.0, kernel_size=31, out=out, previous=gone)
    fresh = render_targets(contours, gone, (64, 64), radius=5.0, kernel_size=31)
    np.testing.assert_array_equal(out.heatmaps, once + fresh.heatmaps)
    np.testing.assert_array_equal(out.mask, fresh.mask)


def test_no_landmarks_and_no_images():
    contours = np.random.default_rng(2).uniform(0, 64, (5, 9, 2)).astype(np.float32)
    targets = render_targets(contours, np.zeros((5, 0, 2), np.float32), (64, 64))
    assert targets.heatmaps.shape == (5, 0, 64, 64)
    assert targets.mask.any()
    empty = render_targets(np.zeros((0, 9, 2), np.float32), np.zeros((0, 3, 2), np.float32), (64, 64))
    assert [a.shape for a in empty] == [(0, 64, 64), (0, 64, 64), (0, 3, 64, 64)]


def test_number_of_landmark_sets():
    with pytest.raises(ValueError, match=r"landmarks must have the shape \(5, K, 2\)"):
        render_targets(np.zeros((5, 9, 2), np.float32), np.zeros((4, 7, 2), np.float32), (64, 64))


def test_outputs_that_share_memory():
    contours, landmarks = np.zeros((5, 9, 2), np.float32), np.zeros((5, 7, 2), np.float32)
    mask = np.zeros((5, 8, 8), np.uint8)
    with pytest.raises(ValueError, match="share memory"):
        render_targets(contours, landmarks, (8, 8), out=Targets(mask, mask, np.zeros((5, 7, 8, 8), np.float32)))


def test_errors_name_the_argument():
    contours, landmarks = np.zeros((5, 9, 2), np.float32), np.zeros((5, 7, 2), np.float32)
    with pytest.raises(TypeError, match="contours must be float32"):
        render_targets(contours.astype(float), landmarks, (8, 8))
    contours[4, 8] = np.inf
    with pytest.raises(ValueError, match=r"contours must be finite.*; point 44 is not"):
        render_targets(contours, landmarks, (8, 8))
    with pytest.raises(ValueError, match="landmarks must be finite"):
        render_targets(landmarks, contours, (8, 8))
