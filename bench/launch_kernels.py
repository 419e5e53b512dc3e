"""Launches each CUDA kernel once per size, for a profiler.

    ncu --section SpeedOfLight python bench/launch_kernels.py    # prints the duration of each launch

Nsight Compute empties the caches before a launch and fixes the clock below the highest one, so that its durations are
longer than those of bench_cuda.py.
"""

from __future__ import annotations

import torch

from bench_targets import STYLE
from echoseg.ops import border_band, distance_transform, fill_polygons, render_targets, surface_distances
from samples import contours, landmarks

SIZES = ((64, (112, 112)), (500, (112, 112)), (64, (512, 512)))


def main() -> None:
    for count, shape in SIZES:
        points, marks = (torch.from_numpy(draw(count + 1, shape)).cuda() for draw in (contours, landmarks))
        masks = fill_polygons(points, shape)
        border_band(masks[1:], kernel_size=5)
        render_targets(points[1:], marks[1:], shape, **STYLE)
        distance_transform(masks[1:])
        surface_distances(masks[1:], masks[:-1])
    torch.cuda.synchronize()


if __name__ == "__main__":
    main()
