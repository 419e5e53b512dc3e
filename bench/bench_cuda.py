"""The CUDA implementations.

Floor: the time to write the output at the write bandwidth, which is measured in the same run by zeroing 2 GiB. A ratio
of 1.25 to the floor is 80 % of the bandwidth. The L2 cache is cold in every call: calls cycle through inputs and
outputs of four times its size. Ten calls lie between two events. The device sleeps while the calls are queued, so that
it does not wait for Python.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import pytest
import torch

from bench_targets import STYLE
from echoseg.ops import (
    Targets,
    border_band,
    build_info,
    distance_transform,
    fill_polygons,
    render_heatmaps,
    render_targets,
)
from samples import FEWER, LANDMARKS, MANY, SIGMA, contours, landmarks

DEVICE = "cuda"
CALLS, QUEUED_CYCLES = 10, 20_000_000
LARGE = 2**31

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    pytest.mark.skipif(not build_info()["cuda_built"], reason="echoseg was built without CUDA"),
]


@dataclass(frozen=True)
class Work:
    """A kernel with its inputs and outputs.

    Attributes:
        inputs: A function of count and shape that returns the inputs.
        writes: The dtype and the leading shape per image of each output.
        call: A function of the inputs and the output.
        sizes: The count and shape of the images by name of the size.
        off: The tolerance of the check.
        peers: Other implementations by name.
    """

    inputs: Callable
    writes: list[tuple[np.dtype, tuple[int, ...]]]
    call: Callable
    sizes: dict[str, tuple[int, tuple[int, int]]]
    off: float = 0.0
    peers: dict[str, Callable] | None = None


def masks_of(count, shape):
    return (fill_polygons(contours(count, shape), shape),)


def separable(points, out):
    """Separable Gaussians in torch, on the device."""
    y, x = (torch.arange(n, device=points.device) for n in out[0].shape[2:])
    rows = torch.exp((y - points[..., 1, None]) ** 2 / (-2 * SIGMA**2))
    columns = torch.exp((x - points[..., 0, None]) ** 2 / (-2 * SIGMA**2))
    torch.mul(rows[..., :, None], columns[..., None, :], out=out[0])


def max_pool(masks, out):
    wide = masks[:, None].half()
    pool = torch.nn.functional.max_pool2d
    torch.add(pool(wide, 5, 1, 2)[:, 0], pool(-wide, 5, 1, 2)[:, 0], out=wide[:, 0])
    out[0].copy_(wide[:, 0])


def targets(points, marks, out):
    render_targets(points, marks, out[0].shape[1:], out=Targets(*out), **STYLE)


def targets_again(points, marks, out):
    render_targets(points, marks, out[0].shape[1:], out=Targets(*out), previous=marks, **STYLE)


MASK, PLANES = (np.uint8, ()), (np.float32, (LANDMARKS,))
WORKS = {
    "fill": Work(
        lambda count, shape: (contours(count, shape),),
        [MASK],
        lambda points, out: fill_polygons(points, out[0].shape[1:], out=out[0]),
        MANY,
    ),
    "band of masks, 5×5": Work(
        masks_of,
        [MASK],
        lambda masks, out: border_band(masks, kernel_size=5, out=out[0]),
        MANY,
        peers={"torch max_pool2d": max_pool},
    ),
    f"{LANDMARKS} gaussian planes": Work(
        lambda count, shape: (landmarks(count, shape),),
        [PLANES],
        lambda points, out: render_heatmaps(points, out[0].shape[2:], sigma=SIGMA, out=out[0]),
        FEWER,
        off=1e-6,
        peers={"torch, separable": separable},
    ),
    "whole target": Work(
        lambda count, shape: (contours(count, shape), landmarks(count, shape)),
        [MASK, MASK, PLANES],
        targets,
        FEWER,
        off=1e-6,
        peers={"echoseg, previous=": targets_again},
    ),
    "distance transform": Work(
        masks_of, [(np.float32, ())], lambda masks, out: distance_transform(masks, out=out[0]), FEWER, off=1e-5
    ),
}


@pytest.mark.parametrize(("work", "size"), [(name, size) for name, work in WORKS.items() for size in work.sizes])
def bench_cuda(race, work, size):
    name, work = work, WORKS[work]
    count, shape = work.sizes[size]
    inputs = work.inputs(count, shape)
    each = sum(int(np.prod(planes)) * np.dtype(dtype).itemsize for dtype, planes in work.writes) * shape[0] * shape[1]
    l2 = torch.cuda.get_device_properties(DEVICE).L2_cache_size
    sets = [fresh_set(work, inputs, count, shape) for _ in range(max(2, -(-4 * l2 // (count * each))))]
    expected = [np.empty((count, *planes, *shape), dtype) for dtype, planes in work.writes]
    work.call(*inputs, expected)

    large = torch.empty(LARGE, dtype=torch.uint8, device=DEVICE)
    race.enter("floor", large.zero_, LARGE / each)
    for who, call in {"echoseg": work.call, **(work.peers or {})}.items():
        for device_inputs, out in sets:
            call(*device_inputs, out)
        for got, ours in zip(sets[0][1], expected, strict=True):
            np.testing.assert_allclose(got.cpu().numpy(), ours, atol=work.off, rtol=0, err_msg=who)
        race.enter(who, in_turns(call, sets), count)
    race.start(f"CUDA: {name}, {size}", clock)


def fresh_set(work, inputs, count, shape):
    out = [torch.from_numpy(np.zeros((count, *planes, *shape), dtype)).to(DEVICE) for dtype, planes in work.writes]
    return [torch.from_numpy(array).to(DEVICE) for array in inputs], out


def in_turns(call, sets):
    turns = cycle(sets)

    def run():
        inputs, out = next(turns)
        call(*inputs, out)

    return run


def clock(run, seconds):
    """Seconds per call of five series of ten calls. `seconds` is ignored; the CPU benchmarks need it."""
    taken = []
    for _ in range(5):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda._sleep(QUEUED_CYCLES)
        start.record()
        for _ in range(CALLS):
            run()
        stop.record()
        stop.synchronize()
        taken.append(start.elapsed_time(stop) / 1e3 / CALLS)
    return taken
