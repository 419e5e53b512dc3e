"""Which files the inputs of a review name, and which of them can be shown."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from _folders import write_folder, write_video
from _series import pixels, write_series
from echoseg.errors import DataError
from echoseg.review.sources import find_review_clips, separate_unreadable


def test_clips_of_the_inputs(tmp_path):
    data = write_folder(tmp_path / "data")
    sources, kind = find_review_clips([data], None)
    assert ([source.name for source in sources], kind) == (["a.avi", "b.avi", "c.avi"], "chords")
    loose, kind = find_review_clips([data / "Videos"], data)
    assert [len(source.recording.tracings) for source in loose] == [2, 2, 2]
    assert find_review_clips([data / "Videos" / "a.avi"], None)[1] is None
    with pytest.raises(DataError, match=r"a\.avi have the same name, a; review them one after"):
        find_review_clips([data, data / "Videos" / "a.avi"], None)
    shutil.copy(data / "Videos" / "a.avi", tmp_path / "b.mp4")
    with pytest.raises(DataError, match=r"b\.avi and .*b\.mp4 have the same name, b; review them one after"):
        find_review_clips([data / "Videos" / "b.avi", tmp_path / "b.mp4"], None)
    with pytest.raises(DataError, match=r"b\.avii: no such file or folder; check the path"):
        find_review_clips([data / "Videos" / "a.avi", data / "Videos" / "b.avii"], None)
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "list.csv").write_text("a table")
    with pytest.raises(DataError, match="contains no file with frames"):
        find_review_clips([tmp_path / "none"], None)
    bad = shutil.copy(data / "Videos" / "a.avi", tmp_path / "a,b.avi")
    with pytest.raises(DataError, match="rename the file"):
        find_review_clips([Path(bad)], None)


def test_a_table_of_suggested_frames_in_place_of_files(tmp_path):
    data = write_folder(tmp_path / "data")
    write_video(tmp_path / "b.avi")
    table = tmp_path / "next.csv"
    rows = [("b.avi", 3), (str(data / "Videos" / "a.avi"), 1), ("b.avi", 0)]
    table.write_text("file,frame,uncertainty\n" + "".join(f"{file},{frame},0.1\n" for file, frame in rows))
    sources, kind = find_review_clips([table], data)
    assert [(source.name, source.suggested) for source in sources] == [("b.avi", (3, 0)), ("a.avi", (1,))]
    assert kind == "chords"
    assert sources[1].recording is not None
    for cell, reason in (
        ("b.avi,x", "next.csv:2:frame: 'x' is not the number"),
        ("c.avi,1", "next.csv:2:file: 'c.avi'"),
    ):
        table.write_text(f"file,frame\n{cell}\n")
        with pytest.raises(DataError, match=re.escape(reason)):
            find_review_clips([table], None)


UNREADABLE = {
    "no frames": ("a.avi", lambda content: content[: content.index(b"00dc")], "it is cut off"),
    "empty": ("a.avi", lambda content: b"", "is empty"),
    "cut off": ("a.avi", lambda content: content[:-300], "cut off"),
    "no video": ("a.mp4", lambda content: b"<html>not found</html>", "is a web page, not the file itself"),
    "no image": ("a.png", lambda content: b"", "is empty; replace the file"),
    "another type": ("a.flv", lambda content: b"FLV\1", "convert it to MP4 or AVI"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_files_that_cannot_be_opened_are_left_out_by_name(tmp_path, case):
    name, change, cause = UNREADABLE[case]
    bad = tmp_path / "bad" / name
    for folder in ("good", "bad"):
        (tmp_path / folder).mkdir()
    video = write_video(tmp_path / "good" / "b.avi", frames=3)
    bad.write_bytes(change(video.read_bytes()))
    for inputs in ([bad], [bad.parent]):
        sources, _ = find_review_clips(inputs, None)
        with pytest.raises(DataError) as caught:
            separate_unreadable(sources, inputs)
        assert str(caught.value).startswith(f"{bad}: ")
        assert cause in str(caught.value)
        assert "\n" not in str(caught.value)
    inputs = [bad, video.parent]
    kept, lines = separate_unreadable(find_review_clips(inputs, None)[0], inputs)
    assert [source.path for source in kept] == [video]
    assert len(lines) == 1
    assert cause in lines[0]


def test_recordings_of_a_data_set_are_opened_if_they_are_given_by_name(tmp_path):
    data = write_folder(tmp_path / "data")
    (data / "Videos" / "a.avi").write_bytes(b"")
    assert separate_unreadable(find_review_clips([data], None)[0], [data])[1] == []
    inputs = [data / "Videos" / "a.avi", data / "Videos" / "b.avi"]
    kept, lines = separate_unreadable(find_review_clips(inputs, data)[0], inputs)
    assert ([source.name for source in kept], len(lines)) == (["b.avi"], 1)


def test_a_stack_over_time_is_left_out_with_the_cure(tmp_path):
    path = tmp_path / "p1_4d.nii"
    nibabel.save(nibabel.Nifti1Image(np.zeros((32, 24, 3, 5), np.uint8), np.diag([-1.4, -1.4, 8, 1])), path)
    with pytest.raises(DataError, match=r"p1_4d\.nii: is a stack over time, .* save the time points"):
        separate_unreadable(find_review_clips([path], None)[0], [path])


def test_a_folder_gives_what_can_hold_frames(tmp_path):
    write_series(tmp_path / "heart", pixels())
    write_video(tmp_path / "heart" / "b.avi", frames=3)
    for name in ("notes.txt", "c.tif", ".hidden.avi"):
        (tmp_path / "heart" / name).write_bytes(b"")
    sources, _ = find_review_clips([tmp_path / "heart"], None)
    assert [source.name for source in sources] == ["heart", "b.avi", "c.tif"]
    kept, lines = separate_unreadable(sources, [tmp_path / "heart"])
    assert [source.name for source in kept] == ["heart", "b.avi"]
    assert lines == [f"{tmp_path / 'heart' / 'c.tif'}: is empty; replace the file"]


def test_subfolders_are_searched_and_files_of_one_name_have_their_folders_in_theirs(tmp_path, monkeypatch):
    study = tmp_path / "study"
    for path in ("PA1/ST1/IM1.avi", "PA2/ST1/IM1.avi", "PA2/ST1/IM2.avi", "IM3.avi", "PA1/IM3.avi"):
        (study / path).parent.mkdir(parents=True, exist_ok=True)
        write_video(study / path, frames=3)
    for left_out in ("own-learned-1/data/IM4.avi", ".hidden/IM4.avi"):
        (study / left_out).parent.mkdir(parents=True)
        write_video(study / left_out, frames=3)
    monkeypatch.chdir(study)
    for folder in (study, Path()):
        sources, _ = find_review_clips([folder], None)
        found = {source.name: source.path.relative_to(folder).as_posix() for source in sources}
        assert found == {
            "IM3.avi": "IM3.avi",
            "PA1_IM3.avi": "PA1/IM3.avi",
            "PA1_ST1_IM1.avi": "PA1/ST1/IM1.avi",
            "PA2_ST1_IM1.avi": "PA2/ST1/IM1.avi",
            "IM2.avi": "PA2/ST1/IM2.avi",
        }
    assert [source.name for source in find_review_clips([study / "PA1" / "ST1"], None)[0]] == ["IM1.avi"]
    write_video(study / "PA1_ST1_IM1.avi", frames=3)
    with pytest.raises(DataError, match="have the same name, PA1_ST1_IM1; review them one after the other"):
        find_review_clips([study], None)
    (study / "PA1_ST1_IM1.avi").unlink()
    (study / "PA1").rename(study / "DOE, J")
    with pytest.raises(DataError, match=r"the name 'DOE, J_IM3\.avi' cannot .* rename the file or its folder"):
        find_review_clips([study], None)


@pytest.mark.slow
def test_series_of_one_name_have_their_folders_in_theirs(tmp_path, monkeypatch):
    for patient in ("PA1", "PA2"):
        write_series(tmp_path / patient / "SE1", pixels())
    assert [source.name for source in find_review_clips([tmp_path], None)[0]] == ["PA1_SE1", "PA2_SE1"]
    monkeypatch.chdir(tmp_path / "PA1" / "SE1")
    assert [source.name for source in find_review_clips([Path()], None)[0]] == ["SE1"]
