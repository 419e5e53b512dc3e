"""Disks that fail, in small: a few of the places in each piece of work; see ``stress/faults.py`` for all."""

from __future__ import annotations

import os
import sys

import pytest

pytest.importorskip("uvicorn")

from _folders import write_video
from echoseg.utils.files import check_avi, replace_file
from stress.faults import KINDS, sweep_faults

PLACES = (1, 4, 9, 14, 20)


@pytest.fixture(scope="module")
def works(tmp_path_factory):
    from stress._fault_work import all_works

    return all_works(tmp_path_factory.mktemp("faults"))


@pytest.mark.skipif(os.name == "nt", reason="its locks and moves are others")
@pytest.mark.skipif(sys.version_info < (3, 11), reason="a close that failed is seen otherwise in its _pyio")
@pytest.mark.parametrize("name", ["run", "store", "archive", "corrections", "repository"])
def test_a_disk_that_fails_loses_nothing_and_is_named(works, tmp_path, name):
    struck = 0
    for number, kind in enumerate(KINDS):
        counts, faults = sweep_faults(works[name], kind, [place + number for place in PLACES], tmp_path / "work")
        assert faults == []
        struck += counts["failures"]
    assert struck > 12


def test_what_is_left_behind_or_told_by_another_name_is_seen(tmp_path, works, monkeypatch):
    from echoseg.utils import files

    monkeypatch.setattr(files, "naming", lambda *_: os.scandir(tmp_path))  # a context, as good as none
    _, faults = sweep_faults(works["run"], "disk full", range(1, 8), tmp_path / "work")
    assert any("told as" in fault for fault in faults)


def test_a_video_that_was_cut_short_by_a_full_disk_is_noticed(tmp_path):
    write_video(tmp_path / "a.avi")
    check_avi(tmp_path / "a.avi")
    whole = (tmp_path / "a.avi").read_bytes()
    for cut in (0, 3, 8, 200, len(whole) - 1):
        with pytest.raises(OSError, match="space left") as caught:
            replace_file(tmp_path / "b.avi", lambda path, cut=cut: (path.write_bytes(whole[:cut]), check_avi(path)))
        assert caught.value.filename == str(tmp_path / "b.avi")
    assert [path.name for path in tmp_path.iterdir()] == ["a.avi"]
