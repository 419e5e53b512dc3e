"""Seven full Gaussian planes per image, σ = 4, in float32 and in float16. Floor: zeroing the planes."""

from __future__ import annotations

import numpy as np
import pytest

import compiled
from echoseg.ops import render_heatmaps
from race import Contender, some
from samples import FEWER, LANDMARKS, SIGMA, landmarks


def echoseg(points, out):
    return lambda: render_heatmaps(points, out.shape[2:], sigma=SIGMA, out=out)


def numba_separable(points, out):
    render = compiled.separable()
    return lambda: render(points, out, SIGMA)


def axes(points, out):
    y, x = np.arange(out.shape[2], dtype=np.float32), np.arange(out.shape[3], dtype=np.float32)
    return y - points[..., 1, None], x - points[..., 0, None]


def numpy_separable(points, out):
    def run():
        y, x = axes(points, out)
        np.multiply(np.exp(y**2 / (-2 * SIGMA**2))[..., :, None], np.exp(x**2 / (-2 * SIGMA**2))[..., None, :], out=out)

    return run


def numpy_full(points, out):
    def run():
        y, x = axes(points, out)
        np.exp((y[..., :, None] ** 2 + x[..., None, :] ** 2) / (-2 * SIGMA**2), out=out)

    return run


def torch_axes(points, out):
    import torch

    points = torch.from_numpy(points)
    return torch.arange(out.shape[2]) - points[..., 1, None], torch.arange(out.shape[3]) - points[..., 0, None]


def torch_separable(points, out):
    import torch

    result = torch.from_numpy(out)

    def run():
        rows, columns = (torch.exp(axis**2 / (-2 * SIGMA**2)) for axis in torch_axes(points, out))
        torch.mul(rows[..., :, None], columns[..., None, :], out=result)

    return run


def torch_broadcast(points, out):
    import torch

    result = torch.from_numpy(out)

    def run():
        y, x = torch_axes(points, out)
        torch.exp((y[..., :, None] ** 2 + x[..., None, :] ** 2) / (-2 * SIGMA**2), out=result)

    return run


def kornia(points, out):
    """The sum of each plane is 1."""
    import torch
    from kornia.geometry.subpix import render_gaussian2d

    mean, std = torch.from_numpy(points).reshape(-1, 2), torch.full((points.shape[0] * points.shape[1], 2), SIGMA)

    def run():
        planes = render_gaussian2d(mean, std, out.shape[2:], normalized_coordinates=False)
        out[:] = planes.reshape(out.shape).numpy()

    return run


def skimage(points, out):
    """A Gaussian filter of a unit pixel: the sum is 1, landmarks are rounded, and values beyond 4σ are 0."""
    from skimage.filters import gaussian

    whole = np.rint(points).astype(int)

    def run():
        for i, k in np.ndindex(*whole.shape[:2]):
            unit = np.zeros(out.shape[2:], np.float32)
            unit[whole[i, k, 1], whole[i, k, 0]] = 1
            out[i, k] = gaussian(unit, sigma=SIGMA)

    return run


def monai(points, out):
    """A Gaussian filter of a unit pixel: the peak is 1, landmarks are rounded, and values beyond 4σ are 0."""
    from monai.transforms import GenerateHeatmap

    transform = GenerateHeatmap(sigma=SIGMA, spatial_shape=out.shape[2:])
    flipped = np.ascontiguousarray(points[..., ::-1])

    def run():
        for marks, planes in zip(flipped, out, strict=True):
            planes[:] = transform(marks)

    return run


def floor(points, out):
    raw = out.view(np.uint8)
    return lambda: raw.fill(0)  # memset; filling floats is slower


# `off`: the tolerance of the check, the difference of pixel values with each plane scaled to a peak of 1
CONTENDERS = {
    "floor": Contender(floor),
    "echoseg": Contender(echoseg, off=1e-6),
    "echoseg, 2 threads": Contender(echoseg, threads=2, off=1e-6),
    "numba, separable": Contender(numba_separable, needs="numba", off=1e-6),
    "torch, separable": Contender(torch_separable, off=1e-6),
    "numpy, separable": Contender(numpy_separable, off=1e-6),
    "numpy, full planes": Contender(numpy_full, images=64, off=1e-6),
    "torch, full planes": Contender(torch_broadcast, images=64, off=1e-6),
    "kornia render_gaussian2d": Contender(kornia, needs="kornia", images=64, off=1e-4),
    "MONAI GenerateHeatmap, loop": Contender(monai, needs="monai", images=8, off=5e-3),
    "skimage.filters.gaussian, loop": Contender(skimage, images=8, off=1e-3),
}
ROUNDING = (monai, skimage)


@pytest.mark.parametrize("size", FEWER)
def bench_heatmaps(race, size):
    count, shape = FEWER[size]
    points = landmarks(count, shape)
    out, expected = np.empty((2, count, LANDMARKS, *shape), np.float32)
    for name, contender, images in race.entrants(CONTENDERS, count, shape):
        run = contender.make(points[:images], out[:images])
        if name != "floor":
            run()
            marks = np.rint(points[:images]) if contender.make in ROUNDING else points[:images]
            echoseg(marks, expected[:images])()
            assert_close(out[:images], expected[:images], contender.off, name)
        race.enter(name, run, images, contender.threads)
    race.start(f"{LANDMARKS} gaussian planes, {size}")


def assert_close(out, expected, off, name):
    got, ours = some(out), some(expected)
    if off > 1e-6:
        got, ours = (planes / planes.max(axis=(2, 3), keepdims=True) for planes in (got, ours))
    np.testing.assert_allclose(got, ours, atol=off, rtol=0, err_msg=name)


def narrow_echoseg(points, out):
    return lambda: render_heatmaps(points, out.shape[2:], sigma=SIGMA, dtype=out.dtype.name, out=out)


def narrow_torch(points, out):
    import torch

    planes = np.empty(out.shape, np.float32)
    draw, narrow, wide = torch_separable(points, planes), torch.from_numpy(out), torch.from_numpy(planes)

    def run():
        draw()
        narrow.copy_(wide)

    return run


NARROW = {
    "floor": Contender(floor),
    "echoseg": Contender(narrow_echoseg),
    "echoseg, 2 threads": Contender(narrow_echoseg, threads=2),
    "torch, separable, then copied": Contender(narrow_torch, off=1e-3),
}


@pytest.mark.parametrize("size", [size for size in FEWER if "256" not in size])
def bench_narrow(race, size):
    count, shape = FEWER[size]
    points = landmarks(count, shape)
    out, expected = np.empty((2, count, LANDMARKS, *shape), np.float16)
    for name, contender, images in race.entrants(NARROW, count, shape):
        run = contender.make(points[:images], out[:images])
        if name != "floor":
            run()
            narrow_echoseg(points[:images], expected[:images])()
            assert_close(out[:images], expected[:images], contender.off, name)
        race.enter(name, run, images, contender.threads)
    race.start(f"{LANDMARKS} gaussian planes as float16, {size}")
