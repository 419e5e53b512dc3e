"""Complete targets: mask, 5×5 band, and seven Gaussians times band times a disc of 8 pixels. Floor: zeroing them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import compiled
from echoseg.ops import Targets, render_targets
from race import Contender, some
from samples import FEWER, LANDMARKS, SIGMA, contours, landmarks

RADIUS, KERNEL = 8.0, 5
STYLE = {"kernel_size": KERNEL, "iterations": 1, "sigma": SIGMA, "radius": RADIUS}


def echoseg(points, marks, out, rule="opencv"):
    return lambda: render_targets(points, marks, out.mask.shape[1:], rule=rule, out=out, **STYLE)


def echoseg_again(points, marks, out):
    """With `previous`: the output contains heatmaps of the same landmarks, and only their windows are cleared."""
    style = {"rule": "opencv", **STYLE}
    return lambda: render_targets(points, marks, out.mask.shape[1:], out=out, previous=marks, **style)


def mask_and_band(points, out):
    kernel = np.ones((KERNEL, KERNEL), np.uint8)
    rounded = np.rint(points).astype(np.int32)

    def run():
        out.mask.fill(0)
        for mask, band, contour in zip(out.mask, out.band, rounded, strict=True):
            cv2.fillPoly(mask, [contour], 1)
            cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, kernel, dst=band)

    return run


def numba_windows(points, marks, out):
    draw, render = mask_and_band(points, out), compiled.windows()

    def run():
        draw()
        render(marks, out.band, out.heatmaps, SIGMA, RADIUS)

    return run


def all_numba(points, marks, out):
    fill, band, render = compiled.scanline(), compiled.counting_band(), compiled.windows()

    def run():
        fill(points, out.mask)
        band(out.mask, out.band, KERNEL // 2)
        render(marks, out.band, out.heatmaps, SIGMA, RADIUS)

    return run


def numpy_planes(points, marks, out):
    y, x = np.arange(out.mask.shape[1], dtype=np.float32), np.arange(out.mask.shape[2], dtype=np.float32)
    draw = mask_and_band(points, out)

    def run():
        draw()
        rows, columns = (y - marks[..., 1, None]) ** 2, (x - marks[..., 0, None]) ** 2
        factors = [np.exp(square / (-2 * SIGMA**2)) for square in (rows, columns)]
        np.multiply(factors[0][..., :, None], factors[1][..., None, :], out=out.heatmaps)
        np.multiply(out.heatmaps, rows[..., :, None] + columns[..., None, :] <= RADIUS**2, out=out.heatmaps)
        np.multiply(out.heatmaps, out.band[:, None], out=out.heatmaps)

    return run


def numpy_windows(points, marks, out):
    """NumPy inside the window of each disc only: the fastest version that we found without compiled code."""
    height, width = out.mask.shape[1:]
    reach = int(RADIUS) + 1
    offsets = np.arange(-reach, reach + 1)
    draw = mask_and_band(points, out)

    def run():
        draw()
        out.heatmaps.fill(0)
        left, top = np.rint(marks[..., 0]).astype(int), np.rint(marks[..., 1]).astype(int)
        columns, rows = left[..., None] + offsets, top[..., None] + offsets
        across, down = (columns - marks[..., 0, None]) ** 2, (rows - marks[..., 1, None]) ** 2
        square = down[..., :, None] + across[..., None, :]
        values = np.where(square <= RADIUS**2, np.exp(square / (-2 * SIGMA**2)), 0).astype(np.float32)
        for i, k in np.ndindex(*marks.shape[:2]):
            y, x = rows[i, k, 0], columns[i, k, 0]
            y0, x0, y1, x1 = max(y, 0), max(x, 0), min(y + len(offsets), height), min(x + len(offsets), width)
            window = values[i, k, y0 - y : y1 - y, x0 - x : x1 - x]
            np.multiply(window, out.band[i, y0:y1, x0:x1], out=out.heatmaps[i, k, y0:y1, x0:x1])

    return run


def torch_planes(points, marks, out):
    import torch

    y, x = torch.arange(out.mask.shape[1]), torch.arange(out.mask.shape[2])
    marks, heatmaps, band = torch.from_numpy(marks), torch.from_numpy(out.heatmaps), torch.from_numpy(out.band)
    draw = mask_and_band(points, out)

    def run():
        draw()
        rows, columns = (y - marks[..., 1, None]) ** 2, (x - marks[..., 0, None]) ** 2
        factors = [torch.exp(square / (-2 * SIGMA**2)) for square in (rows, columns)]
        torch.mul(factors[0][..., :, None], factors[1][..., None, :], out=heatmaps)
        heatmaps.mul_((rows[..., :, None] + columns[..., None, :]) <= RADIUS**2).mul_(band[:, None])

    return run


def rodriguez(points, marks, out):
    """As in Rodríguez Valencia et al.: skimage's filter of a unit pixel, scaled to 1, times disc and band."""
    from skimage.filters import gaussian

    y, x = np.mgrid[: out.mask.shape[1], : out.mask.shape[2]]
    draw = mask_and_band(points, out)

    def run():
        draw()
        for i, k in np.ndindex(*marks.shape[:2]):
            column, row = np.rint(marks[i, k]).astype(int)
            unit = np.zeros(out.mask.shape[1:])
            unit[row, column] = 1
            heatmap = gaussian(unit, sigma=SIGMA)
            disc = np.hypot(x - marks[i, k, 0], y - marks[i, k, 1]) <= RADIUS
            out.heatmaps[i, k] = heatmap / heatmap.max() * disc * out.band[i]

    return run


