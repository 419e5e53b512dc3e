"""The data set of a review: its files, frames and contours, and the command that writes it and trains on it."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from _folders import edit_lines, write_folder, write_video
from _predictions import of_landmarks
from _reviewing import (
    CODEC,
    EFFORT,
    BlankAfterTwo,
    FakePredictor,
    drawing_of_weights,
    handles_of,
    outlines,
    reviewed,
)
from echoseg.cli import main
from echoseg.datasets.echonet import read_echonet
from echoseg.datasets.store import prepare
from echoseg.errors import DataError
from echoseg.geometry.contour import order_contour
from echoseg.models.weights import weights_folder
from echoseg.ops import fill_polygons
from echoseg.phantom import write_phantom
from echoseg.review.clip_states import states_of
from echoseg.review.corrections_folder import CorrectionsFolder
from echoseg.review.handles import drawing_of
from echoseg.review.session_export import export_session
from echoseg.review.tables import FrameState


def test_corrected_and_accepted_frames_are_exported(tmp_path):
    data = write_folder(tmp_path / "data")
    states = {
        ("a.avi", 2): FrameState(handles_of(2, 1.5)),
        ("a.avi", 4): FrameState(None, "accepted"),
        ("b.avi", 1): FrameState(None, "rejected", "the apex is cut off"),
        ("c.avi", 3): FrameState(None, "", "a note alone"),
    }
    with reviewed(tmp_path, [data], states) as (clips, corrections):
        exported = export_session(clips, corrections, tmp_path / "out")
    assert (exported.files, exported.frames, exported.left_out) == (1, 2, [])
    read = read_echonet(tmp_path / "out")
    assert not read.faults
    (recording,) = read.recordings
    assert recording.path.read_bytes() == (data / "Videos" / "a.avi").read_bytes()
    assert recording.split == read_echonet(data).recordings[0].split
    drawing = drawing_of(CODEC)
    expected = {2: handles_of(2, 1.5), 4: handles_of(4, 0)}
    assert [tracing.frame for tracing in recording.tracings] == list(expected)
    for tracing in recording.tracings:
        contours = order_contour(tracing.coordinates)[None], drawing.join(expected[tracing.frame])[None]
        masks = [fill_polygons(contour, (48, 48)) for contour in contours]
        assert np.count_nonzero(masks[0] != masks[1]) < 0.1 * masks[1].sum()  # chords instead of the curve


def test_masks_and_files_without_a_data_set(tmp_path):
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos" / "patient 7.v2.avi")
    states = {("patient 7.v2.avi", 1): FrameState(None, "accepted")}
    with reviewed(tmp_path, [tmp_path / "videos"], states, "mask") as (clips, corrections):
        assert export_session(clips, corrections, tmp_path / "out").frames == 1
        with pytest.raises(FileExistsError):
            export_session(clips, corrections, tmp_path / "out")
    store = prepare(tmp_path / "out", size=(48, 48))
    assert (len(store), store.has_chords) == (1, False)


def areas_in(folder):
    """The area of each exported contour of the only file, by frame."""
    (recording,) = read_echonet(folder).recordings
    return {
        tracing.frame: int(fill_polygons(order_contour(tracing.coordinates)[None], (40, 48)).sum())
        for tracing in recording.tracings
    }


def test_accepted_masks_are_exported_as_they_were_predicted(tmp_path):
    write_video(tmp_path / "p1.avi")
    states = {("p1.avi", frame): FrameState(None, "accepted") for frame in (0, 5)}
    with reviewed(tmp_path, [tmp_path / "p1.avi"], states, "mask", BlankAfterTwo("mask")) as (clips, corrections):
        exported = export_session(clips, corrections, tmp_path / "out")
        assert exported.frames == 1
        assert areas_in(tmp_path / "out") == {0: clips.open(0).facts["areas"][0]}


def test_files_without_a_contour_are_left_out_by_name(tmp_path):
    write_video(tmp_path / "blank.avi")
    write_video(tmp_path / "short.avi", frames=2)
    (tmp_path / "volume.raw").write_bytes(bytes(6 * 40 * 48))
    (tmp_path / "volume.mhd").write_text(
        "ObjectType = Image\nNDims = 3\nDimSize = 48 40 6\nElementType = MET_UCHAR\nElementDataFile = volume.raw\n"
    )
    states = {(name, 4): FrameState(None, "accepted") for name in ("blank.avi", "short.avi", "volume.mhd")}
    inputs = [tmp_path / name for name, _ in states]
    with reviewed(tmp_path, inputs, states, "mask", BlankAfterTwo("mask")) as (clips, corrections):
        with pytest.raises(DataError, match=r"blank\.avi: has no contour in its corrected and accepted frames"):
            export_session(clips, corrections, tmp_path / "out")
        corrections.save("blank.avi", 0, FrameState(None, "accepted"), version=0, before=outlines(1)[0], effort=EFFORT)
        left_out = export_session(clips, corrections, tmp_path / "out").left_out
    assert [line.split(": ")[0] for line in left_out] == [str(path) for path in inputs[1:]]
    assert "consists of several files" in left_out[1]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (("anna/IM1", "anna/IM2", "bert/IM1", "p7"), ["anna", "anna", "bert", "p7"]),
        (("PA1/ST1/IM1", "PA1/ST2/IM1", "PA2/ST1/IM1"), ["PA1", "PA1", "PA2"]),
        (("anna/IM1", "anna/IM2"), ["anna", "anna"]),
        (("A4C/p1_x", "A2C/p1_y", "A4C/p2"), ["p1", "p1", "p2"]),
        (("IM1", "IM2"), ["IM1", "IM2"]),
        (("Videos/0X1A", "Videos/0X2B"), ["Videos_0X1A", "Videos_0X2B"]),
        (("clips/avi/anna", "clips/avi/bert"), ["clips_avi_anna", "clips_avi_bert"]),
        (("test/p1", "test/p2", "train/p1", "train/p3"), ["p1", "p2", "p1", "p3"]),
        (("test/001", "train/001"), ["test_001", "train_001"]),
    ],
)
def test_the_patients_of_files_in_folders_are_exported(tmp_path, files, expected):
    for file in files:
        (tmp_path / "study" / file).parent.mkdir(parents=True, exist_ok=True)
        write_video(tmp_path / "study" / f"{file}.avi")
    states = {(f"{file.replace('/', '_')}.avi", 2): FrameState(None, "accepted") for file in files}
    with reviewed(tmp_path, [tmp_path / "study"], states) as (clips, corrections):
        export_session(clips, corrections, tmp_path / "out")
    read = {recording.name: recording.patient for recording in read_echonet(tmp_path / "out").recordings}
    assert [read[name] for name in sorted(read)] == expected


def test_the_patients_of_a_data_set_are_exported(tmp_path):
    data = write_folder(tmp_path / "data")
    edit_lines(data / "FileList.csv", lambda lines: lines.__setitem__(slice(0, 4), _with_patients(lines[:4])))
    states = {(f"{name}.avi", 2): FrameState(handles_of(2, 0)) for name in "abc"}
    with reviewed(tmp_path, [data], states) as (clips, corrections):
        export_session(clips, corrections, tmp_path / "out")
    assert [recording.patient for recording in read_echonet(tmp_path / "out").recordings] == ["P1", "P1", "P2"]


def _with_patients(lines):
    return [f"{line},{cell}" for line, cell in zip(lines, ("PatientId", "P1", "P1", "P2"), strict=True)]


class Smaller(FakePredictor):
    """Predicts smaller contours."""

    def __call__(self, clip):
        return of_landmarks(outlines(len(clip.frames)) * 0.6 + (9, 8), CODEC, clip.frames.shape[1:])


def test_an_accepted_contour_stays_with_another_network(tmp_path):
    write_video(tmp_path / "p1.avi")
    inputs = [tmp_path / "p1.avi"]
    with reviewed(tmp_path, inputs, {}) as (clips, corrections):
        state = FrameState(None, "accepted", "good", clips.open(0).accepted(2))
        corrections.save("p1.avi", 2, state, version=0, before=outlines(3)[2], effort=EFFORT)
        export_session(clips, corrections, tmp_path / "before")
    with reviewed(tmp_path, inputs, {}) as (clips, corrections):
        assert states_of(clips.open(0), corrections) == {2: state}, "the network's own contour is no correction"
    with reviewed(tmp_path, inputs, {}, predictor=Smaller("landmark")) as (clips, corrections):
        (found,) = states_of(clips.open(0), corrections).values()
        np.testing.assert_allclose(found.handles.points, outlines(3)[2], atol=1e-3)
        assert (found.verdict, found.note) == ("accepted", "good")
        export_session(clips, corrections, tmp_path / "after")
    assert areas_in(tmp_path / "after") == areas_in(tmp_path / "before")


def test_an_accepted_blank_frame_is_not_accepted_with_a_contour(tmp_path):
    write_video(tmp_path / "p1.avi")
    inputs = [tmp_path / "p1.avi"]
    with reviewed(tmp_path, inputs, {}, "mask", BlankAfterTwo("mask")) as (clips, corrections):
        state = FrameState(None, "accepted", "", clips.open(0).accepted(4))
        assert state.accepted == ()
        corrections.save("p1.avi", 4, state, version=0, before=outlines(5)[4], effort=EFFORT)
        assert states_of(clips.open(0), corrections) == {4: state}
    with reviewed(tmp_path, inputs, {}, "mask") as (clips, corrections):
        assert states_of(clips.open(0), corrections) == {4: FrameState()}


def test_nothing_is_exported_without_a_reviewed_frame(tmp_path):
    data = write_folder(tmp_path / "data")
    rejected = {("a.avi", 1): FrameState(None, "rejected")}
    with reviewed(tmp_path, [data], rejected) as session, pytest.raises(DataError, match="no frame is corrected"):
        export_session(*session, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_training_learns_from_an_exported_session(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, weights = write_phantom("data", videos=3, seed=4), str(weights_folder("landmark"))
    with contextlib.closing(CorrectionsFolder(tmp_path / "done", drawing_of_weights(), kind="chords")) as corrections:
        for index in range(3):
            state = FrameState(None, "accepted")
            file = f"PHANTOM{index:06d}.avi"
            corrections.save(file, 10, state, version=0, before=np.zeros((13, 2)), effort=EFFORT)
    videos = str(data / "Videos")
    export = ["review", videos, "--corrections", "done", "--export", "session", "--device", "cpu"]
    assert main(export) == 0
    assert "written to session: 3 frames of 3 files" in capsys.readouterr().out
    training = [
        "train",
        "--data",
        "session",
        "--init",
        weights,
        "--landmarks",
        "13",
        "--epochs",
        "1",
        "--device",
        "cpu",
    ]
    assert main([*training, "--out", "learned", "--test-fold", "none"]) == 0
