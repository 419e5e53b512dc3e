"""Same seed, same machine: the same bits. Everything is made twice, each time by a process of its own, and compared.

    python tests/stress/same_bits.py [--epochs 6]

A process trains on a phantom, resumes, evaluates, predicts (rows, masks, overlay, film, frames), exports and reports.
That is done for masks and landmarks, in float32, bfloat16 and what 'auto' chooses, on one thread and on two, and the
phantom itself is drawn twice. Then every file is compared byte for byte, but for what tells the time: the seconds in
log.csv and in the training's state. Exit code 1 if any differed.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROGRAM = "import json, sys; from echoseg.cli import main; sys.exit(any([main(c) for c in json.loads(sys.argv[1])]))"
TINY = ["--size", "32", "32", "--width", "8", "--depth", "2", "--batch-size", "4", "--device", "cpu"]


def commands(approach: str, precision: str, epochs: int) -> list[list[str]]:
    """What each of the two processes does, in a folder of its own."""
    how = ["train", "--approach", approach, "--data", "../data", "--precision", precision, *TINY, "--out", "run"]
    videos = [f"../data/Videos/PHANTOM{i:06}.avi" for i in range(2)]
    return [
        [*how, "--seed", "3", "--epochs", str(epochs)],
        ["train", "--out", "run", "--resume"],
        ["evaluate", "run", "--split", "all", "--out", "evaluation", "--device", "cpu"],
        ["predict", "run", *videos, "--out", "prediction", "--keep", "masks", "overlay", "gif", "frames"],
        ["export", "run", "--format", "onnx", "--out", "run.onnx"],
        ["report", "run"],
    ]


def make(folder: Path, work: Sequence[Sequence[str]], **environment: str) -> str:
    """Run commands in a folder that is moved to ``folder`` when all is done, so that each time they see the same paths.

    Returns:
        what went wrong, or nothing.
    """
    place = folder.parents[1] / "place"
    place.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(work)],
        cwd=place,
        env=os.environ | {"ECHOSEG_CACHE": str(place / "cache")} | environment,
        capture_output=True,
        text=True,
    )
    folder.parent.mkdir(exist_ok=True)
    place.rename(folder)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no word"])[-1]


def differences(a: Path, b: Path) -> list[str]:
    """Files of two folders whose content differs, or that only one of them has."""
    names = {path.relative_to(folder) for folder in (a, b) for path in folder.rglob("*") if path.is_file()}
    return [
        str(name)
        for name in sorted(names)
        if not ((a / name).exists() and (b / name).exists() and same(a / name, b / name))
    ]


def same(a: Path, b: Path) -> bool:
    if a.name == "log.csv":
        return _without_seconds(a) == _without_seconds(b)
    if a.suffix == ".pt":
        return _equal(_state(a), _state(b))
    return a.read_bytes() == b.read_bytes()


def _without_seconds(log: Path) -> list[list[str]]:
    rows = list(csv.reader(log.read_text(encoding="utf-8").splitlines()))
    kept = [i for i, name in enumerate(rows[0]) if not name.endswith("_seconds")]
    return [[row[i] for i in kept] for row in rows]


def _state(path: Path) -> dict[str, Any]:
    import torch

    state: dict[str, Any] = torch.load(path, weights_only=True)
    progress = state["progress"]
    del progress["minutes"]
    progress["log"] = [row[:4] for row in progress["log"]]
    return state


def _equal(a: Any, b: Any) -> bool:
    import torch

    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.numpy(force=True).tobytes() == b.numpy(force=True).tobytes()
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(_equal, a, b))
    return bool(a == b) or (a != a and b != b)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=6)
    epochs = parser.parse_args().epochs
    files = wrong = 0
    phantom = [["phantom", "data", "--videos", "9", "--seed", "5"]]
    settings = list(itertools.product(("mask", "landmark"), ("float32", "bfloat16", "auto"), ("1", "2")))
    with tempfile.TemporaryDirectory() as temporary:
        works = [("phantom", phantom, "2")] + [
            (", ".join(setting), commands(*setting[:2], epochs), setting[2]) for setting in settings
        ]
        for name, work, threads in works:
            folders = [Path(temporary, name, turn) for turn in ("first", "second")]
            faults = [make(f, work, OMP_NUM_THREADS=threads, ECHOSEG_NUM_THREADS=threads) for f in folders]
            faults = [fault for fault in faults if fault] + [f"{file} differs" for file in differences(*folders)]
            for fault in faults:
                print(f"{name} threads: {fault}")
            files += sum(path.is_file() for path in folders[0].rglob("*"))
            wrong += len(faults)
            if name == "phantom":
                (folders[0] / "data").rename(Path(temporary, "data"))
    print(f"{len(settings)} settings, each made twice, {files} files compared: {wrong} differ or failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
