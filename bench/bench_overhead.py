"""Overhead: new memory in place of `out=`, and calls for a single image. Floor: zeroing the output."""

from __future__ import annotations

import numpy as np
import pytest

import bench_polygon
import bench_targets
from bench_targets import STYLE
from echoseg.ops import Targets, fill_polygons, render_heatmaps, render_targets
from race import Contender
from samples import FEWER, LANDMARKS, SIGMA, contours, landmarks

CASES = {name: FEWER[name] for name in ("N=64, 112×112", "N=500, 112×112")}
ONE = (1, (112, 112))


def arrays(count, shape):
    """Contours, landmarks and outputs."""
    planes = np.empty((count, LANDMARKS, *shape), np.float32)
    return contours(count, shape), landmarks(count, shape), Targets(*np.empty((2, count, *shape), np.uint8), planes)


@pytest.mark.parametrize("size", CASES)
@pytest.mark.parametrize("work", ["fill", "heatmaps", "targets"])
def bench_fresh_memory(race, size, work):
    count, shape = CASES[size]
    points, marks, out = arrays(count, shape)
    draw, into = {
        "fill": (lambda out=None: fill_polygons(points, shape, out=out), out.mask),
        "heatmaps": (lambda out=None: render_heatmaps(marks, shape, sigma=SIGMA, out=out), out.heatmaps),
        "targets": (lambda out=None: render_targets(points, marks, shape, out=out, **STYLE), out),
    }[work]
    into_all = into if work == "targets" else [into]
    raw = [array.view(np.uint8) for array in into_all]
    draw(into)
    for got, fresh in zip(into_all, draw() if work == "targets" else [draw()], strict=True):
        np.testing.assert_array_equal(got, fresh)
    race.enter("floor", lambda: [array.fill(0) for array in raw], count)
    race.enter("echoseg", lambda: draw(into), count)
    race.enter("echoseg, fresh memory", draw, count)
    race.start(f"{work}, out= or fresh memory, {size}")


def on_tensors(make):
    def make_of_tensors(*arguments):
        import torch

        *inputs, out = arguments
        out = Targets(*map(torch.from_numpy, out)) if isinstance(out, Targets) else torch.from_numpy(out)
        return make(*map(torch.from_numpy, inputs), out)

    return make_of_tensors


SINGLE = {
    "fill": {
        "floor": Contender(bench_polygon.floor),
        "echoseg": Contender(bench_polygon.echoseg_opencv),
        "echoseg, torch tensors": Contender(on_tensors(bench_polygon.echoseg_opencv)),
        "cv2.fillPoly": Contender(bench_polygon.opencv),
        "numba scanline, rule center": Contender(bench_polygon.numba_scanline, needs="numba", rule="center"),
    },
    "whole target": {
        "floor": Contender(bench_targets.floor),
        "echoseg": Contender(bench_targets.echoseg),
        "echoseg, torch tensors": Contender(on_tensors(bench_targets.echoseg)),
        "cv2 + numba windows": Contender(bench_targets.numba_windows, needs="numba"),
        "cv2 + numpy windows": Contender(bench_targets.numpy_windows),
    },
}


@pytest.mark.parametrize("work", SINGLE)
def bench_one_image(race, work):
    points, marks, out = arrays(*ONE)
    for name, contender, images in race.entrants(SINGLE[work], *ONE):
        run = contender.make(*((points, out.mask) if work == "fill" else (points, marks, out)))
        if name != "floor":
            run()
            if work == "fill":
                np.testing.assert_array_equal(out.mask, fill_polygons(points, ONE[1], rule=contender.rule), name)
            else:
                bench_targets.check(out, render_targets(points, marks, ONE[1], rule="opencv", **STYLE), name)
        race.enter(name, run, images)
    race.start(f"{work}, one image, 112×112")
