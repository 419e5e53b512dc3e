"""Decoding of seven heatmaps per image. Floor: reading the heatmaps once, for their maximum."""

from __future__ import annotations

import numpy as np
import pytest

from echoseg.ops import decode_heatmaps, render_heatmaps
from race import Contender
from samples import FEWER, LANDMARKS, SIGMA, landmarks


def echoseg(maps, method="argmax"):
    out = np.empty((*maps.shape[:2], 2), np.float32), np.empty(maps.shape[:2], np.float32)
    return lambda: decode_heatmaps(maps, method=method, out=out)


def echoseg_soft(maps):
    return echoseg(maps, "soft_argmax")


def echoseg_dark(maps):
    return echoseg(maps, "dark")


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


def kornia_soft(maps):
    """The mean position over the whole plane after a softmax, as in DSNT."""
    import torch
    from kornia.geometry.subpix import spatial_soft_argmax2d

    tensor = torch.from_numpy(maps)
    return lambda: (spatial_soft_argmax2d(tensor, torch.tensor(0.02), normalized_coordinates=False),)


def dark(maps, smoothed):
    """DARK: the logarithm of the heatmap, smoothed and scaled to the previous peak, then one Newton step."""
    import cv2

    def run():
        points, peaks = numpy_argmax(maps)()
        for i, k in np.ndindex(*peaks.shape):
            plane = maps[i, k]
            if smoothed:
                plane = cv2.GaussianBlur(plane, (17, 17), 0)
                plane *= peaks[i, k] / plane.max()
            x, y = points[i, k].astype(int)
            if not (2 <= x < plane.shape[1] - 2 and 2 <= y < plane.shape[0] - 2):
                continue
            log = np.log(np.maximum(plane[y - 2 : y + 3, x - 2 : x + 3], 1e-10))
            slope = np.array([log[2, 3] - log[2, 1], log[3, 2] - log[1, 2]]) / 2
            across, down = (log[2, 4] - 2 * log[2, 2] + log[2, 0]) / 4, (log[4, 2] - 2 * log[2, 2] + log[0, 2]) / 4
            mixed = (log[3, 3] - log[1, 3] - log[3, 1] + log[1, 1]) / 4
            if across * down != mixed**2:
                points[i, k] -= np.linalg.solve([[across, mixed], [mixed, down]], slope)
        return points, peaks

    return run


def dark_smoothed(maps):
    return dark(maps, True)


def dark_plain(maps):
    return dark(maps, False)


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


# `off`: the tolerance of the check, the distance from the rendered landmark in pixels
BETWEEN = {
    "soft-argmax": {
        "floor": Contender(floor),
        "echoseg": Contender(echoseg_soft, off=0.02),
        "echoseg, 2 threads": Contender(echoseg_soft, threads=2, off=0.02),
        "kornia spatial_soft_argmax2d": Contender(kornia_soft, needs="kornia", images=64, off=0.1),
    },
    "DARK": {
        "floor": Contender(floor),
        "echoseg": Contender(echoseg_dark, off=0.02),
        "echoseg, 2 threads": Contender(echoseg_dark, threads=2, off=0.02),
        "numpy, as published": Contender(dark_smoothed, images=64, off=0.02),
        "numpy, without the smoothing": Contender(dark_plain, images=64, off=0.02),
    },
}


@pytest.mark.parametrize("size", [size for size in FEWER if "256" not in size])
@pytest.mark.parametrize("method", BETWEEN)
def bench_between_pixels(race, size, method):
    count, shape = FEWER[size]
    marks = landmarks(count, shape)
    maps = render_heatmaps(marks, shape, sigma=SIGMA)
    for name, contender, images in race.entrants(BETWEEN[method], count, shape):
        run = contender.make(maps[:images])
        if name != "floor":
            np.testing.assert_allclose(run()[0], marks[:images], atol=contender.off, rtol=0, err_msg=name)
        race.enter(name, run, images, contender.threads)
    race.start(f"decode {LANDMARKS} planes, {method}, {size}")
