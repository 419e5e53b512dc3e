from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

import reference
from echoseg.ops import distance_transform, fill_polygons, surface_distances

spacings = st.sampled_from([None, (1, 1), (0.3, 0.3), (0.31, 0.47), (5, 0.001), (1e-9, 1e9)])


def some_masks(random, size, count=3):
    """Noise of various densities, blobs, polygons, a full and an empty mask."""
    noise = random.random((count, *size)) < random.choice([0.01, 0.1, 0.5, 0.9, 0.99, 0.999], (count, 1, 1))
    _, points, offsets = reference.random_batch(random, size, count)
    blobs = ndimage.binary_closing(noise, np.ones((1, 3, 3)))
    masks = [noise, blobs, fill_polygons(points, size, offsets=offsets), np.zeros((1, *size)), np.ones((1, *size))]
    return np.concatenate(masks).astype(np.uint8)


@pytest.mark.slow
@given(st.integers(0, 2**32 - 1), spacings)
def test_distances_equal_all_pairs(seed, spacing):
    random = np.random.default_rng(seed)
    masks = some_masks(random, tuple(random.integers(1, 24, 2)), 1)
    for mask, got in zip(masks, distance_transform(masks, spacing=spacing), strict=True):
        expected = reference.distance_transform(mask, spacing or (1, 1)).astype(np.float32)
        if spacing is None:
            np.testing.assert_array_equal(got, expected)
        np.testing.assert_allclose(got, expected, rtol=2e-7)


@pytest.mark.parametrize("seed", range(12))
def test_distances_equal_scipy_and_opencv(seed):
    random = np.random.default_rng(seed)
    masks = some_masks(random, tuple(random.integers(1, 300, 2)))
    masks = masks[(masks == 0).any(axis=(1, 2))]  # without a zero SciPy measures to a point outside
    for mask, got in zip(masks, distance_transform(masks), strict=True):
        np.testing.assert_array_equal(got, ndimage.distance_transform_edt(mask).astype(np.float32))
        opencv = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        np.testing.assert_allclose(got, opencv, rtol=1e-6)
    for mask, got in zip(masks, distance_transform(masks, spacing=(0.7, 0.2)), strict=True):
        np.testing.assert_allclose(got, ndimage.distance_transform_edt(mask, sampling=(0.7, 0.2)), rtol=2e-7)


def test_distances_without_a_zero_are_infinite():
    masks = np.ones((3, 9, 70), np.uint8)
    masks[1, 4, 3] = 0
    distances = distance_transform(masks)
    assert np.isinf(distances[[0, 2]]).all()
    assert distances[1, 4, 69] == 66
    assert np.isinf(distance_transform(np.ones((1, 1, 1), np.uint8))).all()


@pytest.mark.slow
def test_one_zero_in_a_large_image():
    """Squares that float32 cannot represent, and sides whose squares exceed int32."""
    for size, zero in [((4096, 4100), (4000, 17)), ((3, 40001), (1, 40000)), ((40001, 3), (0, 1))]:
        mask = np.ones((1, *size), np.uint8)
        mask[0][zero] = 0
        y, x = np.arange(size[0])[:, None] - float(zero[0]), np.arange(size[1]) - float(zero[1])
        expected = np.sqrt(y**2 + x**2).astype(np.float32)
        np.testing.assert_array_equal(distance_transform(mask)[0], expected)
        np.testing.assert_array_equal(distance_transform(mask, spacing=(2, 2))[0], 2 * expected)


def test_large_images():
    """Threads share the work on one large image, but process small images separately."""
    random = np.random.default_rng(3)
    mask = np.zeros((1, 700, 2100), np.uint8)
    mask[:, 5:-5, 5:-5] = random.random((1, 690, 2090)) < 0.9995
    expected = ndimage.distance_transform_edt(mask[0]).astype(np.float32)
    np.testing.assert_array_equal(distance_transform(mask)[0], expected)
    many = np.repeat(mask, 33, axis=0)[:, :, :300].copy()
    assert (distance_transform(many) == distance_transform(many[:1])).all()


def test_any_non_zero_value_counts_as_one():
    masks = np.random.default_rng(6).integers(0, 4, (3, 20, 30)).astype(np.uint8) * 85
    np.testing.assert_array_equal(distance_transform(masks), distance_transform((masks > 0).astype(np.uint8)))
    np.testing.assert_array_equal(
        surface_distances(masks, masks[::-1].copy()),
        surface_distances((masks > 0).astype(np.uint8), (masks[::-1] > 0).astype(np.uint8)),
    )


