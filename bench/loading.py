"""Samples per second of a torch DataLoader whose Dataset draws the targets, by several libraries.

    python bench/loading.py        # a minute on two cores

Each sample is a complete target of 112×112: mask, 5×5 band and seven heatmaps, drawn from the points by `__getitem__`,
as most training code does. Batches have 64 samples. The floor is the same DataLoader with a Dataset that returns an
array that exists. In the last row a sample is a few points, and the whole batch is drawn at once by `collate_fn`, as
echoseg's own trainer does. The contenders take turns. The result is the fastest epoch of each, and its processor time
without that of worker processes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from importlib.util import find_spec

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, default_collate

import bench_targets
from bench_targets import STYLE
from echoseg.ops import Targets, render_targets
from samples import LANDMARKS, contours, landmarks

SHAPE, BATCH, EPOCHS = (112, 112), 64, 5
WORKERS = (0, 2)
Sample = tuple[torch.Tensor, ...]
EXISTING = (*torch.zeros(2, *SHAPE, dtype=torch.uint8), torch.zeros(LANDMARKS, *SHAPE))


def by_echoseg(points: torch.Tensor, marks: torch.Tensor) -> Targets:
    return render_targets(points, marks, SHAPE, rule="opencv", **STYLE)


def one_by_one(draw: Callable[..., Callable[[], None]]) -> Callable[[torch.Tensor, torch.Tensor], Sample]:
    """Draw a sample by a contender of bench_targets.py."""

    def sample(points: torch.Tensor, marks: torch.Tensor) -> Sample:
        out = Targets(
            np.empty((1, *SHAPE), np.uint8),
            np.empty((1, *SHAPE), np.uint8),
            np.empty((1, LANDMARKS, *SHAPE), np.float32),
        )
        draw(points[None].numpy(), marks[None].numpy(), out)()
        return tuple(torch.from_numpy(array[0]) for array in out)

    return sample


def existing(*_: torch.Tensor) -> Sample:
    return EXISTING


def echoseg_sample(points: torch.Tensor, marks: torch.Tensor) -> Sample:
    return tuple(array[0] for array in by_echoseg(points[None], marks[None]))


def echoseg_batch(samples: list[tuple[torch.Tensor, torch.Tensor]]) -> Sample:
    return tuple(by_echoseg(*default_collate(samples)))


class Points(Dataset):
    """Samples by number: what `draw` makes of the points, or the points themselves."""

    def __init__(self, count: int, draw: Callable[..., Sample] | None) -> None:
        self.points = [torch.from_numpy(make(count, SHAPE)) for make in (contours, landmarks)]
        self.draw = draw

    def __len__(self) -> int:
        return len(self.points[0])

    def __getitem__(self, index: int) -> Sample:
        points, marks = (each[index] for each in self.points)
        return (points, marks) if self.draw is None else self.draw(points, marks)


DRAWN = {
    "floor": existing,
    "echoseg": echoseg_sample,
    "all numba": one_by_one(bench_targets.all_numba),
    "cv2 + numba windows": one_by_one(bench_targets.numba_windows),
    "cv2 + numpy windows": one_by_one(bench_targets.numpy_windows),
    "cv2 + numpy planes": one_by_one(bench_targets.numpy_planes),
    "echoseg, whole batches": None,
}
NEEDS_NUMBA = {"all numba", "cv2 + numba windows"}


def check(name: str, loader: DataLoader, expected: Targets) -> None:
    """Compare the first batch with echoseg's."""
    for got, wanted in zip(next(iter(loader)), expected, strict=True):
        if name == "all numba":  # it fills by another rule, so that masks differ at the border
            assert (got != wanted).float().mean() < 0.05, name
        elif name != "floor":
            torch.testing.assert_close(got, wanted[: len(got)], atol=1e-6, rtol=0, msg=name)


def worker_setup(_: int) -> None:
    cv2.setNumThreads(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=2048, help="of an epoch (default: %(default)s)")
    count = parser.parse_args().samples
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    names = [name for name in DRAWN if name not in NEEDS_NUMBA or find_spec("numba")]
    expected = by_echoseg(*(each[:BATCH] for each in Points(count, None).points))
    for workers in WORKERS:
        loaders = {}
        for name in names:
            collate = echoseg_batch if DRAWN[name] is None else None
            options = {"num_workers": workers, "persistent_workers": workers > 0, "worker_init_fn": worker_setup}
            loaders[name] = DataLoader(Points(count, DRAWN[name]), BATCH, collate_fn=collate, **options)
            check(name, loaders[name], expected)
        seconds = {name: np.full((EPOCHS, 2), np.inf) for name in names}
        for epoch in range(EPOCHS):
            for name, loader in loaders.items():
                started = np.array([time.perf_counter(), time.process_time()])
                for _ in loader:
                    pass
                seconds[name][epoch] = np.array([time.perf_counter(), time.process_time()]) - started
        print(f"{workers} workers          samples/s   echoseg ÷ it   processor time, ms a sample")
        best = {name: each.min(axis=0) for name, each in seconds.items()}
        for name, (wall, work) in best.items():
            print(f"{name:24s}{count / wall:10.0f}{wall / best['echoseg'][0]:15.2f}{1e3 * work / count:15.3f}")


if __name__ == "__main__":
    main()
