"""Border bands of masks (floor: copying the masks) and of contours (floor: zeroing the bands)."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import bench_polygon
import compiled
from echoseg.ops import border_band, border_band_from_contours, fill_polygons
from race import Contender
from samples import MANY, contours

KERNELS = [5, 31]


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


def opencv_tall(masks, out, k):
    """All masks as one tall image. This is wrong for masks near the upper or lower border; there are none here."""
    kernel = np.ones((k, k), np.uint8)
    tall, band = masks.reshape(-1, masks.shape[2]), out.reshape(-1, masks.shape[2])
    return lambda: cv2.morphologyEx(tall, cv2.MORPH_GRADIENT, kernel, dst=band)


def shifted_torch(masks, out, k):
    """Bitwise OR of shifted rows and columns, uint8. Each step doubles the distance."""
    import torch
    from torch.nn.functional import pad

    masks, out = torch.from_numpy(masks), torch.from_numpy(out)

    def grown(x):
        x = pad(x, (k // 2, k - 1 - k // 2) * 2)
        for dim in (1, 2):
            reach = 1
            while reach < k:
                step = min(reach, k - reach)
                length = x.shape[dim] - step
                x = x.narrow(dim, 0, length) | x.narrow(dim, step, length)
                reach += step
        return x

    return lambda: torch.bitwise_xor(grown(masks), 1 - grown(1 - masks), out=out)


def max_pool(masks, out, k):
    import torch
    from torch.nn.functional import max_pool2d

    tensor = torch.from_numpy(masks).float()[:, None]

    def grown(x):
        return max_pool2d(max_pool2d(x, (k, 1), 1, (k // 2, 0)), (1, k), 1, (0, k // 2))

    def run():
        out[:] = (grown(tensor) + grown(-tensor))[:, 0].numpy()

    return run


def kornia(masks, out, k):
    import torch
    from kornia.morphology import gradient

    tensor, kernel = torch.from_numpy(masks).float()[:, None], torch.ones(k, k)

    def run():
        out[:] = gradient(tensor, kernel)[:, 0].numpy()

    return run


def numba_counts(masks, out, k):
    band = compiled.counting_band()
    return lambda: band(masks, out, k // 2)


def scipy(masks, out, k):
    from scipy import ndimage

    kernel = np.ones((k, k), bool)

    def run():
        for mask, band in zip(masks, out, strict=True):
            band[:] = ndimage.binary_dilation(mask, kernel) ^ ndimage.binary_erosion(mask, kernel, border_value=1)

    return run


def skimage(masks, out, k):
    from skimage import morphology

    kernel = np.ones((k, k), bool)

    def run():
        for mask, band in zip(masks, out, strict=True):
            band[:] = morphology.dilation(mask, kernel) ^ morphology.erosion(mask, kernel)

    return run


def floor(masks, out, k):
    return lambda: np.copyto(out, masks)


OF_MASKS = {
    "floor": Contender(floor),
    "echoseg": Contender(echoseg),
    "echoseg, 2 threads": Contender(echoseg, threads=2),
    "cv2.morphologyEx gradient, loop": Contender(opencv_gradient),
    "cv2.morphologyEx gradient, tall image": Contender(opencv_tall),
    "cv2.dilate ^ cv2.erode, loop": Contender(opencv),
    "numba, counting": Contender(numba_counts, needs="numba"),
    "torch uint8, shifted": Contender(shifted_torch, images=500),
    "torch max_pool2d, rows and columns": Contender(max_pool, images=32),
    "kornia.morphology.gradient": Contender(kornia, needs="kornia", images=8),
    "scipy.ndimage, loop": Contender(scipy, images=8),
    "skimage.morphology, loop": Contender(skimage, images=32),
}


@pytest.mark.parametrize("size", MANY)
@pytest.mark.parametrize("kernel_size", KERNELS)
def bench_band(race, size, kernel_size):
    count, shape = MANY[size]
    masks = fill_polygons(contours(count, shape), shape)
    out, expected = np.empty((2, *masks.shape), np.uint8)
    for name, contender, images in race.entrants(OF_MASKS, count, shape):
        run = contender.make(masks[:images], out[:images], kernel_size)
        if name != "floor":
            run()
            opencv(masks[:images], expected[:images], kernel_size)()
            np.testing.assert_array_equal(out[:images], expected[:images], err_msg=name)
        race.enter(name, run, images, contender.threads)
    race.start(f"band of masks, {kernel_size}×{kernel_size}, {size}")


def from_contours(points, out, k, rule="opencv"):
    return lambda: border_band_from_contours(points, out.shape[1:], rule=rule, kernel_size=k, out=out)


def one_after_the_other(fill, band):
    """The masks by `fill`, and then their bands by `band`."""

    def make(points, out, k):
        masks = np.empty_like(out)
        draw, widen = fill(points, masks), band(masks, out, k)

        def run():
            draw()
            widen()

        return run

    return make


OF_CONTOURS = {
    "floor": Contender(lambda points, out, k: lambda: out.fill(0)),
    "echoseg": Contender(from_contours),
    "echoseg, 2 threads": Contender(from_contours, threads=2),
    "echoseg, mask then band": Contender(one_after_the_other(bench_polygon.echoseg_opencv, echoseg)),
    "cv2.fillPoly, gradient": Contender(one_after_the_other(bench_polygon.opencv, opencv_gradient)),
    "cv2.fillPoly, dilate ^ erode": Contender(one_after_the_other(bench_polygon.opencv, opencv)),
    "numba scanline, counting": Contender(
        one_after_the_other(bench_polygon.numba_scanline, numba_counts), needs="numba", rule="center"
    ),
}


@pytest.mark.parametrize("size", MANY)
@pytest.mark.parametrize("kernel_size", KERNELS)
def bench_band_from_contours(race, size, kernel_size):
    count, shape = MANY[size]
    points = contours(count, shape)
    out, expected = np.empty((2, count, *shape), np.uint8)
    for name, contender, images in race.entrants(OF_CONTOURS, count, shape):
        run = contender.make(points[:images], out[:images], kernel_size)
        if name != "floor":
            run()
            from_contours(points[:images], expected[:images], kernel_size, contender.rule)()
            np.testing.assert_array_equal(out[:images], expected[:images], err_msg=name)
        race.enter(name, run, images, contender.threads)
    race.start(f"band of contours, {kernel_size}×{kernel_size}, {size}")
