"""The kill tests in small, in a process of their own: they fork, which wants a parent without threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SWEEP = Path(__file__).parent / "kills.py"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_moment_work_goes_on():
    pytest.importorskip("fastapi")
    done = subprocess.run([sys.executable, str(SWEEP), "--kills", "3"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": 3 kills (") == 4
