"""The benchmarks without their timing: each library that is installed draws what echoseg draws, and programs run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from echoseg.models.weights import weights_folder
from echoseg.phantom import write_phantom, write_phantom_store

ROOT = Path(__file__).parent.parent
RUN = str(weights_folder("landmark"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "bench").is_dir(), reason="no benchmarks here"),
]

# name: (what makes it short, its arguments, the lines that it prints)
PROGRAMS = {
    "decoding": ("", ["--videos", "10"], 4),
    "loading": (
        "loading.EPOCHS, loading.WORKERS, loading.find_spec = 1, (0,), lambda name: None",
        ["--samples", "64"],
        6,
    ),
    "paper_pipeline": ("paper_pipeline.cached_phantom = lambda: Path('store')", ["--epochs", "1"], 5),
    "predicting": ("", [RUN, "data/Videos", "--videos", "2"], 7),
    "trainer": (
        "trainer.cached_phantom = lambda count: Path('store')",
        ["--images", "16", "--batch-size", "8", "--width", "4", "--precision", "float32"],
        3,
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench")
    write_phantom_store(path / "store", patients=12)
    write_phantom(path / "data", videos=2)
    return path


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_run(name, folder):
    shorten, arguments, lines = PROGRAMS[name]
    start = f"import sys; from pathlib import Path; sys.path.insert(0, {str(ROOT / 'bench')!r}); import {name}"
    command = [sys.executable, "-c", f"{start}\n{shorten}\n{name}.main()", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == lines, done.stdout


def test_benchmarks_of_the_readme_run_and_contenders_agree():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"<!-- bench -->\n```\n(.*)\n```\n<!-- end -->", readme)
    environment, install, benchmark = line.split(" && ")
    assert environment == "python3 -m venv .venv"
    assert shlex.split(install)[-1] == ".[bench]"
    program, *arguments = shlex.split(benchmark)
    assert program == ".venv/bin/pytest"
    command = [sys.executable, "-m", "pytest", *arguments, "--check", "-q", "-k", "64 and 112"]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}  # no xdist worker
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
