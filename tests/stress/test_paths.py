"""A short run of `paths.py`, and single cases of names and links."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

from _folders import write_folder, write_video
from echoseg.datasets.echonet import read_echonet
from echoseg.errors import DataError
from echoseg.inference.input_files import find_input_files
from echoseg.io.reading import read_frames
from echoseg.report.overlay import write_video as write_overlay
from echoseg.utils.files import new_folder
from stress._difficult_texts import NAMES
from stress.paths import run


@pytest.mark.slow
@pytest.mark.stress
def test_no_file_outside_the_folders_is_opened_or_changed(tmp_path):
    _, failures = run(tmp_path, [*NAMES[::3], "..", "...", "results.csv"], joined=20)
    assert failures == []


def test_a_link_to_a_video_outside_the_folder_is_refused(tmp_path):
    folder = write_folder(tmp_path / "data")
    shutil.move(folder / "Videos/b.avi", tmp_path / "b.avi")
    (folder / "Videos/b.avi").symlink_to(tmp_path / "b.avi")
    dataset = read_echonet(folder)
    assert [recording.name for recording in dataset.recordings] == ["a", "c"]
    (fault,) = dataset.faults
    assert str(fault) == "FileList.csv:3:FileName: Videos/b.avi is a link to a file outside the folder; copy the file"


def test_the_folder_of_videos_may_be_a_link(tmp_path):
    folder = write_folder(tmp_path / "data")
    shutil.move(folder / "Videos", tmp_path / "elsewhere")
    (folder / "Videos").symlink_to(tmp_path / "elsewhere")
    (folder / "Videos/c.avi").unlink()
    (folder / "Videos/c.avi").symlink_to("b.avi")
    assert read_echonet(folder).faults == ()


@pytest.mark.parametrize("name", ["...avi", "..avi", ".avi", "..gz", "a/...avi"])
def test_a_name_of_dots_has_results_of_its_own(tmp_path, name):
    path = tmp_path / "in" / name
    path.parent.mkdir(parents=True)
    path.touch()
    (source,) = find_input_files([path], tmp_path, None, out=tmp_path / "out")
    assert source.name == path.name


@pytest.mark.parametrize("name", ["results.csv/a.avi", "manifest-0.jsonl/a.avi", ".x.part/a.avi"])
def test_a_name_that_predict_uses_itself_is_refused(tmp_path, name):
    for path in (tmp_path / "in" / name, tmp_path / "in/b.avi"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    inputs = [path.parent for path in (tmp_path / "in").rglob("*.avi")]
    with pytest.raises(DataError, match="rename the file"):
        find_input_files(inputs, tmp_path, None, out=tmp_path / "out")


def test_a_folder_may_have_a_name_of_the_maximum_length(tmp_path):
    with new_folder(tmp_path / ("x" * 255)) as folder:
        (folder / "file").touch()
    assert (tmp_path / ("x" * 255) / "file").is_file()


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode on Windows")
def test_a_name_that_would_crash_opencv_is_refused(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff.avi")
    write_video(tmp_path / "a.avi").rename(path)
    with pytest.raises(DataError, match="is not UTF-8"):
        read_frames(path)
    with pytest.raises(DataError, match="is not UTF-8"):
        write_overlay(path, [np.zeros((8, 8, 3), np.uint8)], fps=1)
