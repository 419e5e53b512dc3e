"""Runs the commands twice with the same seed, in separate processes, and compares all files.

    python tests/stress/same_bits.py [--epochs 6]

A process trains on a phantom, resumes, evaluates, predicts (rows, masks, overlay, film, frames), exports and reports.
This is done for masks and landmarks, in float32, bfloat16 and with precision 'auto', with one thread and with two. The
phantom is also written twice. All files are compared byte for byte, except for the times in log.csv, metrics.json,
manifest-0.jsonl, report.html and the training state. The exit code is 1 if files differ.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROGRAM = "import json, sys; from echoseg.cli import main; sys.exit(any([main(c) for c in json.loads(sys.argv[1])]))"
TINY = ["--size", "32", "32", "--width", "8", "--depth", "2", "--batch-size", "4", "--device", "cpu"]


def commands(approach: str, precision: str, epochs: int) -> list[list[str]]:
    """The commands of one process, which runs in its own folder."""
    train = ["train", "--approach", approach, "--data", "../data", "--precision", precision, *TINY, "--out", "run"]
    videos = [f"../data/Videos/PHANTOM{i:06}.avi" for i in range(2)]
    return [
        [*train, "--seed", "3", "--epochs", str(epochs)],
        ["train", "--out", "run", "--resume"],
        ["evaluate", "run", "--split", "all", "--out", "evaluation", "--device", "cpu"],
        ["predict", "run", *videos, "--out", "prediction", "--keep", "masks", "overlay", "gif", "frames"],
        ["export", "run", "--format", "onnx", "--out", "run.onnx"],
        ["report", "run"],
    ]


def run_commands(folder: Path, commands: Sequence[Sequence[str]], **environment: str) -> str:
    """Run commands in a temporary folder that is then renamed to `folder`, so that both runs have the same paths.

    Returns:
        The error message, or "".
    """
    work = folder.parents[1] / "work"
    work.mkdir()
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands)],
        cwd=work,
        env=os.environ | {"ECHOSEG_CACHE": str(work / "cache")} | environment,
        capture_output=True,
        text=True,
    )
    folder.parent.mkdir(exist_ok=True)
    work.rename(folder)
    return "" if finished.returncode == 0 else (finished.stderr.strip().splitlines() or ["no message"])[-1]


def differences(a: Path, b: Path) -> list[str]:
    """Files of two folders that differ, or that only one of them has."""
    names = {path.relative_to(folder) for folder in (a, b) for path in folder.rglob("*") if path.is_file()}
    return [
        str(name)
        for name in sorted(names)
        if not ((a / name).exists() and (b / name).exists() and equal_files(a / name, b / name))
    ]


def equal_files(a: Path, b: Path) -> bool:
    """Whether two files are equal, except for times."""
    if a.name == "log.csv":
        return _without_seconds(a) == _without_seconds(b)
    if a.suffix == ".pt":
        return _equal(_state(a), _state(b))
    if a.name == "metrics.json":
        return _metrics(a) == _metrics(b)
    if a.name == "manifest-0.jsonl":
        return _rows(a) == _rows(b)
    if a.name == "report.html":
        return _page(a) == _page(b)
    return a.read_bytes() == b.read_bytes()


def _without_seconds(log: Path) -> list[list[str]]:
    rows = list(csv.reader(log.read_text(encoding="utf-8").splitlines()))
    kept = [i for i, name in enumerate(rows[0]) if not name.endswith("_seconds")]
    return [[row[i] for i in kept] for row in rows]


def _metrics(path: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {split: _without_times(values) for split, values in metrics.items()}


def _rows(manifest: Path) -> list[dict[str, Any]]:
    return [_without_times(json.loads(line)) for line in manifest.read_text(encoding="utf-8").splitlines()]


def _without_times(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in ("seconds", "checksum")}


def _page(path: Path) -> str:
    return re.sub(r'(?s)<details id="times">.*?</details>', "", path.read_text(encoding="utf-8"))


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
    files = failures = 0
    phantom = [["phantom", "data", "--videos", "9", "--seed", "5"]]
    settings = list(itertools.product(("mask", "landmark"), ("float32", "bfloat16", "auto"), ("1", "2")))
    with tempfile.TemporaryDirectory() as temporary:
        runs = [("phantom", phantom, "2")] + [
            (", ".join(setting), commands(*setting[:2], epochs), setting[2]) for setting in settings
        ]
        for name, words, threads in runs:
            folders = [Path(temporary, name, run) for run in ("first", "second")]
            variables = {"OMP_NUM_THREADS": threads, "ECHOSEG_NUM_THREADS": threads}
            messages = [run_commands(folder, words, **variables) for folder in folders]
            problems = [message for message in messages if message]
            problems += [f"{file} differs" for file in differences(*folders)]
            for problem in problems:
                print(f"{name} threads: {problem}")
            files += sum(path.is_file() for path in folders[0].rglob("*"))
            failures += len(problems)
            if name == "phantom":
                (folders[0] / "data").rename(Path(temporary, "data"))
    print(f"{len(settings)} settings, each run twice, {files} files compared: {failures} differences or failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