def floor(points, marks, out):
    raw = [array.view(np.uint8) for array in out]  # memset; filling floats is slower

    def run():
        for array in raw:
            array.fill(0)

    return run


RODRIGUEZ = "Rodríguez Valencia et al. (cv2, skimage)"
CONTENDERS = {
    "floor": Contender(floor),
    "echoseg": Contender(echoseg),
    "echoseg, 2 threads": Contender(echoseg, threads=2),
    "echoseg, previous=": Contender(echoseg_again),
    "cv2 + numba windows": Contender(numba_windows, needs="numba"),
    "all numba": Contender(all_numba, needs="numba", rule="center"),
    "cv2 + numpy windows": Contender(numpy_windows, images=64),
    "cv2 + numpy planes": Contender(numpy_planes, images=64),
    "cv2 + torch planes": Contender(torch_planes, images=64),
    RODRIGUEZ: Contender(rodriguez, images=4),
}


def head(targets, images):
    return Targets(*(array[:images] for array in targets))


@pytest.mark.parametrize("size", FEWER)
def bench_targets(race, size):
    count, shape = FEWER[size]
    points, marks = contours(count, shape), landmarks(count, shape)
    out, expected = (
        Targets(*np.empty((2, count, *shape), np.uint8), np.empty((count, LANDMARKS, *shape), np.float32))
        for _ in range(2)
    )
    for name, contender, images in race.entrants(CONTENDERS, count, shape):
        run = contender.make(points[:images], marks[:images], head(out, images))
        if name != "floor":
            run()
            echoseg(points[:images], marks[:images], head(expected, images), contender.rule)()
            check(head(out, images), head(expected, images), name)
        race.enter(name, run, images, contender.threads)
    race.start(f"whole target, {size}")


def check(out, expected, name):
    np.testing.assert_array_equal(out.mask, expected.mask, err_msg=name)
    np.testing.assert_array_equal(out.band, expected.band, err_msg=name)
    off = abs(some(out.heatmaps) - some(expected.heatmaps))
    # Rodríguez Valencia et al. round the landmarks. Pixels on the edge of a disc may differ.
    assert off.mean() < 1e-3 if name == RODRIGUEZ else (off > 1e-6).mean() < 1e-5, name
