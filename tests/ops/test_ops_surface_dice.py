from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

import reference
from echoseg.ops import fill_polygons, normalized_surface_dice

spacings = st.sampled_from([None, (1, 1), (0.1, 0.1), (0.3, 0.4), (0.7, 0.9), (5, 0.001), (1e-9, 1e9)])


def some_pairs(random, size, count):
    """Pairs (2, count, H, W) of shapes, some moved by a few pixels: noise, blobs, polygons, rectangles, full, empty."""
    noise = random.random((count, *size)) < random.choice([0.01, 0.1, 0.5, 0.9, 0.99], (count, 1, 1))
    _, points, offsets = reference.random_batch(random, size, count)
    blobs = ndimage.binary_closing(noise, np.ones((1, 3, 3)))
    boxes = np.zeros((count, *size), np.uint8)
    for box in boxes:  # about half of them touch the edge of the image
        y, x = random.integers(size)
        box[y : y + random.integers(1, size[0] + 1), x : x + random.integers(1, size[1] + 1)] = 1
    ends = np.stack([np.zeros(size), np.ones(size)])
    masks = np.concatenate([noise, blobs, fill_polygons(points, size, offsets=offsets), boxes, ends]).astype(np.uint8)
    predicted, true = masks[random.integers(len(masks), size=(2, count))]
    for i in range(0, count, 2):
        true[i] = ndimage.shift(predicted[i], random.integers(-3, 4, 2), order=0)
    return predicted, true


@pytest.fixture
def deepmind(monkeypatch):
    """NSD of a pair by surface-distance, which uses a name that NumPy 2 lacks and divides by 0 for two empty masks."""
    surface_distance = pytest.importorskip("surface_distance")
    monkeypatch.setattr(np, "Inf", np.inf, raising=False)

    def measure(predicted, true, tolerance, spacing):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = surface_distance.compute_surface_distances(true.astype(bool), predicted.astype(bool), spacing)
            return surface_distance.compute_surface_dice_at_tolerance(found, tolerance)

    return measure


@given(st.integers(0, 2**32 - 1), spacings)
def test_all_pairs_of_corners(seed, spacing):
    random = np.random.default_rng(seed)
    size = tuple(random.integers(1, 16, 2)) if seed % 3 else (random.integers(1, 4), random.integers(60, 140))
    predicted, true = some_pairs(random, size, 2)
    dy, dx = spacing or (1, 1)
    rows, columns = random.integers(0, 6, 2)
    for tolerance in (np.sqrt((rows * dy) ** 2 + (columns * dx) ** 2), rows * dy, random.uniform(0, 6) * dy, 1e300):
        got = normalized_surface_dice(predicted, true, tolerance=tolerance, spacing=spacing)
        expected = [
            reference.normalized_surface_dice(a, b, tolerance, (dy, dx)) for a, b in zip(predicted, true, strict=True)
        ]
        np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.slow
