"""Videos per second of `echoseg predict` on many files, compared with two floors: decoding alone and inference alone.

    echoseg phantom phantom --videos 50
    python bench/predicting.py runs/landmark phantom/Videos --videos 200        # some minutes on two cores

Decoding reads clips in threads and discards them. Inference is the prediction of clips in memory, including masks,
landmarks and their calibrated errors. Predicting is the whole command from files to rows, without output files and with
an increasing number of them. The contenders take turns of a few videos in a rotating order, so that other load slows
them equally. Processor time is reported too. It does not show what runs in parallel, but it is reliable on a busy
machine (with OMP_NUM_THREADS=1, since waiting threads use processor time). All contenders of a turn must give the same
rows.
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

from echoseg.inference.archive import segment_files
from echoseg.inference.input_files import InputFile, find_input_files
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


def predict(predictor: Predictor, files: list[InputFile], folder: Path, keep: list[str]) -> list[dict]:
    write = partial(write_prediction, keep=keep) if keep else None
    return list(segment_files(files, predictor, folder, write))


def measure(predictor: Predictor, files: list[InputFile], folder: Path) -> dict[str, np.ndarray]:
    """Wall and processor time, (turns, 2) float64, seconds, by name of the contender."""
    seconds: dict[str, list[np.ndarray]] = {name: [] for name in (DECODING, INFERENCE, *KEEP)}
    predictor(read_clip(files[0].path))
    for turn, start in enumerate(range(0, len(files), TURN)):
        turn_files = files[start : start + TURN]
        clips = [read_clip(file.path) for file in turn_files]
        work: dict[str, Callable[[], list]] = {
            DECODING: lambda turn_files=turn_files: [
                None for _ in map_in_order(read_clip, (file.path for file in turn_files))
            ],
            INFERENCE: lambda clips=clips: [predictor(clip) for clip in clips],
            **{name: partial(predict, predictor, turn_files, folder, keep) for name, keep in KEEP.items()},
        }
        rows = []
        for name in np.roll(list(work), turn):
            started = clocks()
            result = work[name]()
            seconds[name].append(clocks() - started)
            if name in KEEP:
                rows.append(repr([{**row, "seconds": {}} for row in result]))
        if len(set(rows)) > 1:
            raise RuntimeError("the same videos gave different rows")
    return {name: np.array(turns) for name, turns in seconds.items()}


def clocks() -> np.ndarray:
    """(2,) float64, seconds: wall time, and processor time of this process."""
    return np.array([time.perf_counter(), time.process_time()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path, help="folder of videos, which are copied to get the number of videos")
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
