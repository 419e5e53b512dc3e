"""The CUDA implementations.

Floor: the time to write the output at the write bandwidth, which is measured in the same run by zeroing 2 GiB. A ratio
of 1.25 to the floor is 80 % of the bandwidth. Where the input is much larger than the output (decoding, surface
distances), it is the time to read the input at the read bandwidth, measured by the maximum of 2 GiB. The L2 cache is
cold in every call: calls cycle through inputs and outputs of four times its size. Ten calls lie between two events. The
device sleeps while the calls are queued, so that it does not wait for Python; implementations that synchronise wait
nevertheless.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle

import numpy as np
import pytest
import torch

import cuda_peers as peers
from bench_distance import PAIRS, TOLERANCE
from bench_targets import STYLE
from echoseg.ops import (
    Targets,
    border_band,
    build_info,
    decode_heatmaps,
    distance_transform,
    fill_polygons,
    normalized_surface_dice,
    render_heatmaps,
    render_targets,
    surface_distances,
)
from race import Contender
from samples import FEWER, LANDMARKS, MANY, SIGMA, contours, landmarks

DEVICE = "cuda"
CALLS, QUEUED_CYCLES = 10, 20_000_000
SLOW = 0.01  # seconds; a longer call is timed alone
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
        writes: The dtype and a function of the shape that returns the shape per image, for each output.
        make: A function of the inputs and the outputs that returns the function to be timed.
        sizes: The count and shape of the images by name of the size.
        reads: Whether the floor is that of reading the inputs.
        off: The tolerance of the check.
        peers: Other implementations by name.
        checked: The number of outputs that all implementations write.
    """

    inputs: Callable
    writes: list[tuple[type, Callable]]
    make: Callable
    sizes: dict[str, tuple[int, tuple[int, int]]]
    reads: bool = False
    off: float = 0.0
    peers: dict[str, Contender] = field(default_factory=dict)
    checked: int = 2


def contours_of(count, shape):
    return (contours(count, shape),)


def landmarks_of(count, shape):
    return (landmarks(count, shape),)


def masks_of(count, shape):
    return (fill_polygons(contours(count, shape), shape),)


def pairs_of(count, shape):
    masks = fill_polygons(contours(count + 1, shape), shape)
    return masks[1:], masks[:-1]


def heatmaps_of(count, shape):
    return (render_heatmaps(landmarks(count, shape), shape, sigma=SIGMA),)


def decode_by(method):
    return lambda maps, out: lambda: decode_heatmaps(maps, method=method, out=tuple(out))


def targets(points, marks, out, previous=None):
    return lambda: render_targets(points, marks, out[0].shape[1:], out=Targets(*out), previous=previous, **STYLE)


def targets_again(points, marks, out):
    return targets(points, marks, out, previous=marks)


def image(*leading):
    return lambda shape: (*leading, *shape)


def values(*leading):
    return lambda shape: leading


