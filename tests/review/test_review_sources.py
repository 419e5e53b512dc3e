"""Which files the inputs of a review name, and which of them can be shown."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from _folders import write_folder, write_video
from _masks import make_image, save_image
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


def write_study(study, *paths):
    for number, path in enumerate(paths):
        (study / path).parent.mkdir(parents=True, exist_ok=True)
        write_video(study / path, frames=3 + number)
    return study


def names_in(*inputs, data=None):
    return {clip.name: clip.path for clip in find_review_clips(inputs, data)[0]}


def test_files_in_folders_are_named_by_their_path_in_the_input(tmp_path, monkeypatch):
    study = write_study(tmp_path / "study", "PA1/ST1/IM1.avi", "PA2/ST1/IM1.avi", "IM3.avi", "PA1/IM3.avi")
    write_study(study, "own-learned-1/data/IM4.avi", ".hidden/IM4.avi")
    monkeypatch.chdir(study)
    for folder in (study, Path()):
        assert names_in(folder) == {
            "IM3.avi": folder / "IM3.avi",
            "PA1_IM3.avi": folder / "PA1/IM3.avi",
            "PA1_ST1_IM1.avi": folder / "PA1/ST1/IM1.avi",
            "PA2_ST1_IM1.avi": folder / "PA2/ST1/IM1.avi",
        }
    assert list(names_in(study / "PA1" / "ST1")) == ["IM1.avi"]
    write_study(study, "PA1_ST1/IM1.avi")
    with pytest.raises(DataError, match="have the same name, PA1_ST1_IM1; review them one after the other"):
        names_in(study)
    shutil.rmtree(study / "PA1_ST1")
    (study / "PA1").rename(study / "DOE, J")
    assert set(names_in(study)) >= {"DOE_ J_IM3.avi", "PA2_ST1_IM1.avi"}


def test_names_stay_the_same_when_files_are_added(tmp_path):
    study = write_study(tmp_path / "study", "PA1/IM1.avi")
    before = names_in(study)
    write_study(study, "PA2/IM1.avi", "IM1.avi")
    assert before.items() <= names_in(study).items()


def test_a_file_in_several_inputs_comes_once(tmp_path, monkeypatch):
    study = write_study(tmp_path / "study", "PA1/IM1.avi", "PA2/IM1.avi")
    monkeypatch.chdir(tmp_path)
    expected = {"PA1_IM1.avi": study / "PA1/IM1.avi", "PA2_IM1.avi": study / "PA2/IM1.avi"}
    assert names_in(study, Path("study/PA1"), study / "PA2" / "IM1.avi", Path("study")) == expected


def test_a_table_of_suggested_frames_names_files_as_the_folder_does(tmp_path):
    study = write_study(tmp_path / "study", "PA1/IM1.avi", "PA2/IM1.avi")
    table = tmp_path / "next.csv"
    rows = [f"{path},{frame},{name}" for frame, (name, path) in enumerate(names_in(study).items())]
    table.write_text("\n".join(["file,frame,name", *rows, ""]))
    assert names_in(table) == names_in(table, study) == names_in(study)
    second = tmp_path / "second.csv"
    second.write_text(table.read_text().replace(",1,PA2", ",7,PA2"))
    for inputs, suggested in (
        ([table, study], [(0,), (1,)]),
        ([study, table], [(0,), (1,)]),
        ([table, second], [(0,), (1, 7)]),
    ):
        assert [clip.suggested for clip in find_review_clips(inputs, None)[0]] == suggested


def test_only_the_same_file_gets_the_tracings_of_a_data_set(tmp_path):
    data = write_folder(tmp_path / "data")
    study = write_study(tmp_path / "study", "PA1/a.avi", "PA2/b.avi", "c.avi")
    shutil.copy(data / "Videos" / "b.avi", study / "PA2" / "b.avi")
    (data / "Videos" / "c.avi").unlink()
    review_clips, _ = find_review_clips([study], data)
    assert {clip.name: clip.recording is not None for clip in review_clips} == {
        "c.avi": False,
        "PA1_a.avi": False,
        "b.avi": True,
    }
    assert len(find_review_clips([study, data / "Videos" / "b.avi"], data)[0]) == 3
    with pytest.raises(
        DataError, match=r"data/Videos/a\.avi and .*study/PA1/a\.avi have the same name, a; review them"
    ):
        find_review_clips([data / "Videos" / "a.avi", study / "PA1" / "a.avi"], data)


def test_a_file_of_a_data_set_with_repeated_names_gets_its_own_tracings(tmp_path):
    data = tmp_path / "data"
    for patient, radius in (("anna", 12), ("bert", 6)):
        mask = (np.hypot(*np.mgrid[-40:40, -40:40]) < radius).astype(np.uint8)
        save_image(data / patient / "images" / "001.png", make_image(mask))
        save_image(data / patient / "masks" / "001.png", mask)
    for inputs in ([data / "anna" / "images"], [data / "anna" / "images" / "001.png"]):
        (clip,) = find_review_clips(inputs, data)[0]
        assert clip.recording is not None
        assert (clip.name, clip.recording.patient) == ("anna_001", "anna")


@pytest.mark.slow
def test_folders_of_series_may_have_commas(tmp_path):
    write_series(tmp_path / "study" / "DOE, J", pixels())
    assert list(names_in(tmp_path / "study")) == list(names_in(tmp_path / "study" / "DOE, J")) == ["DOE_ J"]


@pytest.mark.slow
def test_series_are_named_by_their_path_too(tmp_path, monkeypatch):
    for patient in ("PA1", "PA2"):
        write_series(tmp_path / patient / "SE1", pixels())
    assert list(names_in(tmp_path)) == ["PA1_SE1", "PA2_SE1"]
    monkeypatch.chdir(tmp_path / "PA1" / "SE1")
    assert list(names_in(Path())) == ["SE1"]
    (tmp_path / "PA1" / "SE1" / "below").mkdir()
    monkeypatch.chdir(tmp_path / "PA1" / "SE1" / "below")
    assert list(names_in(Path(".."))) == ["SE1"]