def test_surface_distance_of_a_thousand_pairs(deepmind):
    random = np.random.default_rng(0)
    compared = nothing = part = 0
    for round_ in range(50):
        size = tuple(random.integers(1, 100, 2)) if round_ % 5 else (random.integers(1, 4), random.integers(60, 300))
        predicted, true = some_pairs(random, size, 20)
        whole = round_ % 2 == 0  # whole numbers: many distances equal the tolerance
        spacing = (1.0, 1.0) if whole else tuple(random.uniform(0.05, 3, 2))
        tolerance = float(random.integers(0, 8)) if whole else random.uniform(0, 6)
        got = normalized_surface_dice(predicted, true, tolerance=tolerance, spacing=spacing)
        expected = np.array([deepmind(*pair, tolerance, spacing) for pair in zip(predicted, true, strict=True)])
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
        compared += len(got)
        nothing += np.isnan(got).sum()
        part += ((got > 0) & (got < 1)).sum()
    assert compared == 1000
    assert nothing > 0
    assert part > 300


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of MONAI
def test_monai_with_subvoxels():
    torch, metrics = pytest.importorskip("torch"), pytest.importorskip("monai.metrics")
    predicted, true = (torch.from_numpy(masks) for masks in some_pairs(np.random.default_rng(1), (50, 70), 30))
    for tolerance, spacing in ((2, (1, 1)), (1.7, (0.4, 0.9))):
        expected = metrics.compute_surface_dice(
            *(torch.nn.functional.one_hot(masks.long(), 2).movedim(3, 1) for masks in (predicted, true)),
            class_thresholds=[tolerance],
            spacing=list(spacing),
            use_subvoxels=True,
        )
        got = normalized_surface_dice(predicted, true, tolerance=tolerance, spacing=spacing)
        torch.testing.assert_close(got, expected[:, 0].double(), rtol=0, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize(("spacing", "tolerance", "moved"), [(0.1, 0.3, 3), (0.1, 0.5, 5), (0.7, 2.1, 3), (1, 3, 3)])
def test_distances_equal_to_the_tolerance_are_rounded_as_in_surface_distance(deepmind, spacing, tolerance, moved):
    predicted, true = np.zeros((2, 1, 20, 20), np.uint8)
    predicted[0, 2:8, 2:8] = true[0, 2:8, 2 + moved : 8 + moved] = 1
    got = normalized_surface_dice(predicted, true, tolerance=tolerance, spacing=(spacing, spacing))
    expected = deepmind(predicted[0], true[0], tolerance, (spacing, spacing))
    np.testing.assert_allclose(got, [expected], rtol=1e-12)
    assert (got[0] == 1) == (moved * spacing <= tolerance)


def test_empty_masks():
    masks = np.zeros((4, 8, 8), np.uint8)
    masks[0, 2:5, 2:5], masks[3] = 1, 1
    got = normalized_surface_dice(masks, masks[[1, 0, 2, 3]], tolerance=100)
    np.testing.assert_array_equal(got, [0, 0, np.nan, 1])
    assert normalized_surface_dice(masks[:0], masks[:0], tolerance=1).shape == (0,)


def test_rows_are_y_and_columns_are_x():
    """A row of pixels against the row below: one row, or two columns at the ends, apart."""
    masks = np.zeros((2, 9, 9), np.uint8)
    masks[0, 3, 2:7] = masks[1, 4, 2:7] = 1
    for spacing, near in (((3.0, 1.0), False), ((1.0, 3.0), True)):
        nsd = normalized_surface_dice(masks[:1], masks[1:], tolerance=1.0, spacing=spacing)
        assert (nsd[0] == 1) == near


def test_any_non_zero_value_counts_as_one():
    masks = np.random.default_rng(6).integers(0, 4, (3, 20, 30)).astype(np.uint8) * 85
    ones = (masks > 0).astype(np.uint8)
    np.testing.assert_array_equal(
        normalized_surface_dice(masks, masks[::-1].copy(), tolerance=1),
        normalized_surface_dice(ones, ones[::-1].copy(), tolerance=1),
    )


@pytest.mark.parametrize(
    ("tolerance", "error", "message"),
    [
        ("1", TypeError, "tolerance must be a number, not str"),
        (None, TypeError, "tolerance must be a number, not NoneType"),
        (-0.1, ValueError, "tolerance must be finite and not negative, not -0.1"),
        (np.nan, ValueError, "not nan"),
        (np.inf, ValueError, "not inf"),
    ],
)
def test_invalid_tolerances(tolerance, error, message):
    mask = np.zeros((1, 4, 4), np.uint8)
    with pytest.raises(error, match=message):
        normalized_surface_dice(mask, mask, tolerance=tolerance)


def test_invalid_pairs():
    masks = np.zeros((2, 4, 4), np.uint8)
    with pytest.raises(ValueError, match=r"true must have the shape \(2, 4, 4\), not \(1, 4, 4\)"):
        normalized_surface_dice(masks, masks[:1], tolerance=1)
    with pytest.raises(ValueError, match="spacing must be between 1e-9 and 1e9, not 0"):
        normalized_surface_dice(masks, masks, tolerance=1, spacing=(0, 1))
