"""One table for all benchmarks: medians in µs an image, and ratios to echoseg and to the floor of the same run.

Every contender's result is checked against echoseg's before anything is timed. ``--save NAME`` writes
``bench/results/NAME.json`` with machine, versions and commit.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest

SECONDS = 0.25  # what one contender's rounds may take together
PACKAGES = ("numpy", "opencv-python-headless", "scikit-image", "scipy", "torch", "pillow", "matplotlib")


def pytest_addoption(parser):
    parser.addoption("--save", metavar="NAME", help="write bench/results/NAME.json")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Every contender on one thread, unless a benchmark says otherwise."""
    import cv2
    import torch

    monkeypatch.setenv("ECHOSEG_NUM_THREADS", "1")
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


@pytest.fixture
def race(benchmark):
    """Times ``run`` and notes it under ``case``; ``images`` is how many images one run makes."""

    def run_race(case: str, name: str, run: Callable[[], object], images: int) -> None:
        start = time.perf_counter()
        run()
        once = time.perf_counter() - start
        rounds = int(np.clip(SECONDS / max(once, 1e-7), 3, 500))
        benchmark.extra_info.update(case=case, contender=name, images=images)
        benchmark.pedantic(run, rounds=rounds, warmup_rounds=min(3, rounds))

    return run_race


def rows(config) -> list[dict]:
    session = getattr(config, "_benchmarksession", None)
    collected = []
    for bench in session.benchmarks if session else []:
        info = bench.extra_info
        if bench.stats.data:
            microseconds = statistics.median(bench.stats.data) / info["images"] * 1e6
            collected.append({"case": info["case"], "contender": info["contender"], "microseconds": microseconds})
    return collected


def pytest_terminal_summary(terminalreporter, config):
    results = rows(config)
    if not results:
        return
    write = terminalreporter.write_line
    for case in dict.fromkeys(row["case"] for row in results):
        mine = {row["contender"]: row["microseconds"] for row in results if row["case"] == case}
        ours, floor = mine.get("echoseg"), mine.get("floor")
        terminalreporter.section(case)
        write(f"{'contender':44s} {'µs an image':>12s} {'÷ echoseg':>10s} {'÷ floor':>9s}")
        for name, value in sorted(mine.items(), key=lambda item: item[1]):
            against = [f"{value / other:.2f}" if other else "" for other in (ours, floor)]
            write(f"{name:44s} {value:12.3f} {against[0]:>10s} {against[1]:>9s}")
    if name := config.getoption("--save"):
        write(f"written: {save(name, results)}")


def save(name: str, results: list[dict]) -> Path:
    from echoseg.ops import build_info

    def of(package):
        try:
            return version(package)
        except PackageNotFoundError:
            return None

    folder = Path(__file__).parent
    git = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    cpu = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    path = folder / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    record = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": git.stdout.strip() or None,
        "machine": {"cpu": cpu[0] if cpu else platform.processor(), "cpus": len(os.sched_getaffinity(0))},
        "python": platform.python_version(),
        "versions": {package: of(package) for package in PACKAGES},
        "echoseg": build_info(),
        "results": results,
    }
    path.write_text(json.dumps(record, indent=1) + "\n")
    return path
