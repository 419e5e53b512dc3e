"""Points from seven rendered heatmaps an image. Floor: reading the heatmaps once, for their maximum."""

from __future__ import annotations

import numpy as np
import pytest

from echoseg.ops import decode_heatmaps, render_heatmaps
from race import Contender
from samples import FEWER, LANDMARKS, SIGMA, landmarks


def echoseg(maps):
    out = np.empty((*maps.shape[:2], 2), np.float32), np.empty(maps.shape[:2], np.float32)
    return lambda: decode_heatmaps(maps, out=out)


def numpy_argmax(maps):
    def run():
        flat = maps.reshape(*maps.shape[:2], -1)
        best = flat.argmax(axis=2)
        points = np.stack([best % maps.shape[3], best // maps.shape[3]], axis=2).astype(np.float32)
        return points, np.take_along_axis(flat, best[..., None], axis=2)[..., 0]

    return run


def torch_max(maps):
    import torch

    tensor = torch.from_numpy(maps)

    def run():
        confidence, best = tensor.flatten(2).max(dim=2)
        return torch.stack([best % maps.shape[3], best // maps.shape[3]], dim=2).float(), confidence

    return run


def floor(maps):
    flat = maps.ravel()
    return lambda: flat.max()


ARGMAX = {
    "floor": Contender(floor),
    "echoseg": Contender(echoseg),
    "echoseg, 2 threads": Contender(echoseg, threads=2),
    "numpy argmax": Contender(numpy_argmax),
    "torch max": Contender(torch_max),
}


@pytest.mark.parametrize("size", FEWER)
def bench_argmax(race, size):
    count, shape = FEWER[size]
    maps = render_heatmaps(landmarks(count, shape), shape, sigma=SIGMA)
    for name, contender, images in race.entrants(ARGMAX, count, shape):
        run = contender.make(maps[:images])
        if name != "floor":
            for got, expected in zip(run(), echoseg(maps[:images])(), strict=True):
                np.testing.assert_array_equal(np.asarray(got), expected, err_msg=name)
        race.enter(name, run, images, contender.threads)
    race.start(f"decode {LANDMARKS} planes, argmax, {size}")
