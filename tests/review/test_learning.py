"""Learning from the corrections while the page is open."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time

import numpy as np
import pytest
import yaml

pytest.importorskip("fastapi")
pytest.importorskip("starlette.testclient")
from starlette.testclient import TestClient

from _folders import write_folder, write_video
from _reviewing import FakePredictor, reviewed
from echoseg.datasets.store import prepare
from echoseg.errors import DataError
from echoseg.inference.predictor import load
from echoseg.review import learning as module
from echoseg.review.handles import Handles
from echoseg.review.learning import Learning, LearningState
from echoseg.review.server import make_app
from echoseg.review.tables import FrameState
from echoseg.training.checkpoint import build, save_weights
from echoseg.training.config import Config

EVENTS = """
import json, sys
for name in ("a warning", "an epoch", "the last epoch"):
    steps = {} if name == "a warning" else {"step": 1 if name == "an epoch" else 2, "steps": 2}
    print(json.dumps({"message": name, **steps}), file=sys.stderr, flush=True)
"""
COMPARISON = """
    out = sys.argv[sys.argv.index("--out") + 1]
    os.mkdir(out)
    with open(out + "/comparison.csv", "w") as table:
        table.write("measure,method,cases,patients,mean,difference,difference_low,difference_high\\n")
        table.write("dice,before,3,2,0.8,,,\\ndice,run,3,2,0.9,0.1,0.05,\\nnsd,before,3,2,0.5,,,\\n")
