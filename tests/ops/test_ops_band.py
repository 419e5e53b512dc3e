from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from echoseg.ops import border_band, border_band_from_contours, dilate, erode, fill_polygons


def opencv(mask, kernel_size, shape, iterations):
    kernel = reference.kernel(kernel_size, shape)
    grown, shrunk = cv2.dilate(mask, kernel, iterations=iterations), cv2.erode(mask, kernel, iterations=iterations)
    return {dilate: grown, erode: shrunk, border_band: grown ^ shrunk}


def some_masks(random, size):
    _, points, offsets = reference.random_batch(random, size, 4)
    noise = random.random((3, *size)) < [[[0.03]], [[0.5]], [[0.97]]]
    return np.concatenate(
        [fill_polygons(points, size, offsets=offsets), noise, np.zeros((1, *size)), np.ones((1, *size))]
    ).astype(np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["rect", "cross", "ellipse"])
@pytest.mark.parametrize("seeds", [range(start, start + 40) for start in range(0, 160, 40)], ids=str)
def test_equals_opencv_in_every_pixel(shape, seeds):
    for seed in seeds:
        random = np.random.default_rng(seed)
        size = tuple(int(side) for side in random.integers(1, 140, 2))
        kernel_size, iterations = int(random.integers(1, 40)), int(random.integers(1, 4))
        masks = some_masks(random, size)
        expected = [opencv(mask, kernel_size, shape, iterations) for mask in masks]
        for operator in (dilate, erode, border_band):
            got = operator(masks, kernel_size=kernel_size, shape=shape, iterations=iterations)
            np.testing.assert_array_equal(got, [e[operator] for e in expected], f"{seed} {operator.__name__}")


@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.sampled_from(["rect", "cross", "ellipse"]), st.integers(1, 3))
def test_equals_the_oracle(seed, kernel_size, shape, iterations):
    random = np.random.default_rng(seed)
    mask = (random.random((random.integers(1, 20), random.integers(1, 80))) < random.uniform(0, 1)).astype(np.uint8)
    element = reference.kernel(kernel_size, shape)
    arguments = {"kernel_size": kernel_size, "shape": shape, "iterations": iterations}
    grown, shrunk = reference.dilate(mask, element, iterations), reference.erode(mask, element, iterations)
    np.testing.assert_array_equal(dilate(mask[None], **arguments)[0], grown)
    np.testing.assert_array_equal(erode(mask[None], **arguments)[0], shrunk)
    np.testing.assert_array_equal(border_band(mask[None], **arguments)[0], grown ^ shrunk)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.sampled_from(["rect", "cross", "ellipse"]), st.integers(1, 3))
def test_from_contours_equals_fill_and_band(seed, kernel_size, shape, iterations):
    random = np.random.default_rng(seed)
    size = tuple(int(side) for side in random.integers(1, 150, 2))
    _, points, offsets = reference.random_batch(random, size, 6)
    style = {"kernel_size": kernel_size, "shape": shape, "iterations": iterations}
    for rule in ("center", "opencv"):
        masks = fill_polygons(points, size, offsets=offsets, rule=rule)
        got = border_band_from_contours(points, size, offsets=offsets, rule=rule, **style)
        np.testing.assert_array_equal(got, border_band(masks, **style))


def test_coverage_has_no_band():
    with pytest.raises(ValueError, match="rule 'coverage' draws areas, not masks; choose one of: center, opencv"):
        border_band_from_contours(np.zeros((1, 3, 2), np.float32), (4, 4), rule="coverage")


def test_dilation_equals_scipy():
    ndimage = pytest.importorskip("scipy.ndimage")
    mask = (np.random.default_rng(0).random((50, 70)) < 0.05).astype(np.uint8)
    for shape in ("rect", "cross", "ellipse"):
        expected = ndimage.binary_dilation(mask, reference.kernel(7, shape), iterations=2)
        np.testing.assert_array_equal(dilate(mask[None], kernel_size=7, shape=shape, iterations=2)[0], expected)


def test_band_of_rodriguez_valencia():
    """A 3 × 3 kernel and 2 iterations: two pixels on either side of the border."""
    mask = np.zeros((1, 20, 20), np.uint8)
    mask[:, 6:14, 5:15] = 1
    band = border_band(mask, kernel_size=3, iterations=2)
    expected = np.zeros_like(mask)
    expected[:, 4:16, 3:17] = 1
    expected[:, 8:12, 7:13] = 0
    np.testing.assert_array_equal(band, expected)


@pytest.mark.parametrize("shape", ["rect", "cross", "ellipse"])
@pytest.mark.parametrize(
    ("kernel_size", "iterations"), [(1, 5), (101, 1), (64, 3), (2, 1000), (5, 2**31 - 1), (2**15, 2**31 - 1)]
)
def test_structuring_elements_larger_than_the_image(shape, kernel_size, iterations):
    random = np.random.default_rng(4)
    masks = some_masks(random, (13, 70))
    small = min(kernel_size, 301)
    few = min(iterations, 2 + 200 // (small // 2 + 1))  # more would not change the result
    expected = [opencv(mask, small, shape, few)[border_band] for mask in masks]
    got = border_band(masks, kernel_size=kernel_size, shape=shape, iterations=iterations)
    np.testing.assert_array_equal(got, expected)


def test_images_are_independent():
    random = np.random.default_rng(5)
    masks = (random.random((40, 30, 64)) < 0.5).astype(np.uint8)
    together = border_band(masks, kernel_size=9)
    for mask, band in zip(masks, together, strict=True):
        np.testing.assert_array_equal(border_band(mask[None], kernel_size=9)[0], band)


def test_any_non_zero_value_counts_as_one():
    mask = np.random.default_rng(6).integers(0, 4, (3, 20, 30)).astype(np.uint8) * 85
    np.testing.assert_array_equal(border_band(mask), border_band((mask > 0).astype(np.uint8)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": "disc"}, "unknown shape 'disc'; known: rect, cross, ellipse"),
        ({"kernel_size": 0}, "kernel_size must be between 1 and 32768"),
        ({"iterations": 0}, "iterations must be between 1"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        border_band(np.zeros((1, 4, 4), np.uint8), **arguments)
