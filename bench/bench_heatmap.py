"""Seven full gaussian planes an image against NumPy and torch, and decoding them.

Floors: zeroing the planes, and reading them once.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from echoseg.ops import decode_heatmaps, render_heatmaps
from samples import FEW, LANDMARKS, landmarks

SIGMA = 4.0


def echoseg(points, out):
    return lambda: render_heatmaps(points, out.shape[2:], sigma=SIGMA, out=out)


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


def torch_separable(points, out):
    points, out = torch.from_numpy(points), torch.from_numpy(out)
    y, x = torch.arange(out.shape[2]), torch.arange(out.shape[3])

    def run():
        rows = torch.exp((y - points[..., 1, None]) ** 2 / (-2 * SIGMA**2))
        columns = torch.exp((x - points[..., 0, None]) ** 2 / (-2 * SIGMA**2))
        torch.mul(rows[..., :, None], columns[..., None, :], out=out)

    return run


def floor(points, out):
    raw = out.view(np.uint8)
    return lambda: raw.fill(0)  # memset; filling floats is slower


CONTENDERS = {
    "floor": floor,
    "echoseg": echoseg,
    "numpy, separable": numpy_separable,
    "torch, separable": torch_separable,
    "numpy, full planes": numpy_full,
}


@pytest.mark.parametrize("name", CONTENDERS)
@pytest.mark.parametrize("size", FEW)
def bench_heatmaps(race, size, name):
    count, shape = FEW[size]
    if shape[0] > 500:
        count = 16
    points = landmarks(count, shape)
    out, expected = np.empty((2, count, LANDMARKS, *shape), np.float32)
    run = CONTENDERS[name](points, out)
    if name != "floor":
        run()
        echoseg(points, expected)()
        np.testing.assert_allclose(out, expected, atol=1e-6, rtol=0)
    race(f"{LANDMARKS} gaussian planes, {size}", name, run, count)


def decode_echoseg(maps):
    return lambda: decode_heatmaps(maps)


def decode_numpy(maps):
    def run():
        flat = maps.reshape(*maps.shape[:2], -1)
        best = flat.argmax(axis=2)
        points = np.stack([best % maps.shape[3], best // maps.shape[3]], axis=2).astype(np.float32)
        return points, np.take_along_axis(flat, best[..., None], axis=2)[..., 0]

    return run


def decode_torch(maps):
    tensor = torch.from_numpy(maps)

    def run():
        confidence, best = tensor.flatten(2).max(dim=2)
        return torch.stack([best % maps.shape[3], best // maps.shape[3]], dim=2).float(), confidence

    return run


def decode_floor(maps):
    flat = maps.ravel()
    return lambda: flat.max()


DECODERS = {"floor": decode_floor, "echoseg": decode_echoseg, "numpy argmax": decode_numpy, "torch max": decode_torch}


@pytest.mark.parametrize("name", DECODERS)
def bench_decode(race, name):
    maps = render_heatmaps(landmarks(64, (112, 112)), (112, 112), sigma=SIGMA)
    run = DECODERS[name](maps)
    if name != "floor":
        for got, expected in zip(run(), decode_echoseg(maps)(), strict=True):
            np.testing.assert_array_equal(np.asarray(got), expected)
    race(f"decode {LANDMARKS} planes, N=64, 112×112", name, run, 64)
