"""Corrections belong to the content of a file, not to its name alone."""

from __future__ import annotations

import contextlib
import re
import shutil

import numpy as np
import pytest

from _folders import write_folder, write_video
from _reviewing import CODEC, EFFORT, drawing_of_weights, handles_of, outlines, reviewed
from echoseg.cli import main
from echoseg.datasets.file_contents import FILES, hash_content, read_hashes
from echoseg.errors import DataError
from echoseg.review.corrections_folder import CorrectionsFolder
from echoseg.review.handles import drawing_of
from echoseg.review.tables import FrameState
from echoseg.utils.files import hash_file

DRAWING = drawing_of(CODEC)
ACCEPTED = FrameState(None, "accepted")


@pytest.fixture
def two_files(tmp_path):
    """Two videos of one name in the folders of two patients."""
    for patient, frames in (("p1", 8), ("p2", 7)):
        (tmp_path / patient).mkdir()
        write_video(tmp_path / patient / "IM1.avi", frames=frames)
    return tmp_path / "p1" / "IM1.avi", tmp_path / "p2" / "IM1.avi"


def opened(folder, *paths, reader="", drawing=DRAWING):
    files = {path.name: path for path in paths}
    corrections = CorrectionsFolder(folder, drawing, kind="chords", reader=reader, files=files)
    for name, path in files.items():
        corrections.check_content(name, hash_content(path))
    return contextlib.closing(corrections)


def save(corrections, frame, state, *, file="IM1.avi", version=0):
    return corrections.save(file, frame, state, version=version, before=outlines(frame + 1)[frame], effort=EFFORT)


@pytest.mark.parametrize("reader", ["", "Bea"])
@pytest.mark.parametrize("what", ["points", "verdict", "beats"])
def test_another_file_of_the_same_name_does_not_get_the_corrections(tmp_path, two_files, what, reader):
    first, second = two_files
    with opened(tmp_path / "c", first, reader=reader) as corrections:
        if what == "beats":
            corrections.save_beats("IM1.avi", ((0, 3),), version=0, effort=EFFORT)
        else:
            save(corrections, 2, FrameState(handles_of(2, 1)) if what == "points" else ACCEPTED)
    place = tmp_path / "c" / "readers" / reader if reader else tmp_path / "c"
    before = {path.name: path.read_bytes() for path in place.iterdir() if path.is_file()}
    message = (
        f"{second}: the corrections of IM1.avi in {place} were made for another file of this name; give another folder"
        f" by --corrections; if the file is the same recording, saved again, delete its row in {place / FILES}"
    )
    with pytest.raises(DataError, match=re.escape(message)):
        opened(tmp_path / "c", second, reader=reader)
    assert {path.name: path.read_bytes() for path in place.iterdir() if path.is_file()} == before
    moved = shutil.copy(first, tmp_path / "IM1.avi")
    with opened(tmp_path / "c", tmp_path / moved, reader=reader):
        pass
    (place / FILES).write_text("FileName,SHA256\n")  # the row was deleted
    with opened(tmp_path / "c", second, reader=reader) as corrections:
        save(corrections, 4, ACCEPTED)
    assert read_hashes(place) == {"IM1.avi": hash_file(second)}


def test_a_file_without_anything_saved_takes_the_name(tmp_path, two_files):
    first, second = two_files
    with opened(tmp_path, first) as corrections:
        save(corrections, 2, ACCEPTED)
        save(corrections, 2, FrameState(), version=1)
    with opened(tmp_path, second) as corrections:
        save(corrections, 2, ACCEPTED)
    assert read_hashes(tmp_path) == {"IM1.avi": hash_file(second)}


def test_a_file_that_is_replaced_while_it_is_open_keeps_the_hash_of_what_was_shown(tmp_path, two_files):
    first, second = two_files
    shown = hash_content(first)
    with opened(tmp_path, first) as corrections:
        shutil.copy(second, first)
        save(corrections, 2, ACCEPTED)
        assert read_hashes(tmp_path) == {"IM1.avi": shown}
        corrections.check_content("IM1.avi", shown)
        with pytest.raises(DataError, match=r"IM1\.avi: was replaced since it was reviewed; close the page"):
            corrections.check_content("IM1.avi", hash_content(first))
        save(corrections, 2, FrameState(), version=1)
        corrections.check_content("IM1.avi", hash_content(first))
        save(corrections, 2, ACCEPTED, version=2)
    assert read_hashes(tmp_path) == {"IM1.avi": hash_content(second)}


