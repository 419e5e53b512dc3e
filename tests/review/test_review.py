"""The folder of corrections, what the review page is computed from, and the command."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from _folders import ellipse_chords, set_cell, write_folder, write_video
from _predictions import of_landmarks
from _reviewing import CODEC, FakePredictor, outlines, request, review_server
from echoseg.cli import main
from echoseg.datasets.echonet import read_echonet
from echoseg.datasets.store import prepare
from echoseg.errors import DataError
from echoseg.geometry.chords import cut_chords
from echoseg.geometry.contour import order_contour
from echoseg.geometry.level_set import NO_CONTOUR
from echoseg.metrics.calibration import Calibration
from echoseg.models.codec import MaskCodec
from echoseg.ops import fill_polygons
from echoseg.review import handles
from echoseg.review.clips import Clips
from echoseg.review.corrections_folder import CorrectionsFolder, OutdatedError
from echoseg.review.handles import Handles, drawing_of
from echoseg.review.review_queue import MAX_SUGGESTED, review_queue
from echoseg.review.sources import find_review_clips
from echoseg.review.tables import FrameState
from echoseg.training.checkpoint import build, save_weights
from echoseg.training.config import Config

DRAWING = drawing_of(CODEC)
EFFORT = {"seconds": 1.5, "drags": 1}


# ---- the folder of corrections


def open_corrections(folder, kind="chords"):
    return contextlib.closing(CorrectionsFolder(folder, DRAWING, kind=kind))


def handles_of(frame=0, shift=0.0) -> Handles:
    return Handles(outlines(8)[frame] + np.float32(shift), np.arange(5), np.arange(5) == 1)


def save(corrections, file, frame, handles, version=0):
    return judge(corrections, file, frame, FrameState(handles), version)


def judge(corrections, file, frame, state, version=0):
    return corrections.save(file, frame, state, version=version, before=outlines(8)[frame], effort=EFFORT)


def test_corrections_are_there_when_the_folder_is_opened_again(tmp_path):
    extra = Handles(np.insert(outlines(8)[2], 1, (27, 10), axis=0), np.array([0, -1, 1, 2, 3, 4]), np.ones(6, bool))
    with open_corrections(tmp_path) as corrections:
        save(corrections, "b.avi", 2, extra)
        save(corrections, "a.avi", 5, handles_of(5, 0.125))
        save(corrections, "a.avi", 4, handles_of(4))
        save(corrections, "a.avi", 4, None, version=1)
    with open_corrections(tmp_path) as reopened:
        assert (list(reopened.of("a.avi")), list(reopened.of("b.avi"))) == ([5], [2])
        found, version = reopened.of("b.avi")[2]
        assert version == 5, "no version of the session before is used again"
        np.testing.assert_allclose(found.points, extra.points, atol=1e-4)
        np.testing.assert_array_equal(found.landmarks, extra.landmarks)
        np.testing.assert_array_equal(reopened.of("a.avi")[5][0].pinned, np.arange(5) == 1)
        with pytest.raises(OutdatedError):
            save(reopened, "b.avi", 2, None, version=1)
        assert save(reopened, "c.avi", 2, extra) == 5
        assert save(reopened, "c.avi", 2, None, version=5) == 6
        save(reopened, "b.avi", 2, None, version=5)
        save(reopened, "a.avi", 5, None, version=5)
    with open_corrections(tmp_path) as reopened:
        assert reopened.of("a.avi") == {}
    assert len((tmp_path / "audit.jsonl").read_text().splitlines()) == 8


def test_the_old_name_of_the_last_column_is_read(tmp_path):
    with open_corrections(tmp_path) as corrections:
        save(corrections, "a.avi", 5, handles_of(5))
    (tmp_path / "sha256.json").unlink()
    set_cell(tmp_path / "Landmarks.csv", 1, 5, "Held")
    with open_corrections(tmp_path) as reopened:
        np.testing.assert_array_equal(reopened.of("a.avi")[5][0].pinned, np.arange(5) == 1)


TEXTS = st.text(max_size=40)


@pytest.mark.slow
@settings(max_examples=15)
@given(st.dictionaries(st.integers(0, 7), st.tuples(st.sampled_from(["", "accepted", "rejected"]), TEXTS), max_size=5))
def test_verdicts_and_notes_are_there_when_the_folder_is_opened_again(states):
    with tempfile.TemporaryDirectory() as folder:
        with open_corrections(Path(folder)) as corrections:
            for frame, (verdict, note) in states.items():
                judge(corrections, "a.avi", frame, FrameState(None, verdict, note))
            save(corrections, "a.avi", 7, handles_of(7), version=int(7 in states))
        with open_corrections(Path(folder)) as reopened:
            found = {frame: state for frame, (state, _) in reopened.states("a.avi").items()}
            assert list(reopened.of("a.avi")) == [7]
    found.pop(7)
    expected = {
        frame: (verdict, "".join(character for character in " ".join(note.split()) if character.isprintable()))
        for frame, (verdict, note) in states.items()
        if frame != 7
    }
    kept = {frame: judged for frame, judged in expected.items() if any(judged)}
    assert {frame: (state.verdict, state.note) for frame, state in found.items()} == kept


def test_chosen_beats_are_there_when_the_folder_is_opened_again(tmp_path):
    with open_corrections(tmp_path) as corrections:
        assert corrections.beats("a.avi") == (None, 0)
        assert corrections.save_beats("a.avi", ((1, 4), (5, 7)), version=0, effort=EFFORT) == 1
        corrections.save_beats("b.avi", ((0, 3),), version=0, effort=EFFORT)
        corrections.save_beats("b.avi", None, version=1, effort=EFFORT)
        with pytest.raises(OutdatedError):
            corrections.save_beats("a.avi", None, version=0, effort=EFFORT)
    assert (tmp_path / "Beats.csv").read_text() == "FileName,ED,ES\na.avi,1,4\na.avi,5,7\n"
    with open_corrections(tmp_path) as reopened:
        assert reopened.beats("a.avi") == (((1, 4), (5, 7)), 4)
        assert reopened.beats("b.avi") == (None, 0)
    (tmp_path / "sha256.json").unlink()
    with (tmp_path / "Beats.csv").open("a") as table:
        table.write("a.avi,1,4\n")
    with open_corrections(tmp_path) as reopened:
        assert reopened.beats("a.avi")[0] == ((1, 4), (5, 7)), "a beat counts once"
    line = json.loads((tmp_path / "audit.jsonl").read_text().splitlines()[0])
    assert (line["beats_before"], line["beats_after"]) == (None, [[1, 4], [5, 7]])


def test_accepted_points_are_there_when_the_folder_is_opened_again(tmp_path):
    accepted, blank = (FrameState(None, "accepted", "", points) for points in ((1.5, 2.0) * 5, ()))
    with open_corrections(tmp_path) as corrections:
        judge(corrections, "a.avi", 0, accepted)
        judge(corrections, "a.avi", 1, blank)
        judge(corrections, "a.avi", 2, FrameState(None, "accepted"))
    with open_corrections(tmp_path) as reopened:
        found = [state for state, _ in reopened.states("a.avi").values()]
        assert found == [accepted, blank, FrameState(None, "accepted")]
    (tmp_path / "sha256.json").unlink()
    set_cell(tmp_path / "Reviews.csv", 2, 4, "1.5 2.0")
    with pytest.raises(DataError, match=r"Reviews\.csv:2:Points: these are not the x and y of the run's 5 points"):
        CorrectionsFolder(tmp_path, DRAWING, kind="chords")
    (tmp_path / "Reviews.csv").write_text("FileName,Frame,Verdict,Note\na.avi,3,accepted,\n")  # an earlier version
    with open_corrections(tmp_path) as reopened:
        assert reopened.states("a.avi")[3][0] == FrameState(None, "accepted")


def test_a_damaged_verdict_is_reported_with_its_row(tmp_path):
    with open_corrections(tmp_path) as corrections:
        judge(corrections, "a.avi", 0, FrameState(None, "accepted"))
    set_cell(tmp_path / "Reviews.csv", 2, 2, "maybe")
    with pytest.raises(DataError, match=r"Reviews\.csv: damaged, or edited"):
        CorrectionsFolder(tmp_path, DRAWING, kind="chords")
    (tmp_path / "sha256.json").unlink()
    with pytest.raises(DataError, match=r"Reviews\.csv:2:Verdict: 'maybe' is unknown; write accepted or rejected"):
        CorrectionsFolder(tmp_path, DRAWING, kind="chords")


@pytest.mark.parametrize("kind", ["chords", "points"])
def test_corrections_are_tracings_that_the_reader_accepts(tmp_path, kind):
    data = write_folder(tmp_path / "data")
    with open_corrections(tmp_path / "corrections", kind) as corrections:
        for name in "abc":
            save(corrections, f"{name}.avi", 3, handles_of(3, 1.0))
    shutil.copy(tmp_path / "corrections" / "VolumeTracings.csv", data / "VolumeTracings.csv")
    dataset = read_echonet(data)
    assert (dataset.kind, dataset.faults) == (kind, ())
    assert [tracing.frame for recording in dataset.recordings for tracing in recording.tracings] == [3, 3, 3]
    contour = order_contour(dataset.recordings[0].tracings[0].coordinates)
    drawn, meant = (fill_polygons(each[None], (40, 48)) for each in (contour, DRAWING.join(handles_of(3, 1.0))))
    assert (drawn & meant).sum() / (drawn | meant).sum() > (0.92 if kind == "chords" else 0.999)


def test_of_simultaneous_changes_one_is_saved(tmp_path):
    barrier, outcomes = threading.Barrier(8), []

    def change_it(corrections, shift):
        barrier.wait()
        try:
            outcomes.append(save(corrections, "a.avi", 0, handles_of(0, shift)))
        except OutdatedError:
            outcomes.append(None)

    with open_corrections(tmp_path) as corrections:
        threads = [threading.Thread(target=change_it, args=(corrections, i / 8)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(outcomes, key=str) == [1] + [None] * 7


def test_a_second_review_is_refused(tmp_path):
    pytest.importorskip("fcntl")
    with open_corrections(tmp_path), pytest.raises(DataError, match="another 'echoseg review' uses this folder"):
        CorrectionsFolder(tmp_path, DRAWING, kind="chords")
    with open_corrections(tmp_path):
        pass


def test_a_folder_without_locks_can_be_reviewed(tmp_path, monkeypatch):
    def flock(handle, operation):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", flock)
    with open_corrections(tmp_path) as corrections:
        save(corrections, "a.avi", 0, handles_of(0))
    assert (tmp_path / "Landmarks.csv").exists()


@pytest.mark.parametrize(
    ("row", "column", "text", "message"),
    [
        (2, 1, "x", r"Landmarks\.csv:2:X: 'x' is not a number"),
        (3, 4, "9", r"csv:2: the points of frame 0 of a\.avi are not a contour of the run's 5 landmarks"),
        (1, 1, "Z", "no column X"),
    ],
)
def test_damage_is_reported_with_its_row(tmp_path, row, column, text, message):
    with open_corrections(tmp_path) as corrections:
        save(corrections, "a.avi", 0, handles_of())
    set_cell(tmp_path / "Landmarks.csv", row, column, text)
    with pytest.raises(DataError, match=r"Landmarks\.csv: damaged, or edited"):
        CorrectionsFolder(tmp_path, DRAWING, kind="chords")
    (tmp_path / "sha256.json").unlink()
    with pytest.raises(DataError, match=message):
        CorrectionsFolder(tmp_path, DRAWING, kind="chords")


def test_a_save_that_fails_changes_nothing_and_can_be_tried_again(tmp_path, monkeypatch):
    with open_corrections(tmp_path) as corrections:
        save(corrections, "a.avi", 0, handles_of())
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", full)
            with pytest.raises(OSError, match="No space"):
                save(corrections, "a.avi", 0, handles_of(shift=2.0), version=1)
        assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        assert corrections.states("a.avi")[0][1] == 1
    with open_corrections(tmp_path) as reopened:
        assert save(reopened, "a.avi", 0, handles_of(shift=3.0), version=2) == 3
    (tmp_path / "audit.jsonl").write_bytes((tmp_path / "audit.jsonl").read_bytes()[:-5])  # a crash while it was written
    with open_corrections(tmp_path) as reopened:
        save(reopened, "a.avi", 0, None, version=2)
    lines = (tmp_path / "audit.jsonl").read_text().splitlines()
    assert len(lines) == 3
    assert json.loads(lines[2])["after"] is None


def full(*_):
    raise OSError(28, "No space left on device")


def test_a_crash_between_the_two_tables_is_repaired(tmp_path, monkeypatch):
    replace, tables = Path.replace, ("Landmarks.csv", "VolumeTracings.csv")

    def die_at_landmarks(path, target):
        if target.name == "Landmarks.csv":
            raise SystemExit
        return replace(path, target)

    with open_corrections(tmp_path) as corrections:
        save(corrections, "a.avi", 0, handles_of())
        before = [(tmp_path / name).read_bytes() for name in tables]
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", die_at_landmarks)
            with pytest.raises(SystemExit):
                save(corrections, "a.avi", 0, handles_of(shift=2.0), version=1)
        assert (tmp_path / "VolumeTracings.csv").read_bytes() != before[1]
    with open_corrections(tmp_path):
        assert before == [(tmp_path / name).read_bytes() for name in tables]


def test_damaged_corrections_are_refused_for_training(tmp_path):
    data = write_folder(tmp_path / "data")
    with open_corrections(tmp_path / "corrections") as corrections:
        save(corrections, "a.avi", 3, handles_of(3, 1.0))
    prepare(data, corrections=tmp_path / "corrections")
    set_cell(tmp_path / "corrections" / "VolumeTracings.csv", 2, 1, "25.5")
    with pytest.raises(DataError, match=r"VolumeTracings\.csv: damaged, or edited; .* delete .*sha256\.json"):
        prepare(data, corrections=tmp_path / "corrections")
    (tmp_path / "corrections" / "sha256.json").write_text("{")
    with pytest.raises(DataError, match=r"sha256\.json: damaged"):
        prepare(data, corrections=tmp_path / "corrections")
    (tmp_path / "corrections" / "sha256.json").unlink()
    assert len(prepare(data, corrections=tmp_path / "corrections")) == 7


# ---- what the page is computed from


def test_chords_of_an_ellipse():
    angle = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    outline = np.stack([24 + 8 * np.sin(angle), 20 - 14 * np.cos(angle)], axis=1)
    rows = cut_chords(outline, np.array([[24, 6], [24, 34]]), count=9)
    height = 20 - 14 + 28 * (np.arange(9) + 0.5) / 9
    half = 8 * np.sqrt(1 - ((height - 20) / 14) ** 2)
    expected = np.stack([24 - half, height, 24 + half, height], axis=1)
    np.testing.assert_allclose(rows, np.concatenate([ellipse_chords()[:1], expected]), atol=1e-3)


@given(st.integers(0, 2**32 - 1))
def test_other_landmarks_given_pinned_ones(seed):
    """The reference uses the precision matrix: the conditional mean of a Gaussian."""
    random = np.random.default_rng(seed)
    count = 4
    spread = random.normal(size=(2 * count, 2 * count + 3))
    together = spread @ spread.T / 8
    roots = random.normal(size=(count, 2, 2))
    covariances = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(2)
    pinned = random.choice(count, random.integers(1, count), replace=False)
    landmarks, places = random.normal(size=(count, 2)), random.normal(size=(len(pinned), 2))
    moved = Calibration(0.0, 1.0, 0.0, together).condition_on(landmarks, covariances, pinned, places)

    blocks = np.zeros((2 * count, 2 * count))
    for k, covariance in enumerate(covariances):
        values, vectors = np.linalg.eigh(covariance)
        blocks[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = vectors * np.sqrt(values) @ vectors.T
    precision = np.linalg.inv(blocks @ together @ blocks)
    known = np.concatenate([[2 * k, 2 * k + 1] for k in pinned])
    free = np.setdiff1d(np.arange(2 * count), known)
    errors = (landmarks[pinned] - places).ravel()
    expected = landmarks.ravel().copy()
    expected[known] = places.ravel()
    expected[free] += np.linalg.solve(precision[np.ix_(free, free)], precision[np.ix_(free, known)] @ errors)
    np.testing.assert_allclose(moved.ravel(), expected, rtol=1e-3, atol=1e-3)


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=60), st.booleans())
def test_the_queue_is_what_predict_marks(deviations, is_stack):
    prediction = of_landmarks(np.repeat(outlines(1), len(deviations), axis=0), CODEC, (40, 48))
    marked = np.arange(len(deviations)) % 5 == 3
    uncertain = dataclasses.replace(prediction, area_std=np.array(deviations), review=marked)
    queue = review_queue(uncertain, is_stack=is_stack)
    if marked.any():
        assert sorted(queue.frames) == np.flatnonzero(marked).tolist()
        assert "marks" in queue.reason
    else:
        assert queue.frames[0] == np.argmax(deviations)
    assert all(deviations[a] >= deviations[b] for a, b in itertools.pairwise(queue.frames))
    unmarked = review_queue(dataclasses.replace(uncertain, review=np.zeros_like(marked)), is_stack=is_stack).frames
    assert unmarked[0] == np.argmax(deviations)
    assert len(unmarked) <= MAX_SUGGESTED
    assert review_queue(prediction, is_stack=is_stack).frames == []


def test_points_on_the_contour_of_a_mask(tmp_path):
    with review_server(tmp_path, "mask") as page:
        found = page.clips.open(0)
        assert {len(each.points) for each in found.handles} == {16}
        for mask, handles in zip(masks_of(found), found.handles, strict=True):
            drawn = fill_polygons(page.clips.drawing.join(handles)[None], (40, 48))[0]
            assert 2 * (drawn & mask).sum() / (drawn.sum() + mask.sum()) > 0.95


def test_points_of_empty_masks():
    drawing = drawing_of(MaskCodec())
    square = np.array([[10, 10], [20, 10], [20, 20], [10, 20]], np.float32)
    points = handles._points_on([NO_CONTOUR, NO_CONTOUR, square, NO_CONTOUR, square + 5, NO_CONTOUR], (40, 48), drawing)
    np.testing.assert_allclose(points[[0, 1, 2]], points[[3, 3, 3]])
    np.testing.assert_allclose(points[[4, 5]], points[[2, 2]] + 5, atol=1e-4)
    circle = handles._points_on([NO_CONTOUR], (40, 48), drawing)[0]
    np.testing.assert_allclose(np.linalg.norm(circle - (24, 20), axis=1), 40 / 6)


def masks_of(found):
    return (found.probabilities > 127).astype(np.uint8)


def test_suggested_frames_are_the_queue_if_the_clip_has_them():
    prediction = of_landmarks(np.zeros((3, 5, 2)), CODEC, (32, 32))
    assert review_queue(prediction, (2, 0, 7), is_stack=False).frames == [2, 0]
    assert review_queue(prediction, (7,), is_stack=False).frames == []


# ---- the command


def test_the_command_names_what_it_leaves_out_and_serves_the_rest(tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    config = Config(approach="mask", size=(32, 32), width=4, depth=2)
    run.mkdir()
    config.save(run / "config.yaml")
    save_weights(run / "model.safetensors", build(config)[0])
    good, bad = write_video(tmp_path / "b.avi", frames=3), tmp_path / "a.avi"
    bad.write_bytes(b"")
    served = []

    def make_app(clips, corrections, learning):
        corrections.close()
        served.append(clips)

    monkeypatch.setattr("echoseg.review.server.make_app", make_app)
    monkeypatch.setattr("echoseg.review.server.serve", lambda app, **options: None)
    assert main(["review", str(run), str(bad), "--no-browser", "--device", "cpu"]) == 1
    assert capsys.readouterr().err == f"echoseg: {bad}: is empty; replace the file\n"
    assert not (run / "corrections").exists()
    assert main(["review", str(run), str(bad), str(good), "--no-browser", "--device", "cpu"]) == 0
    assert capsys.readouterr().err == f"left out: {bad}: is empty; replace the file\n"
    assert [source.path for source in served[0].sources] == [good]


def test_unusable_addresses_are_refused(capsys):
    for host in ("0.0.0.0", "::", "everywhere"):
        with pytest.raises(SystemExit) as stop:
            main(["review", "run", "video", "--host", host])
        assert stop.value.code == 2
        assert "--host" in capsys.readouterr().err


def test_options_that_exclude_each_other_and_folders_without_corrections(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["review", "video", "--agreement", "a", "--export", "b"])
    assert stop.value.code == 2
    assert "leave out --export" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "a.avi", frames=3)
    for option in ("--export", "--export-masks"):
        assert main(["review", "a.avi", "--corrections", "typo", option, "out", "--device", "cpu"]) == 1
        assert capsys.readouterr().err == "echoseg: typo: has no corrections; check --corrections and --reader\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.avi"]


def test_the_clips_that_were_opened_last_stay_in_memory(tmp_path):
    data = write_folder(tmp_path / "data", "abcd")
    clips = Clips(FakePredictor("landmark"), find_review_clips([data], None)[0])
    first = clips.open(0)
    for number in (1, 2, 0, 3):
        clips.open(number)
    assert clips.open(0) is first


def test_a_missing_extra_is_reported(monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("echoseg.review.server")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert main(["review", "run", "video"]) == 1
    assert capsys.readouterr().err == "echoseg: fastapi is missing; pip install 'echoseg[review]'\n"


@pytest.mark.slow
def test_the_command_serves_until_interrupted(tmp_path):
    data, run = write_folder(tmp_path / "data"), tmp_path / "run"
    config = Config(approach="mask", size=(32, 32), width=4, depth=2)
    run.mkdir()
    config.save(run / "config.yaml")
    save_weights(run / "model.safetensors", build(config)[0])
    command = [sys.executable, "-m", "echoseg", "review", run, data, "--no-browser", "--device", "cpu"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            printed = [process.stdout.readline() for _ in range(3)]
            assert printed[0] == f"corrections: {run / 'corrections'}\n"
            port, path = re.search(r"http://127\.0\.0\.1:(\d+)(/enter\?token=\S+)$", printed[1]).groups()
            status, headers, _ = request(int(port), "GET", path)
            assert status == 200
            status, _, body = request(int(port), "GET", "/api/clips/1", Cookie=headers["set-cookie"].split(";")[0])
            assert (status, json.loads(body)["frames"]) == (200, 8)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()
    assert (run / "corrections").is_dir()


@pytest.mark.slow
def test_training_uses_corrections(tmp_path):
    data, run = write_folder(tmp_path / "data"), tmp_path / "run"
    with open_corrections(tmp_path / "corrections") as corrections:
        for name, frame in itertools.product("ab", (0, 5)):  # training and validation
            save(corrections, f"{name}.avi", frame, handles_of(frame))
    tiny = ["--size", "32", "32", "--width", "4", "--depth", "2", "--device", "cpu", "--epochs", "1"]
    corrected = ["--corrections", str(corrections.folder)]
    assert main(["train", "--approach", "mask", "--data", str(data), "--out", str(run), *tiny, *corrected]) == 0
    measured = json.loads((run / "metrics.json").read_text())["test"]
    own = prepare(data, size=(32, 32))
    assert measured["data"] == str(own.path), "metrics are computed on the tracings of the data set"
    assert len(prepare(data, size=(32, 32), corrections=corrections.folder)) == len(own) + 2
