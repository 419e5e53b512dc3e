"""A short run of `kills.py`, in a separate process since it forks, which needs a parent without threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "kills.py"


@pytest.mark.slow
@pytest.mark.stress
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_work_can_be_resumed_after_a_kill_at_any_time():
    pytest.importorskip("fastapi")
    command = [sys.executable, str(PROGRAM), "--kills", "3"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.count(": 3 kills (") == 5