"""
ENDLESS = "import sys, time; print('{}', file=sys.stderr, flush=True); time.sleep(600)"


@contextlib.contextmanager
def learning_from(folder, files, predictor=None, run=None, handles=None):
    """Learning from a frame of each of these files, accepted with these handles or as it is predicted."""
    if predictor is None:
        predictor = FakePredictor("landmark")
        predictor.config = Config(approach="landmark", landmarks=5, size=(48, 48), width=4, depth=2)
    states = {(file, 2): FrameState(handles, "accepted") for file in files}
    with reviewed(folder, [folder], states, predictor=predictor) as (clips, corrections):
        learning = Learning(clips, corrections, run=run, device="cpu")
        try:
            yield learning, corrections
        finally:
            learning.stop()


def wait_for(learning, *stages):
    deadline = time.monotonic() + 300
    while learning.state.stage not in stages and time.monotonic() < deadline:
        time.sleep(0.02)
    assert learning.state.stage in stages, learning.state
    return learning.state


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ECHOSEG_CACHE", str(tmp_path / "cache"))
    return write_folder(tmp_path / "data")


def test_one_patient_is_learned_from_without_a_comparison(folder, monkeypatch):
    monkeypatch.setattr(module, "_CODE", EVENTS)
    with learning_from(folder, ["a.avi"]) as (learning, _):
        assert learning.state == LearningState()
        learning.start()
        state = wait_for(learning, "done", "failed")
        out = folder / "corrections-learned-1"
        assert state == LearningState("done", 1.0, run=str(out / "run"))
        settings = yaml.safe_load((out / "settings.yaml").read_text(encoding="utf-8"))
        assert (settings["init"], settings["test_fold"], settings["epochs"]) == ("shipped", "none", module.IMAGES)
        assert (settings["landmarks"], settings["size"], settings["width"]) == (5, [48, 48], 4)
        assert "folds" not in settings
        assert settings["rehearse"] == "phantom"
        learning.start()
        assert wait_for(learning, "done", "failed").run == str(folder / "corrections-learned-2" / "run")


def test_several_patients_are_left_out_once_each_and_compared(folder, monkeypatch):
    code = EVENTS + "import os\nif sys.argv[2] == 'compare':" + COMPARISON
    monkeypatch.setattr(module, "_CODE", code)
    with learning_from(folder, ["a.avi", "b.avi"]) as (learning, _):
        learning.start()
        state = wait_for(learning, "done", "failed")
    settings = yaml.safe_load((folder / "corrections-learned-1" / "settings.yaml").read_text(encoding="utf-8"))
    assert (settings["folds"], settings["epochs"]) == (2, module.IMAGES)
    assert "test_fold" not in settings
    expected = {"before": 0.8, "after": 0.9, "difference": 0.1, "low": 0.05, "high": None, "images": 3, "patients": 2}
    assert (state.verdict, state.message) == (expected, "")


def test_a_comparison_that_is_not_possible_leaves_the_network(folder, monkeypatch):
    code = EVENTS + "if sys.argv[2] == 'compare': sys.exit('echoseg: no image is fair to all runs')"
    monkeypatch.setattr(module, "_CODE", code)
    with learning_from(folder, ["a.avi", "b.avi"]) as (learning, _):
        learning.start()
        state = wait_for(learning, "done", "failed")
    assert (state.message, state.verdict) == ("no image is fair to all runs", None)
    assert state.run.endswith("run")


def test_a_stopped_comparison_leaves_the_network(folder, monkeypatch):
    monkeypatch.setattr(module, "_CODE", EVENTS + "import time\nif sys.argv[2] == 'compare': time.sleep(600)")
    with learning_from(folder, ["a.avi", "b.avi"]) as (learning, _):
        learning.start()
        wait_for(learning, "comparing")
        learning.stop()
    assert (learning.state.stage, learning.state.message) == ("done", "the comparison was stopped")


def test_a_training_that_fails_says_why(folder, monkeypatch):
    monkeypatch.setattr(module, "_CODE", EVENTS + "sys.exit('echoseg: out of memory; make it smaller')")
    with learning_from(folder, ["a.avi"]) as (learning, _):
        learning.start()
        assert wait_for(learning, "failed").message == "out of memory; make it smaller"
        monkeypatch.setattr(module, "_CODE", "import os; os._exit(7)")
        learning.start()
        assert wait_for(learning, "failed").message == "train ended with exit code 7"


def test_learning_is_stopped_and_not_begun_twice(folder, monkeypatch):
    monkeypatch.setattr(module, "_CODE", ENDLESS)
    with learning_from(folder, ["a.avi"]) as (learning, corrections):
        with TestClient(make_app(learning._clips, corrections, learning)) as client:
            assert client.get("/api/learning").json()["stage"] == "idle"
            assert client.post("/api/learning", json={"learn": True}).json()["stage"] == "training"
            response = client.post("/api/learning", json={"learn": True})
            assert (response.status_code, response.json()["detail"]) == (422, "the network is learning already")
            assert client.post("/api/learning", json={"learn": False}).json()["stage"] == "stopped"
            assert client.post("/api/learning", json={"learn": "perhaps"}).status_code == 422
        learning.start()
    assert learning.state.stage == "stopped"


def test_nothing_is_written_without_a_reviewed_frame(folder):
    with learning_from(folder, []) as (learning, _):
        with pytest.raises(DataError, match="no frame is corrected or accepted yet"):
            learning.start()
        assert not list(folder.glob("corrections-learned-*"))


def test_nothing_is_rehearsed_if_landmarks_would_change_their_places(folder):
    store = prepare(folder)
    points = dataclasses.replace(store, manifest=store.manifest | {"kind": "points", "ordering": "given"})
    with learning_from(folder, ["a.avi"]) as (learning, _):
        assert learning._rehearsed(store) == "phantom"
        assert learning._rehearsed(points) is None


def test_another_structure_is_learned_as_that(folder, monkeypatch):
    monkeypatch.setattr(module, "_CODE", EVENTS)
    predictor = FakePredictor("mask")
    predictor.config = Config(approach="mask", structure="left atrium", size=(48, 48), width=4, depth=2)
    with learning_from(folder, ["a.avi"], predictor) as (learning, _):
        learning.start()
        wait_for(learning, "done", "failed")
    settings = yaml.safe_load((folder / "corrections-learned-1" / "settings.yaml").read_text(encoding="utf-8"))
    assert (settings["structure"], settings["rehearse"]) == ("left atrium", None)


def test_files_that_are_not_learned_from_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("ECHOSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_CODE", EVENTS)
    write_video(tmp_path / "a.avi")
    write_video(tmp_path / "short.avi", frames=2)
    with learning_from(tmp_path, ["short.avi"]) as (learning, _):
        with pytest.raises(DataError, match=r"short\.avi: has no contour"):
            learning.start()
        assert not list(tmp_path.glob("corrections-learned-*"))
    with learning_from(tmp_path, ["a.avi"]) as (learning, _):
        learning.start()
        state = wait_for(learning, "done", "failed")
    assert (state.stage, state.left_out.split(": ")[0]) == ("done", str(tmp_path / "short.avi"))


@pytest.mark.parametrize("data", [None, "moved", "reviewed"])
def test_earlier_data_are_rehearsed_if_there_are_any(folder, monkeypatch, tmp_path, data):
    monkeypatch.setattr(module, "_CODE", EVENTS)
    where = {None: None, "moved": str(tmp_path / "nowhere"), "reviewed": str(folder)}[data]
    predictor = FakePredictor("mask")
    predictor.config = Config(approach="mask", size=(48, 48), width=4, depth=2, data=where)
    with learning_from(folder, ["a.avi", "b.avi"], predictor, tmp_path / "run") as (learning, _):
        learning.start()
        wait_for(learning, "done", "failed")
    settings = yaml.safe_load((folder / "corrections-learned-1" / "settings.yaml").read_text(encoding="utf-8"))
    assert settings["rehearse"] == ("phantom" if data is None else None)


def test_the_trainings_have_the_structure_of_the_network(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_CODE", EVENTS)
    earlier = str(write_folder(tmp_path / "earlier", ("d", "e", "f")))
    predictor = FakePredictor("mask")
    atrium = {"structure": "left atrium", "data": earlier}
    predictor.config = Config(approach="mask", size=(48, 48), width=4, depth=2, **atrium)
    with learning_from(folder, ["a.avi"], predictor, tmp_path / "run") as (learning, _):
        learning.start()
        wait_for(learning, "done", "failed")
    settings = yaml.safe_load((folder / "corrections-learned-1" / "settings.yaml").read_text(encoding="utf-8"))
    assert (settings["structure"], settings["rehearse"]) == ("left atrium", earlier)


@pytest.mark.slow
def test_a_small_network_learns(tmp_path, monkeypatch):
    """With the real commands: two patients, one epoch of each training, and two patients of earlier data."""
    monkeypatch.setenv("ECHOSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "IMAGES", 1)
    earlier = str(write_folder(tmp_path / "earlier", ("Earlier1", "Earlier2", "Earlier3")))
    run, config = tmp_path / "before", Config(approach="mask", size=(32, 32), width=4, depth=2, data=earlier)
    run.mkdir()
    config.save(run / "config.yaml")
    save_weights(run / "model.safetensors", build(config)[0])
    data = write_folder(tmp_path / "data")
    predictor = load(run, device="cpu")
    count = predictor.codec.handles
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    circle = np.stack([24 + 9 * np.cos(angles), 20 + 9 * np.sin(angles)], axis=1).astype(np.float32)
    handles = Handles(circle, np.arange(count), np.zeros(count, bool))
    with learning_from(data, ["a.avi", "b.avi"], predictor, run, handles) as (learning, _):
        learning.start()
        state = wait_for(learning, "done", "failed")
    assert state.stage == "done", state
    assert (state.message, state.verdict["patients"], state.verdict["images"]) == ("", 2, 2)
    metrics = json.loads((data / "corrections-learned-1" / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["test"]["images"] == 2
    learned = load(state.run, device="cpu").config
    assert (learned.folds, learned.rehearse) == (2, earlier)
