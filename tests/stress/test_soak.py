"""The soak in small: too little work to tell kilobytes from the allocator's unrest, enough for batches and files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stress import soak

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="looks into /proc")
# a batch has a million bytes; one file, thread or process that comes in the middle and stays is no growth
SHORT = {"bytes": 100_000.0, "files": 0.02, "threads": 0.02, "processes": 0.02}


@pytest.fixture(autouse=True)
def _look_often(monkeypatch):
    monkeypatch.setattr(soak, "EVERY", 0.05)


def test_training_and_review_do_not_grow(tmp_path):
    pytest.importorskip("fastapi")
    random = np.random.default_rng(0)
    frames = random.integers(0, 255, (12, 112, 112)).astype(np.uint8)
    for looks in (soak.train(tmp_path, 120), soak.review(tmp_path, tmp_path / "run", frames, 120, rate=1e3)):
        grew = soak.growth(looks)
        assert all(grew[name] < most for name, most in SHORT.items()), (grew, looks[0], looks[-1])


@pytest.mark.parametrize(
    ("leak", "what"),
    [
        ("kept.append(bytearray(300_000))", "bytes"),
        ("kept.append(open(os.devnull))", "files"),
        ("threading.Thread(target=time.sleep, args=[9], daemon=True).start()", "threads"),
        ("kept.append(subprocess.Popen(['sleep', '9']))", "processes"),
    ],
)
def test_what_grows_is_seen(leak, what):
    loop = f"kept = []\nfor _ in sys.stdin:\n    {leak}\n    print(flush=True)"
    command = [sys.executable, "-c", f"import os, subprocess, sys, threading, time\n{loop}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        pieces = iter(range(30))

        def done() -> int:
            print(file=process.stdin, flush=True)
            process.stdout.readline()
            return next(pieces)

        grew = soak.growth(soak.watch(process, done, 25))
        process.terminate()
    assert {name for name, most in SHORT.items() if grew[name] > most} >= {what}
