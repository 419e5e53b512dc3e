"""The options, the fixture `race`, and the table of all benchmarks."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from race import Race
from table import sections

PACKAGES = (
    "cucim-cu13",
    "cupy-cuda13x",
    "edt",
    "kornia",
    "matplotlib",
    "monai",
    "numba",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "pycocotools",
    "rasterio",
    "scikit-image",
    "scipy",
    "surface-distance",
    "torch",
)
ORDER = ("polygon", "band", "heatmap", "targets", "decode", "distance", "overhead", "cuda")
RESULTS, MISSING = pytest.StashKey[list](), pytest.StashKey[dict]()


def pytest_addoption(parser):
    parser.addoption("--save", metavar="NAME", help="write bench/results/NAME.json")
    parser.addoption("--check", action="store_true", help="run each contender once to check its result, without timing")


def pytest_configure(config):
    config.stash[RESULTS], config.stash[MISSING] = [], {}


def pytest_collection_modifyitems(items):
    def place(item):
        name = item.path.stem.removeprefix("bench_")
        return [*ORDER, name].index(name)

    items.sort(key=place)


@pytest.fixture
def race(benchmark, request, monkeypatch):
    """A `Race` in which contenders use one thread by default."""
    import cv2
    import torch

    monkeypatch.setenv("ECHOSEG_NUM_THREADS", "1")
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    config = request.config
    return Race(benchmark, config.getoption("--check"), config.stash[RESULTS], config.stash[MISSING])


def pytest_terminal_summary(terminalreporter, config):
    results = config.stash[RESULTS]
    for title, lines in sections(results, config.stash[MISSING]):
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.write_line(line)
    if results and (name := config.getoption("--save")):
        terminalreporter.write_line(f"written: {save(name, results, config.stash[MISSING])}")


def save(name: str, results: list[dict], missing: dict[str, list[str]]) -> Path:
    from echoseg.ops import build_info

    def of(package):
        try:
            return version(package)
        except PackageNotFoundError:
            return None

    folder = Path(__file__).parent
    path = folder / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    record = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": commit(folder),
        "machine": machine(),
        "python": platform.python_version(),
        "versions": {package: of(package) for package in PACKAGES},
        "echoseg": build_info(),
        "results": results,
        "not_installed": missing,
    }
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def commit(folder: Path) -> str | None:
    """The hash of HEAD, with "-dirty" if there are uncommitted changes; None without git."""
    git = ["git", "-C", folder, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or None


def machine() -> dict[str, object]:
    import torch

    info = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    facts = {
        "cpu": models[0] if models else platform.processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),  # of the last minute; about 1 is due to the benchmark
    }
    if torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name()
    return facts