POINTS_AND_CONFIDENCES = [(np.float32, values(LANDMARKS, 2)), (np.float32, values(LANDMARKS))]
WORKS = {
    "fill": Work(
        contours_of,
        [(np.uint8, image())],
        lambda points, out: lambda: fill_polygons(points, out[0].shape[1:], out=out[0]),
        MANY,
        peers={"torch, even-odd over edges": Contender(peers.even_odd)},
    ),
    "band of masks, 5×5": Work(
        masks_of,
        [(np.uint8, image())],
        lambda masks, out: lambda: border_band(masks, kernel_size=5, out=out[0]),
        MANY,
        peers={
            "torch max_pool2d": Contender(peers.max_pool),
            "kornia dilation - erosion": Contender(peers.kornia_band, needs="kornia"),
            "CuPy binary_dilation ^ binary_erosion": Contender(peers.cupy_band, needs="cupy"),
            "cuCIM binary_dilation ^ binary_erosion": Contender(peers.cucim_band, needs="cucim"),
        },
    ),
    f"{LANDMARKS} gaussian planes": Work(
        landmarks_of,
        [(np.float32, image(LANDMARKS))],
        lambda points, out: lambda: render_heatmaps(points, out[0].shape[2:], sigma=SIGMA, out=out[0]),
        FEWER,
        off=1e-6,
        peers={"torch, separable": Contender(peers.separable)},
    ),
    "whole target": Work(
        lambda count, shape: (contours(count, shape), landmarks(count, shape)),
        [(np.uint8, image()), (np.uint8, image()), (np.float32, image(LANDMARKS))],
        targets,
        FEWER,
        off=1e-6,
        peers={"echoseg, previous=": Contender(targets_again)},
        checked=3,
    ),
    "distance transform": Work(
        masks_of,
        [(np.float32, image())],
        lambda masks, out: lambda: distance_transform(masks, out=out[0]),
        FEWER,
        off=1e-5,
        peers={
            "CuPy distance_transform_edt, loop": Contender(peers.cupy_transform, needs="cupy", images=64),
            "cuCIM distance_transform_edt, loop": Contender(peers.cucim_transform, needs="cucim", images=64),
        },
    ),
    "HD95 and ASSD": Work(
        pairs_of,
        [(np.float64, values()), (np.float64, values())],
        lambda predicted, true, out: lambda: surface_distances(predicted, true, out=tuple(out)),
        PAIRS,
        reads=True,
        off=1e-4,
        peers={
            "MONAI": Contender(peers.monai_surfaces, needs="monai", images=16),
            "cuCIM, loop": Contender(peers.cucim_surfaces, needs="cucim", images=64),
        },
    ),
    "NSD": Work(
        pairs_of,
        [(np.float64, values())],
        lambda predicted, true, out: lambda: normalized_surface_dice(predicted, true, tolerance=TOLERANCE, out=out[0]),
        PAIRS,
        reads=True,
        peers={
            "MONAI, border pixels": Contender(peers.monai_dice, needs="monai", images=16, off=0.2),
            "MONAI, use_subvoxels": Contender(peers.monai_subvoxel_dice, needs="monai", images=16, off=1e-6),
        },
    ),
    f"decode {LANDMARKS} planes, argmax": Work(
        heatmaps_of,
        POINTS_AND_CONFIDENCES,
        decode_by("argmax"),
        FEWER,
        reads=True,
        peers={"torch max": Contender(peers.torch_max)},
    ),
    f"decode {LANDMARKS} planes, soft-argmax": Work(
        heatmaps_of,
        POINTS_AND_CONFIDENCES,
        decode_by("soft_argmax"),
        FEWER,
        reads=True,
        off=1e-3,
        peers={"kornia spatial_soft_argmax2d": Contender(peers.kornia_soft, needs="kornia", off=0.15)},
        checked=1,
    ),
    f"decode {LANDMARKS} planes, DARK": Work(
        heatmaps_of, POINTS_AND_CONFIDENCES, decode_by("dark"), FEWER, reads=True, off=1e-3
    ),
}


@pytest.mark.parametrize(("work", "size"), [(name, size) for name, work in WORKS.items() for size in work.sizes])
def bench_cuda(race, work, size):
    name, work = work, WORKS[work]
    count, shape = work.sizes[size]
    inputs = work.inputs(count, shape)
    expected = [np.empty((count, *of_image(shape)), dtype) for dtype, of_image in work.writes]
    work.make(*inputs, expected)()
    moved = sum(array.nbytes for array in (inputs if work.reads else expected))
    large = torch.zeros(LARGE // 4, dtype=torch.float32, device=DEVICE)
    race.enter("floor", large.max if work.reads else large.zero_, LARGE / moved * count)
    for who, contender, images in race.entrants({"echoseg": Contender(work.make), **work.peers}, count, shape):
        part = [[array[:images] for array in arrays] for arrays in (inputs, expected)]
        sets = [fresh_set(*part) for _ in range(1 if race.check_only else number_of_sets(*part))]
        runs = [contender.make(*arrays, out) for arrays, out in sets]
        runs[0]()
        for got, ours in list(zip(sets[0][1], part[1], strict=True))[: work.checked]:
            off = max(work.off, contender.off)
            np.testing.assert_allclose(got.cpu().numpy(), ours, atol=off, rtol=0, err_msg=who)
        race.enter(who, in_turns(runs), images)
    race.start(f"CUDA: {name}, {size}", clock)


def number_of_sets(inputs, expected):
    """As many as are together four times as large as the L2 cache, also where a contender gets fewer images."""
    l2 = torch.cuda.get_device_properties(DEVICE).L2_cache_size
    return max(2, -(-4 * l2 // sum(array.nbytes for array in (*inputs, *expected))))


def fresh_set(inputs, expected):
    out = [torch.from_numpy(np.zeros_like(array)).to(DEVICE) for array in expected]
    return [torch.from_numpy(np.ascontiguousarray(array)).to(DEVICE) for array in inputs], out


def in_turns(runs):
    turns = cycle(runs)
    return lambda: next(turns)()


def clock(run, seconds):
    """Seconds per call of five series of ten calls. `seconds` is ignored; the CPU benchmarks need it."""
    once = series(run, 1)
    return [once] if once > SLOW else [series(run, CALLS) for _ in range(5)]


def series(run, calls):
    start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda._sleep(QUEUED_CYCLES)
    start.record()
    for _ in range(calls):
        run()
    stop.record()
    stop.synchronize()
    return start.elapsed_time(stop) / 1e3 / calls