def test_files_that_were_only_opened_have_no_row(tmp_path, two_files):
    other = write_video(tmp_path / "b.avi", frames=3)
    with opened(tmp_path, two_files[0], other) as corrections:
        save(corrections, 2, ACCEPTED)
    assert set(read_hashes(tmp_path)) == {"IM1.avi"}


def test_corrections_of_an_earlier_version_are_accepted_and_recorded(tmp_path, two_files):
    first, second = two_files
    with opened(tmp_path) as corrections:
        save(corrections, 2, ACCEPTED)
    (tmp_path / FILES).unlink()
    with opened(tmp_path, first) as corrections:
        assert list(corrections.states("IM1.avi")) == [2]
        save(corrections, 0, ACCEPTED, file="other.avi")
    assert read_hashes(tmp_path) == {"IM1.avi": hash_file(first)}
    with pytest.raises(DataError, match="another file of this name"):
        opened(tmp_path, second)


def test_rows_of_files_outside_the_session_are_kept(tmp_path, two_files):
    with opened(tmp_path, two_files[0]) as corrections:
        save(corrections, 2, ACCEPTED)
    other = write_video(tmp_path / "b.avi", frames=3)
    with opened(tmp_path, other) as corrections:
        save(corrections, 1, ACCEPTED, file="b.avi")
    assert set(read_hashes(tmp_path)) == {"IM1.avi", "b.avi"}


@pytest.mark.slow
def test_files_outside_the_session_are_named_in_the_terminal(tmp_path, two_files, capsys):
    with opened(tmp_path / "c", drawing=drawing_of_weights()) as corrections:
        for name in ("IM1.avi", *(f"IM{number}.avi" for number in range(2, 7)), "p1_IM1.avi"):
            corrections.save(name, 2, ACCEPTED, version=0, before=np.zeros((13, 2)), effort=EFFORT)
    command = ["review", str(tmp_path), "--corrections", str(tmp_path / "c"), "--export", str(tmp_path / "out")]
    assert main([*command, "--device", "cpu"]) == 0
    line = "has corrections of 6 files that are not in this review: IM1.avi, IM2.avi, IM3.avi, IM4.avi, IM5.avi, …"
    assert capsys.readouterr().err == f"{tmp_path / 'c'}: {line}\n"


def test_a_file_that_is_gone_is_not_compared(tmp_path, two_files):
    first, second = two_files
    with opened(tmp_path, first) as corrections:
        save(corrections, 2, ACCEPTED)
    with opened(tmp_path, tmp_path / "gone" / "IM1.avi") as corrections:
        save(corrections, 3, ACCEPTED)
    assert read_hashes(tmp_path) == {"IM1.avi": hash_file(first)}
    with pytest.raises(DataError, match="another file of this name"):
        opened(tmp_path, second)


@pytest.mark.slow
def test_a_recording_of_another_data_set_does_not_get_the_corrections(tmp_path):
    data, other = write_folder(tmp_path / "data"), write_folder(tmp_path / "other")
    for name, frames in (("a", 8), ("b", 7), ("c", 6)):
        write_video(other / "Videos" / f"{name}.avi", frames=frames)
    with reviewed(tmp_path, [data], {(f"{name}.avi", 2): ACCEPTED for name in "abc"}):
        pass
    with reviewed(tmp_path, [data], {}) as (_, corrections):
        assert len(corrections.states("b.avi")) == 1
    message = r"b\.avi: the corrections of b\.avi in .* \(and those of 1 more file\) were made for another file"
    with pytest.raises(DataError, match=message), reviewed(tmp_path, [other], {}):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--export", "--export-masks", "--agreement"])
def test_no_command_gives_a_file_the_corrections_of_another(tmp_path, two_files, capsys, option):
    first, second = two_files
    for reader in ("", "Bea"):
        with opened(tmp_path / "c", first, reader=reader, drawing=drawing_of_weights()) as corrections:
            corrections.save("IM1.avi", 2, ACCEPTED, version=0, before=np.zeros((13, 2)), effort=EFFORT)
    arguments = ["--corrections", str(tmp_path / "c"), option, str(tmp_path / "out"), "--device", "cpu"]
    assert main(["review", str(second), *arguments]) == 1
    assert "were made for another file of this name" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
