"""The same pixels as OpenCV on ECHOSEG_TEST_IMAGES random polygons and masks, including degenerate ones."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest

import reference
from echoseg.ops import border_band, border_band_from_contours, fill_polygons

IMAGES = int(os.environ.get("ECHOSEG_TEST_IMAGES", "2000"))
BATCH = 50
SHAPES = ["rect", "cross", "ellipse"]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_polygons_and_bands(part):
    for seed in range(part, IMAGES // BATCH, 10):
        random = np.random.default_rng([41, seed])
        size = tuple(int(side) for side in random.integers(1, 200, 2))
        most = int(random.choice([4, 8, 16, 64]))
        contours, points, offsets = reference.random_batch(random, size, BATCH, most)
        masks = fill_polygons(points, size, offsets=offsets, rule="opencv")
        expected = np.stack([reference.fill_opencv(contour, size) for contour in contours])
        np.testing.assert_array_equal(masks, expected, f"polygons, seed {seed}")

        style = {"kernel_size": int(random.integers(1, 33)), "shape": SHAPES[seed % 3]}
        style["iterations"] = int(random.integers(1, 3))
        kernel = reference.kernel(style["kernel_size"], style["shape"])
        noise = (random.random((BATCH, *size)) < random.uniform(0, 1, (BATCH, 1, 1))).astype(np.uint8)
        masks[::2] = noise[::2]
        for name, drawn, inputs in (
            ("masks", border_band(masks, **style), masks),
            ("contours", border_band_from_contours(points, size, offsets=offsets, rule="opencv", **style), expected),
        ):
            for i, mask in enumerate(inputs):
                grown = cv2.dilate(mask, kernel, iterations=style["iterations"])
                shrunk = cv2.erode(mask, kernel, iterations=style["iterations"])
                np.testing.assert_array_equal(drawn[i], grown ^ shrunk, f"bands of {name}, seed {seed}, image {i}")


@pytest.mark.parametrize("height", [2**15, 2**15 + 1, 40000])
def test_long_edges(height):
    """Edges of about 2**15 rows, beyond which the crossings may be more than half a pixel from the boundary."""
    random = np.random.default_rng(height)
    points = random.integers(0, [24, height], (8, 6, 2)).astype(np.float32)
    points[:, :2, 1] = 0, height - 1
    masks = fill_polygons(points, (height, 24), rule="opencv")
    for contour, mask in zip(points, masks, strict=True):
        np.testing.assert_array_equal(mask, reference.fill_opencv(contour, mask.shape))
