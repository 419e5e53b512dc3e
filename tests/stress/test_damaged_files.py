"""The sweep over damaged files in small, and that it sees what it looks for."""

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
def _limits(monkeypatch):
    for name, value in damaged_files.LIMITS.items():
        monkeypatch.setenv(name, value)
    worker_pool.end_workers()
    yield
    worker_pool.end_workers()


def test_every_outcome_is_a_clip_or_one_line(tmp_path, monkeypatch):
    by_hand = damaged_files.by_hand

    def some(*args):
        quick = (case for case in by_hand(*args) if " bomb of " not in case[0])  # a bomb takes its seconds
        return itertools.islice(quick, 3, None, 9)

    monkeypatch.setattr(damaged_files, "by_hand", some)
    tallies = dict(damaged_files.run(tmp_path, 250, 7))
    assert [tally.failures for tally in tallies.values()] == [[], []]
    assert tallies["by hand"].outcomes.total() > 80
    assert min(tallies["random"].outcomes[outcome] for outcome in ("clip", "refused")) > 50
    assert min(tallies["random"].silent.values()) > 0


def raise_(error: BaseException):
    raise error


MISSES = {
    "another exception": lambda path: raise_(KeyError("x")),
    "another file": lambda path: raise_(DataError("b.avi: is empty")),
    "a name": lambda path: raise_(DataError(f"{path}: is of Doe^Jane")),
    "not foreseen": lambda path: raise_(DataError(f"{path}: its decoder failed (TypeError); replace the file")),
    "a warning": lambda path: np.float32(3e38) * np.float32(10),
    "no clip": lambda path: Clip(np.zeros((0, 4, 4), np.uint8), 1.0, (1, 1), 1.0),
    "memory": lambda path: [bytearray(b"x" * (200 << 20)), raise_(DataError(f"{path}: is empty"))],
}


@pytest.mark.parametrize("case", MISSES)
def test_what_must_not_be_is_seen(tmp_path, monkeypatch, case):
    monkeypatch.setattr(damaged_files, "read_clip", MISSES[case])
    monkeypatch.setattr(damaged_files, "decode_clip", lambda path, frames: DecodedFrames({}, 0, 0, 25.0))
    monkeypatch.setattr(damaged_files, "peak", iter([0, 200 << 20] if case == "memory" else [0, 0]).__next__)
    assert damaged_files.examine(tmp_path / "a.avi")[0] not in ("clip", "refused", "crash", "limit")
