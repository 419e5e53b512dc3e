"""The README's line for the benchmarks, without its timing: each library that is installed draws what echoseg draws."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(not (ROOT / "bench").is_dir(), reason="no benchmarks here")
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
