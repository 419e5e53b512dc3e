"""The benchmarks' contenders still agree: each of those installed, once, on a few small images; nothing is timed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(not (ROOT / "bench").is_dir(), reason="no benchmarks here")
def test_contenders_agree():
    command = [sys.executable, "-m", "pytest", "bench", "--check", "-q", "-k", "64 and 112"]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}  # no xdist worker
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
