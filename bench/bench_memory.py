"""What fresh memory costs: the same drawing into ``out=`` and into what a call allocates. Floor: zeroing ``out``."""

from __future__ import annotations

import numpy as np
import pytest

from bench_targets import STYLE
from echoseg.ops import Targets, fill_polygons, render_heatmaps, render_targets
from samples import FEWER, LANDMARKS, SIGMA, contours, landmarks

CASES = {name: FEWER[name] for name in ("N=64, 112×112", "N=500, 112×112")}


@pytest.mark.parametrize("size", CASES)
@pytest.mark.parametrize("work", ["fill", "heatmaps", "targets"])
def bench_fresh_memory(race, size, work):
    count, shape = CASES[size]
    points, marks = contours(count, shape), landmarks(count, shape)
    masks, planes = np.empty((2, count, *shape), np.uint8), np.empty((count, LANDMARKS, *shape), np.float32)
    draw, out = {
        "fill": (lambda out=None: fill_polygons(points, shape, out=out), masks[0]),
        "heatmaps": (lambda out=None: render_heatmaps(marks, shape, sigma=SIGMA, out=out), planes),
        "targets": (lambda out=None: render_targets(points, marks, shape, out=out, **STYLE), Targets(*masks, planes)),
    }[work]
    raw = [array.view(np.uint8) for array in (out if isinstance(out, Targets) else [out])]
    race.enter("floor", lambda: [array.fill(0) for array in raw], count)
    race.enter("echoseg", lambda: draw(out), count)
    race.enter("echoseg, fresh memory", draw, count)
    race.start(f"{work}, out= or fresh memory, {size}")
