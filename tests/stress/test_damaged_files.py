"""A short run of `damaged_files.py`, and a check that it detects failures."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from echoseg.errors import DataError
from echoseg.io import worker_pool
from echoseg.io.clip import Clip
from echoseg.io.video import DecodedFrames

damaged_files = pytest.importorskip("stress.damaged_files", exc_type=ImportError)  # needs POSIX


@pytest.fixture(autouse=True)
def _set_limits(monkeypatch):
    for name, value in damaged_files.LIMITS.items():
        monkeypatch.setenv(name, value)
    worker_pool.end_workers()
    yield
    worker_pool.end_workers()


@pytest.mark.slow
@pytest.mark.stress
def test_a_damaged_file_gives_a_clip_or_a_one_line_message(tmp_path, monkeypatch):
    make_special = damaged_files.make_special

    def some(*args):
        fast = (case for case in make_special(*args) if " bomb of " not in case[0])  # a bomb takes seconds
        return itertools.islice(fast, 3, None, 9)

    monkeypatch.setattr(damaged_files, "make_special", some)
    tallies = dict(damaged_files.run(tmp_path, 250, 7))
    assert [tally.failures for tally in tallies.values()] == [[], []]
    assert tallies["special"].outcomes.total() > 80
    assert min(tallies["random"].outcomes[outcome] for outcome in ("clip", "refused")) > 50
    assert min(tallies["random"].undetected.values()) > 0


def raise_(error: BaseException):
    raise error


FAILURES = {
    "another exception": lambda path: raise_(KeyError("x")),
    "another file": lambda path: raise_(DataError("b.avi: is empty")),
    "a patient's name": lambda path: raise_(DataError(f"{path}: is of Doe^Jane")),
    "unexpected decoder error": lambda path: raise_(
        DataError(f"{path}: its decoder failed (TypeError); replace the file")
    ),
    "a warning": lambda path: np.float32(3e38) * np.float32(10),
    "empty clip": lambda path: Clip(np.zeros((0, 4, 4), np.uint8), 1.0, (1, 1), 1.0),
    "memory": lambda path: [bytearray(b"x" * (200 << 20)), raise_(DataError(f"{path}: is empty"))],
}


@pytest.mark.parametrize("case", FAILURES)
def test_failures_are_detected(tmp_path, monkeypatch, case):
    monkeypatch.setattr(damaged_files, "read_clip", FAILURES[case])
    monkeypatch.setattr(damaged_files, "decode_clip", lambda path, frames: DecodedFrames({}, 0, 0, 25.0))
    monkeypatch.setattr(damaged_files, "peak_memory", iter([0, 200 << 20] if case == "memory" else [0, 0]).__next__)
    assert damaged_files.examine(tmp_path / "a.avi")[0] not in ("clip", "refused", "crash", "limit")
