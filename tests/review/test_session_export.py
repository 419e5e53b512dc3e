"""The data set of a review: its files, frames and contours, and the command that writes it and trains on it."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from _folders import write_folder, write_video
from _reviewing import CODEC, EFFORT, drawing_of_weights, handles_of, reviewed
from echoseg.cli import main
from echoseg.datasets.echonet import read_echonet
from echoseg.datasets.store import prepare
from echoseg.errors import DataError
from echoseg.geometry.contour import order_contour
from echoseg.models.weights import weights_folder
from echoseg.ops import fill_polygons
from echoseg.phantom import write_phantom
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
