"""A short run of `faults.py`: disks that fail at a few operations of each task."""

from __future__ import annotations

import os
import sys

import pytest

pytest.importorskip("uvicorn")

from _folders import write_video
from echoseg.utils.files import check_avi, replace_file
from stress.faults import KINDS, try_failures

OPERATIONS = (1, 4, 9, 14, 20)


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    from stress._fault_tasks import make_tasks

    return make_tasks(tmp_path_factory.mktemp("faults"))


@pytest.mark.slow
@pytest.mark.stress
@pytest.mark.skipif(os.name == "nt", reason="locks and renames differ on Windows")
@pytest.mark.skipif(sys.version_info < (3, 11), reason="_pyio of Python 3.10 handles a failed close differently")
@pytest.mark.parametrize("name", ["run", "store", "archive", "corrections", "repository"])
def test_after_a_disk_failure_no_data_are_lost_and_the_path_is_named(tasks, tmp_path, name):
    failures = 0
    for shift, kind in enumerate(KINDS):
        counts, problems = try_failures(tasks[name], kind, [number + shift for number in OPERATIONS], tmp_path / "work")
        assert problems == []
        failures += counts["failures"]
    assert failures > 12


def test_a_message_with_another_path_is_detected(tmp_path, tasks, monkeypatch):
    from echoseg.utils import files

    monkeypatch.setattr(files, "naming", lambda *_: os.scandir(tmp_path))  # a context manager that does nothing
    _, problems = try_failures(tasks["run"], "disk full", range(1, 8), tmp_path / "work")
    assert any("message" in problem for problem in problems)


def test_a_video_cut_off_by_a_full_disk_is_detected(tmp_path):
    write_video(tmp_path / "a.avi")
    check_avi(tmp_path / "a.avi")
    content = (tmp_path / "a.avi").read_bytes()
    for cut in (0, 3, 8, 200, len(content) - 1):
        with pytest.raises(OSError, match="written only in part") as caught:
            replace_file(tmp_path / "b.avi", lambda path, cut=cut: (path.write_bytes(content[:cut]), check_avi(path)))
        assert caught.value.filename == str(tmp_path / "b.avi")
    assert [path.name for path in tmp_path.iterdir()] == ["a.avi"]
