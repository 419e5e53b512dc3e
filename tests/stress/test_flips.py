"""Damages of each file in small; see ``stress/flips.py``."""

from __future__ import annotations

import pytest

pytest.importorskip("uvicorn")

from stress.flips import all_reads, sweep_flips


@pytest.fixture(scope="module")
def reads(tmp_path_factory):
    return all_reads(tmp_path_factory.mktemp("flips"))


def test_no_damage_is_used(reads, tmp_path_factory):
    assert len(reads) == 17
    for name, file in reads.items():
        counts, faults = sweep_flips(file, tmp_path_factory.getbasetemp(), count=10)
        assert faults == [], name
        assert counts.total() == 10
