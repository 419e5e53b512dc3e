"""The border band of masks against OpenCV, SciPy, scikit-image and torch. Floor: copying the masks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage import morphology

from echoseg.ops import border_band, fill_polygons
from samples import SIZES, contours


def echoseg(masks, out, k):
    return lambda: border_band(masks, kernel_size=k, out=out)


def opencv(masks, out, k):
    kernel = np.ones((k, k), np.uint8)

    def run():
        for mask, band in zip(masks, out, strict=True):
            cv2.bitwise_xor(cv2.dilate(mask, kernel), cv2.erode(mask, kernel), dst=band)

    return run


def opencv_gradient(masks, out, k):
    kernel = np.ones((k, k), np.uint8)

    def run():
        for mask, band in zip(masks, out, strict=True):
            cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, kernel, dst=band)

    return run


def max_pool(masks, out, k):
    tensor = torch.from_numpy(masks).float()[:, None]

    def run():
        grown = torch.nn.functional.max_pool2d(tensor, k, 1, k // 2)
        shrunk = -torch.nn.functional.max_pool2d(-tensor, k, 1, k // 2)
        out[:] = (grown - shrunk)[:, 0].numpy()

    return run


def scipy(masks, out, k):
    kernel = np.ones((k, k), bool)

    def run():
        for mask, band in zip(masks, out, strict=True):
            band[:] = ndimage.binary_dilation(mask, kernel) ^ ndimage.binary_erosion(mask, kernel, border_value=1)

    return run


def skimage(masks, out, k):
    kernel = np.ones((k, k), bool)

    def run():
        for mask, band in zip(masks, out, strict=True):
            band[:] = morphology.dilation(mask, kernel) ^ morphology.erosion(mask, kernel)

    return run


def floor(masks, out, k):
    return lambda: np.copyto(out, masks)


CONTENDERS = {  # name: (contender, images at most)
    "floor": (floor, 2000),
    "echoseg": (echoseg, 2000),
    "cv2.dilate ^ cv2.erode, loop": (opencv, 2000),
    "cv2.morphologyEx gradient, loop": (opencv_gradient, 2000),
    "torch max_pool2d": (max_pool, 64),
    "scipy.ndimage, loop": (scipy, 32),
    "skimage.morphology, loop": (skimage, 32),
}


@pytest.mark.parametrize("name", CONTENDERS)
@pytest.mark.parametrize("kernel_size", [5, 31])
@pytest.mark.parametrize("size", SIZES)
def bench_band(race, size, kernel_size, name):
    contender, most = CONTENDERS[name]
    count, shape = SIZES[size]
    if shape[0] > 500:
        most = max(1, most // 20)
    masks = fill_polygons(contours(count, shape)[:most], shape)
    out, expected = np.empty((2, *masks.shape), np.uint8)
    run = contender(masks, out, kernel_size)
    if name != "floor":
        run()
        opencv(masks, expected, kernel_size)()
        np.testing.assert_array_equal(out, expected)
    race(f"band of masks, {kernel_size}×{kernel_size}, {size}", name, run, len(masks))
