"""A short run of `soak.py`: long enough to detect leaked batches and files, but not leaks of kilobytes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stress import soak

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
# a batch has a million bytes; one file, thread or process that is opened once and stays open is not a leak
MAX_GROWTH = {"bytes": 100_000.0, "files": 0.02, "threads": 0.02, "processes": 0.02}


@pytest.fixture(autouse=True)
def _sample_often(monkeypatch):
    monkeypatch.setattr(soak, "INTERVAL", 0.05)


@pytest.mark.slow
@pytest.mark.stress
def test_training_and_review_do_not_leak(tmp_path):
    pytest.importorskip("fastapi")
    random = np.random.default_rng(0)
    frames = random.integers(0, 255, (12, 112, 112)).astype(np.uint8)
    # the requests take more than a second on any machine, so that samples are of different numbers of them
    for samples in (soak.train(tmp_path, 120), soak.review(tmp_path, tmp_path / "run", frames, 240, rate=100)):
        growth = soak.measure_growth(samples)
        assert all(growth[name] < limit for name, limit in MAX_GROWTH.items()), (growth, samples[0], samples[-1])


@pytest.mark.parametrize(
    ("leak", "quantity"),
    [
        ("leaked.append(bytearray(300_000))", "bytes"),
        ("leaked.append(open(os.devnull))", "files"),
        ("threading.Thread(target=time.sleep, args=[9], daemon=True).start()", "threads"),
        ("leaked.append(subprocess.Popen(['sleep', '9']))", "processes"),
    ],
)
def test_a_leak_is_detected(leak, quantity):
    loop = f"leaked = []\nfor _ in sys.stdin:\n    {leak}\n    print(flush=True)"
    command = [sys.executable, "-c", f"import os, subprocess, sys, threading, time\n{loop}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        numbers = iter(range(30))

        def done() -> int:
            print(file=process.stdin, flush=True)
            process.stdout.readline()
            return next(numbers)

        growth = soak.measure_growth(soak.sample_until_done(process, done, 25))
        process.terminate()
    assert {name for name, limit in MAX_GROWTH.items() if growth[name] > limit} >= {quantity}
