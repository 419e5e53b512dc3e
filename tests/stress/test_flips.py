"""A short run of `flips.py`: a few damages of each file."""

from __future__ import annotations

import pytest

pytest.importorskip("uvicorn")

from stress.flips import make_files, try_damage


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return make_files(tmp_path_factory.mktemp("flips"))


@pytest.mark.stress
def test_a_damaged_file_is_refused_or_read_correctly(files, tmp_path_factory):
    assert len(files) == 19
    for name, file in files.items():
        counts, problems = try_damage(file, tmp_path_factory.getbasetemp(), count=10)
        assert problems == [], name
        assert counts.total() == 10
