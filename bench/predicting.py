"""``echoseg predict`` on an archive, in videos a second, beside its two floors: decoding alone and inference alone.

    echoseg phantom phantom --videos 50
    python bench/predicting.py runs/landmark phantom/Videos --videos 200        # some minutes on two cores

Decoding reads clips in threads and drops them; inference is the network on clips that are in memory, masks, landmarks
and their calibrated errors included. Predicting is all that the command does from files to rows, and then once more
with each thing that can be kept. They take turns of a few videos, in an order that rotates, so that what else the
machine does slows all alike. Beside the clock on the wall stands processor time: it does not see what overlaps, and
holds on a busy machine too (OMP_NUM_THREADS=1, for waiting threads spin). The rows of a turn must all be the same.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from echoseg.inference.archive import InputFile, find_input_files, segment_files
from echoseg.inference.predictor import Predictor, load
from echoseg.io.reading import read_clip
from echoseg.report.results import write_prediction
from echoseg.utils.parallel import map_in_order

TURN = 10
KEEP = {
    "predict, rows alone": [],
    "  masks and frames kept": ["masks", "frames"],
    "  and the film": ["masks", "frames", "overlay"],
    "  and the GIF": ["masks", "frames", "overlay", "gif"],
}
DECODING, INFERENCE = "floor: decoding", "floor: inference"


def predict(predictor: Predictor, sources: list[InputFile], folder: Path, keep: list[str]) -> list[dict]:
    write = partial(write_prediction, keep=keep) if keep else None
    return list(segment_files(sources, predictor, folder, write))


def measure(predictor: Predictor, sources: list[InputFile], folder: Path) -> dict[str, np.ndarray]:
    """By name, (turns, 2) seconds by both clocks."""
    seconds: dict[str, list[np.ndarray]] = {name: [] for name in (DECODING, INFERENCE, *KEEP)}
    predictor(read_clip(sources[0].path))
    for turn, start in enumerate(range(0, len(sources), TURN)):
        some = sources[start : start + TURN]
        clips = [read_clip(source.path) for source in some]
        work: dict[str, Callable[[], object]] = {
            DECODING: lambda some=some: [None for _ in map_in_order(read_clip, (source.path for source in some))],
            INFERENCE: lambda clips=clips: [predictor(clip) for clip in clips],
            **{name: partial(predict, predictor, some, folder, keep) for name, keep in KEEP.items()},
        }
        rows = []
        for name in np.roll(list(work), turn):
            started = clocks()
            found = work[name]()
            seconds[name].append(clocks() - started)
            if name in KEEP:
                rows.append(repr(found))
        if len(set(rows)) > 1:
            raise RuntimeError("the same videos gave different rows")
    return {name: np.array(turns) for name, turns in seconds.items()}


def clocks() -> np.ndarray:
    """(2,) seconds on the wall, and of this process's work."""
    return np.array([time.perf_counter(), time.process_time()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path, help="of videos, copied until there are enough")
    parser.add_argument("--videos", type=int, default=200, help="(default: %(default)s)")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    predictor = load(arguments.run, device=arguments.device)
    phantoms = sorted(arguments.folder.glob("*.avi"))
    with tempfile.TemporaryDirectory() as name:
        videos, out = Path(name) / "videos", Path(name) / "out"
        videos.mkdir()
        out.mkdir()
        for i in range(arguments.videos):
            shutil.copy(phantoms[i % len(phantoms)], videos / f"{i:05d}.avi")
        seconds = measure(predictor, find_input_files([videos], arguments.run, None, out=out), out)
    wall, work = seconds[INFERENCE].sum(axis=0)
    for what, turns in seconds.items():
        by_wall, by_work = turns.sum(axis=0)
        ratio = np.median(seconds[INFERENCE][:, 0] / turns[:, 0])
        print(
            f"{what:26s}{arguments.videos / by_wall:8.2f} videos/s, {wall / by_wall:6.3f} of inference (by turns "
            f"{ratio:6.3f}), processor time {by_work / work:6.3f} of inference's"
        )
    if hasattr(os, "getloadavg"):
        print(f"{os.cpu_count()} processors, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
