"""Names that would lead elsewhere: the short form of `tests/stress/paths.py`, and what it found."""

from __future__ import annotations

import os
import shutil

import pytest

from _folders import write_folder, write_video
from echoseg.datasets.echonet import read_echonet
from echoseg.errors import DataError
from echoseg.inference.archive import find_input_files
from echoseg.io.reading import read_frames
from echoseg.report.overlay import write_video as write_overlay
from echoseg.utils.files import new_folder
from stress._nasty import NAMES
from stress.paths import sweep


def test_nothing_outside_the_folders_is_touched(tmp_path):
    _, failures = sweep(tmp_path, [*NAMES[::3], "..", "...", "results.csv"], joined=20)
    assert failures == []


def test_a_link_out_of_the_folder_is_no_video(tmp_path):
    folder = write_folder(tmp_path / "data")
    shutil.move(folder / "Videos/b.avi", tmp_path / "b.avi")
    (folder / "Videos/b.avi").symlink_to(tmp_path / "b.avi")
    dataset = read_echonet(folder)
    assert [recording.name for recording in dataset.recordings] == ["a", "c"]
    (fault,) = dataset.faults
    assert str(fault) == "FileList.csv:3:FileName: Videos/b.avi is a link to a file outside the folder; copy the file"


def test_the_videos_may_lie_elsewhere_as_a_whole(tmp_path):
    folder = write_folder(tmp_path / "data")
    shutil.move(folder / "Videos", tmp_path / "elsewhere")
    (folder / "Videos").symlink_to(tmp_path / "elsewhere")
    (folder / "Videos/c.avi").unlink()
    (folder / "Videos/c.avi").symlink_to("b.avi")
    assert read_echonet(folder).faults == ()


@pytest.mark.parametrize("name", ["...avi", "..avi", ".avi", "..gz", "a/...avi"])
def test_a_name_of_dots_keeps_its_results_in_their_place(tmp_path, name):
    path = tmp_path / "in" / name
    path.parent.mkdir(parents=True)
    path.touch()
    (source,) = find_input_files([path], tmp_path, None, out=tmp_path / "out")
    assert source.name == path.name


@pytest.mark.parametrize("name", ["results.csv/a.avi", "manifest-0.jsonl/a.avi", ".x.part/a.avi"])
def test_a_name_that_predict_keeps_for_itself_is_refused(tmp_path, name):
    for path in (tmp_path / "in" / name, tmp_path / "in/b.avi"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    inputs = [path.parent for path in (tmp_path / "in").rglob("*.avi")]
    with pytest.raises(DataError, match="rename it"):
        find_input_files(inputs, tmp_path, None, out=tmp_path / "out")


def test_a_folder_may_have_the_longest_name_that_there_is(tmp_path):
    with new_folder(tmp_path / ("x" * 255)) as folder:
        (folder / "file").touch()
    assert (tmp_path / ("x" * 255) / "file").is_file()


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_name_that_would_crash_opencv_is_refused(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff.avi")
    write_video(tmp_path / "a.avi").rename(path)
    with pytest.raises(DataError, match="is not UTF-8"):
        read_frames(path)
    with pytest.raises(DataError, match="is not UTF-8"):
        write_overlay(path, [], fps=1)
