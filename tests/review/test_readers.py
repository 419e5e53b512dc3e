"""Several readers of the same files: apart from each other, and compared."""

from __future__ import annotations

import contextlib
import itertools
import json

import numpy as np
import pandas as pd
import pytest

from _folders import write_folder, write_video
from _reviewing import CODEC, EFFORT, FakePredictor, drawing_of_weights, handles_of, outlines
from echoseg.cli import main
from echoseg.errors import DataError
from echoseg.geometry.discs import ejection_fraction
from echoseg.phantom import write_phantom
from echoseg.review.clips import Clips
from echoseg.review.corrections_folder import CorrectionsFolder, readers_of
from echoseg.review.handles import Handles, drawing_of
from echoseg.review.reader_agreement import FIRST_READER, reader_agreement, write_agreement
from echoseg.review.sources import find_review_clips
from echoseg.review.tables import FrameState

DRAWING = drawing_of(CODEC)


def opened(folder, reader=""):
    return contextlib.closing(CorrectionsFolder(folder, DRAWING, kind="chords", reader=reader))


def save(corrections, file, frame, state):
    corrections.save(file, frame, state, version=0, before=outlines(frame + 1)[frame], effort=EFFORT)


def clips_of(data):
    return Clips(FakePredictor("landmark"), find_review_clips([data], None)[0])


def masks(handles, size):
    from echoseg.ops import fill_polygons

    return fill_polygons(DRAWING.join(handles)[None], size)[0] > 0


def test_readers_do_not_see_each_other(tmp_path):
    with opened(tmp_path) as first, opened(tmp_path, "Bea") as second:
        save(first, "a.avi", 2, FrameState(handles_of(2, 1)))
        assert second.states("a.avi") == {}
        save(second, "a.avi", 3, FrameState(None, "accepted"))
        assert list(first.states("a.avi")) == [2]
    assert readers_of(tmp_path) == ["", "Bea"]
    with opened(tmp_path) as first, opened(tmp_path, "Bea") as second:
        assert (list(first.states("a.avi")), list(second.states("a.avi"))) == ([2], [3])


def test_a_folder_of_an_earlier_version_is_that_of_the_first_reader(tmp_path):
    with opened(tmp_path) as first:
        save(first, "a.avi", 2, FrameState(handles_of(2, 1)))
    assert not (tmp_path / "readers").exists()
    assert readers_of(tmp_path) == [""]
    assert readers_of(tmp_path / "nothing") == []


def test_the_frames_that_both_have_reviewed_are_compared(tmp_path):
    data = write_folder(tmp_path / "data")
    clips, moved = clips_of(data), handles_of(2, 2)
    deleted = Handles(*(getattr(handles_of(6, 1), name)[[0, 2, 3, 4]] for name in ("points", "landmarks", "pinned")))
    with opened(tmp_path / "c") as first, opened(tmp_path / "c", "Bea") as second:
        for frame in (2, 4, 5, 6):
            save(first, "a.avi", frame, FrameState(None, "accepted"))
        save(second, "a.avi", 2, FrameState(moved))
        save(second, "a.avi", 4, FrameState(None, "accepted"))
        save(second, "a.avi", 5, FrameState(None, "rejected"))
        save(second, "a.avi", 6, FrameState(deleted))
        save(first, "b.avi", 1, FrameState(None, "accepted"))
        found = reader_agreement(clips, {FIRST_READER: first, "Bea": second})
    table = found.frames.set_index("frame")
    assert list(table.index) == [2, 4, 6]
    assert set(zip(table["first"], table["second"], table["video"], strict=True)) == {(FIRST_READER, "Bea", "a.avi")}
    size = clips.open(0).prediction.size
    one, other = masks(handles_of(2, 0), size), masks(moved, size)
    assert table["dice"][2] == pytest.approx(2 * (one & other).sum() / (one.sum() + other.sum()))
    assert table["landmark_error_px"][2] == pytest.approx(np.hypot(2, 2), abs=1e-4)
    assert (table["dice"][4], table["hd95_px"][4], table["landmark_error_px"][4]) == (1, 0, 0)
    assert table["landmark_error_px"][6] == pytest.approx(np.hypot(1, 1), abs=1e-4)
    (entry,) = found.observers
    assert (entry["first"], entry["second"], entry["images"], entry["patients"]) == (FIRST_READER, "Bea", 3, 1)
    assert entry["dice"] == pytest.approx(table["dice"].mean())


def test_files_in_the_folder_of_a_patient_are_of_one_patient(tmp_path):
    study, files = tmp_path / "study", ("anna_IM1.avi", "anna_IM2.avi", "bert_IM1.avi")
    for file in files:
        path = study / file.replace("_", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path)
    clips = clips_of(study)
    with opened(tmp_path / "c") as first, opened(tmp_path / "c", "Bea") as second:
        for corrections, file in itertools.product((first, second), files):
            save(corrections, file, 2, FrameState(None, "accepted"))
        found = reader_agreement(clips, {FIRST_READER: first, "Bea": second})
    assert list(found.frames["patient"]) == ["anna", "anna", "bert"]
    assert set(zip(found.volumes["file"], found.volumes["patient"], strict=True)) == {
        (file, file[:4]) for file in files
    }