@given(st.integers(0, 2**32 - 1), spacings)
def test_surface_distances_equal_all_pairs(seed, spacing):
    random = np.random.default_rng(seed)
    size = tuple(random.integers(1, 24, 2)) if seed % 3 else (random.integers(1, 5), random.integers(60, 200))
    masks = some_masks(random, size, 2)
    predicted, true = masks[random.integers(len(masks), size=(2, 6))]
    hd95, assd = surface_distances(predicted, true, spacing=spacing)
    for i in range(6):
        expected = reference.surface_distances(predicted[i], true[i], spacing or (1, 1))
        np.testing.assert_allclose((hd95[i], assd[i]), expected, rtol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_surface_distances_equal_scipy(seed):
    random = np.random.default_rng(seed)
    masks = some_masks(random, tuple(random.integers(30, 200, 2)), 4)
    predicted, true = masks[random.integers(len(masks), size=(2, 8))]
    got = np.stack(surface_distances(predicted, true, spacing=(0.4, 0.3)), axis=1)
    for i, (a, b) in enumerate(zip(predicted, true, strict=True)):
        if not a.any() or not b.any():
            continue
        a, b = a & ~ndimage.binary_erosion(a), b & ~ndimage.binary_erosion(b)
        a_to_b = ndimage.distance_transform_edt(~b.astype(bool), sampling=(0.4, 0.3))[a > 0]
        b_to_a = ndimage.distance_transform_edt(~a.astype(bool), sampling=(0.4, 0.3))[b > 0]
        hd95 = max(np.percentile(a_to_b, 95), np.percentile(b_to_a, 95))
        np.testing.assert_allclose(got[i], (hd95, np.concatenate([a_to_b, b_to_a]).mean()), rtol=1e-12)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of MONAI
def test_surface_distances_equal_monai():
    torch, metrics = pytest.importorskip("torch"), pytest.importorskip("monai.metrics")
    random = np.random.default_rng(0)
    masks = some_masks(random, (60, 80), 5)
    masks = torch.from_numpy(masks[masks.any(axis=(1, 2))])  # MONAI returns NaN or infinity for empty masks
    predicted, true = masks, masks.flip(0)
    for spacing in (None, [0.4, 0.3]):
        arguments = {"y_pred": predicted[:, None], "y": true[:, None], "include_background": True, "spacing": spacing}
        hd95 = metrics.compute_hausdorff_distance(percentile=95, **arguments)[:, 0]
        assd = metrics.compute_average_surface_distance(symmetric=True, **arguments)[:, 0]
        got = surface_distances(predicted, true.contiguous(), spacing=spacing)
        torch.testing.assert_close(got[0].float(), hd95, atol=1e-4, rtol=0)
        torch.testing.assert_close(got[1].float(), assd, atol=1e-4, rtol=0)


def test_distances_to_empty_masks_are_infinite():
    masks = np.zeros((3, 8, 8), np.uint8)
    masks[0, 2:5, 2:5] = 1
    hd95, assd = surface_distances(masks, masks[[1, 0, 2]])
    assert hd95.tolist() == assd.tolist() == [np.inf, np.inf, 0]
    assert surface_distances(masks[:0], masks[:0])[0].shape == (0,)


@pytest.mark.parametrize(
    ("spacing", "error", "message"),
    [
        (0.5, TypeError, r"spacing must be a pair \(dy, dx\), not 0.5"),
        ((1, 2, 3), TypeError, "spacing must be a pair"),
        (("1", 2), TypeError, "spacing must contain two numbers, not str"),
        ((0, 1), ValueError, "spacing must be between 1e-9 and 1e9, not 0"),
        ((1, np.nan), ValueError, "not nan"),
        ((1, np.inf), ValueError, "not inf"),
    ],
)
def test_invalid_spacings(spacing, error, message):
    mask = np.zeros((1, 4, 4), np.uint8)
    with pytest.raises(error, match=message):
        distance_transform(mask, spacing=spacing)
    with pytest.raises(error, match=message):
        surface_distances(mask, mask, spacing=spacing)


def test_invalid_pairs():
    masks = np.zeros((2, 4, 4), np.uint8)
    with pytest.raises(ValueError, match=r"true must have the shape \(2, 4, 4\), not \(1, 4, 4\)"):
        surface_distances(masks, masks[:1])
    with pytest.raises(TypeError, match="predicted must be uint8, not bool"):
        surface_distances(masks.astype(bool), masks)
    out = np.empty(2)
    with pytest.raises(ValueError, match="out hd95 must not share memory with out assd"):
        surface_distances(masks, masks, out=(out, out))