def test_common_frames_that_the_file_lacks_are_left_out(tmp_path):
    clips = clips_of(write_folder(tmp_path / "data"))
    with opened(tmp_path / "c") as first, opened(tmp_path / "c", "Bea") as second:
        for corrections in (first, second):
            save(corrections, "a.avi", 8, FrameState(None, "accepted"))
        with pytest.raises(DataError, match="no frame was corrected or accepted by two readers"):
            reader_agreement(clips, {FIRST_READER: first, "Bea": second})


def test_volumes_come_from_beats_that_the_reader_has_reviewed(tmp_path):
    data = write_folder(tmp_path / "data")
    clips = clips_of(data)
    with (
        opened(tmp_path / "c") as first,
        opened(tmp_path / "c", "Bea") as second,
        opened(tmp_path / "c", "Cy") as third,
    ):
        for corrections, beats in ((first, ((0, 3), (6, 3))), (second, ((1, 3),))):
            corrections.save_beats("a.avi", beats, version=0, effort=EFFORT)
        for frame in (0, 3):
            save(first, "a.avi", frame, FrameState(None, "accepted"))
        for frame in (1, 3):
            save(second, "a.avi", frame, FrameState(handles_of(frame, 1)))
        save(third, "a.avi", 3, FrameState(None, "accepted"))
        found = reader_agreement(clips, {FIRST_READER: first, "Bea": second, "Cy": third})
    assert [(entry["first"], entry["second"]) for entry in found.observers] == [
        (FIRST_READER, "Bea"), (FIRST_READER, "Cy"), ("Bea", "Cy")
    ]  # fmt: skip
    volumes = found.volumes.set_index("reader")
    assert volumes["beats"].to_dict() == {FIRST_READER: 1, "Bea": 1, "Cy": 0}
    assert np.isnan(volumes["ef"]["Cy"])
    of_frame = clips.open(0).measurement.volumes
    expected = ejection_fraction(of_frame[[0]], of_frame[[3]])[0]
    assert volumes["ef"][FIRST_READER] == pytest.approx(expected)
    shifted = ejection_fraction(of_frame[[1]], of_frame[[3]])[0]  # a shift changes no volume
    assert volumes["ef"]["Bea"] == pytest.approx(shifted, abs=1e-2)
    assert found.observers[0]["ef"]["mae"] == pytest.approx(abs(volumes["ef"][FIRST_READER] - volumes["ef"]["Bea"]))
    assert [sorted({"edv", "esv", "ef"} & set(entry)) for entry in found.observers][1:] == [[], []]


def test_the_agreement_is_written(tmp_path):
    data = write_folder(tmp_path / "data")
    with opened(tmp_path / "c") as first, opened(tmp_path / "c", "Bea") as second:
        for corrections in (first, second):
            save(corrections, "a.avi", 2, FrameState(None, "accepted"))
        found = reader_agreement(clips_of(data), {FIRST_READER: first, "Bea": second})
    write_agreement(found, tmp_path / "out")
    assert len(pd.read_csv(tmp_path / "out" / "frames.csv")) == 1
    assert list(pd.read_csv(tmp_path / "out" / "volumes.csv")["reader"]) == [FIRST_READER, "Bea"]
    assert json.loads((tmp_path / "out" / "agreement.json").read_text())["observers"][0]["dice"] == 1
    with pytest.raises(FileExistsError):
        write_agreement(found, tmp_path / "out")


def test_readers_without_a_common_frame_are_not_compared(tmp_path):
    data = write_folder(tmp_path / "data")
    with opened(tmp_path / "c") as first, opened(tmp_path / "c", "Bea") as second:
        save(first, "a.avi", 2, FrameState(None, "accepted"))
        save(second, "b.avi", 2, FrameState(None, "accepted"))
        with pytest.raises(DataError, match="no frame was corrected or accepted by two readers"):
            reader_agreement(clips_of(data), {FIRST_READER: first, "Bea": second})


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", ".hidden", "x" * 41])
def test_names_that_are_no_folders_are_refused(capsys, name):
    with pytest.raises(SystemExit) as caught:
        main(["review", "clip.avi", "--reader", name])
    assert caught.value.code == 2
    assert "--reader" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_compares_readers(tmp_path, capsys):
    data, drawing = write_phantom(tmp_path / "data", videos=2, seed=4), drawing_of_weights()
    folder = tmp_path / "done"
    for reader in ("", "Bea"):
        corrections = CorrectionsFolder(folder, drawing, kind="chords", reader=reader)
        with contextlib.closing(corrections):
            save_accepted(corrections)
        arguments = ["review", str(data / "Videos"), "--corrections", str(folder), "--device", "cpu"]
        code = main([*arguments, "--agreement", str(tmp_path / "out")])
        printed = capsys.readouterr()
        if not reader:
            assert code == 1
            assert "has the corrections of 1 reader; let a second person" in printed.err
    assert code == 0
    assert "first reader and Bea" in printed.out
    assert len(pd.read_csv(tmp_path / "out" / "frames.csv")) == 2


def save_accepted(corrections):
    for number in range(2):
        state, before = FrameState(None, "accepted"), np.zeros((13, 2))
        corrections.save(f"PHANTOM{number:06d}.avi", 10, state, version=0, before=before, effort=EFFORT)
