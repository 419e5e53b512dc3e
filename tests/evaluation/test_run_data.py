"""Runs together with the data set on which they are evaluated."""

from __future__ import annotations

import shutil

import pytest

from _folders import write_folder
from echoseg.datasets.store import prepare
from echoseg.errors import DataError
from echoseg.evaluation.run_data import load_run_data, prepare_run_data
from echoseg.training.checkpoint import build, save_state, save_weights
from echoseg.training.config import Config
from echoseg.training.training_sets import fingerprint


@pytest.fixture
def data(tmp_path):
    return write_folder(tmp_path / "data")


@pytest.fixture
def run(data, tmp_path):
    return write_run(tmp_path / "run", data)


def write_run(run, data, **settings):
    config = Config(approach="mask", size=(32, 32), width=4, depth=2, device="cpu", data=str(data), **settings)
    run.mkdir()
    config.save(run / "config.yaml")
    save_weights(run / "model.safetensors", build(config)[0])
    trained = prepare(data, corrections=config.corrections, **config.store_options)
    save_state(run, {"data": fingerprint(trained, config.splits(trained.samples))})
    return run


def test_default_data_set_is_that_of_the_training(run, data, tmp_path):
    own = load_run_data(run, device="cpu")
    assert (own.data, own.store.size, len(own.store)) == (data, (32, 32), 6)
    other = load_run_data(str(run), str(write_folder(tmp_path / "other", names=("x",))), device="cpu")
    assert len(other.store) == 2
    assert list(other.recordings) == ["x"]


def test_store_has_no_videos(run, data, tmp_path):
    store = prepare(data, tmp_path / "store", size=(32, 32))
    run_data = load_run_data(run, store.path, device="cpu")
    assert run_data.recordings is None
    assert run_data.evaluate("all").summary["images"] == 6
    with pytest.raises(DataError, match="give --data the folder"):
        run_data.evaluate("all", whole_videos=True)


def test_store_of_another_size_is_rejected(run, data, tmp_path):
    store = prepare(data, tmp_path / "store", size=(48, 48))
    with pytest.raises(DataError, match="use that size"):
        load_run_data(run, store.path, device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["patients", "axis3", "corrections", "none"])
def test_moved_data_are_those_of_the_run(tmp_path, caplog, setting):
    data = write_folder(tmp_path / "data", ("p1a", "p1b", "p2a", "p2b"), splits=("",))
    corrections = tmp_path / "corrections.csv"
    lines = (data / "VolumeTracings.csv").read_text().splitlines()
    corrections.write_text("\n".join([lines[0], *(line[:-1] + "3" for line in lines[1:11])]))
    values = {"patients": "(p.)", "axis3": "time", "corrections": str(corrections)}
    run = write_run(tmp_path / "run", data, **{name: values[name] for name in values if name == setting})
    moved, other = data.rename(tmp_path / "moved"), write_folder(tmp_path / "other", ("p3", "p4"))
    with caplog.at_level("INFO", logger="echoseg"):
        for folder, is_own in ((moved, True), (other, False)):
            caplog.clear()
            found = prepare_run_data(run, folder, device="cpu")
            assert found.is_own is is_own
            assert sum(message.startswith("data: ") for message in caplog.messages) == 1
            assert found.axis3 == ("time" if setting == "axis3" and is_own else None)
            patients = {recording.patient for recording in found.recordings.values()}
            assert patients == set(found.store.samples["patient"])
            assert patients == ({"p1", "p2"} if setting == "patients" and is_own else set(found.recordings))
            assert len(found.store) == 2 * len(found.recordings)  # without corrections
    if setting == "corrections":
        corrections.unlink()
        assert not prepare_run_data(run, moved, device="cpu").is_own


def test_a_store_of_the_run_s_data_must_have_its_patients(data, tmp_path):
    run = write_run(tmp_path / "run", data, patients="(.*)")
    store = prepare(data, tmp_path / "store", size=(32, 32))
    with pytest.raises(DataError, match=r"was made without the rule '\(\.\*\)' for patients"):
        prepare_run_data(run, store.path, device="cpu")


@pytest.mark.slow
def test_data_that_changed_since_the_training_are_told(tmp_path, caplog):
    data = write_folder(tmp_path / "data", ("p1", "p2"), splits=("",))
    run = write_run(tmp_path / "run", data)
    for renamed, warned in ((False, False), (True, True)):
        if renamed:
            (data / "dataset.json").write_text('{"patients": "(.).*"}')
        caplog.clear()
        assert prepare_run_data(run, device="cpu").is_own
        assert ("are not those of the training" in caplog.text) == warned


def test_the_run_s_own_folder_is_read_as_for_the_training(data, tmp_path):
    run = write_run(tmp_path / "run", data, axis3="time")
    for given in (data, None):
        found = prepare_run_data(run, given, axis3="slices", device="cpu")
        assert (found.is_own, found.axis3, found.store.manifest["axis3"]) == (True, "time", "time")


def test_what_lies_beside_the_folds_is_ignored(run, tmp_path):
    config = Config(approach="mask", size=(32, 32), width=4, depth=2, device="cpu", folds=3)
    ensemble = tmp_path / "ensemble"
    shutil.copytree(run, ensemble / "fold-2")
    (ensemble / "fold-1").mkdir()
    (ensemble / "fold-notes.txt").write_text("mine")
    config.save(ensemble / "config.yaml")
    save_weights(ensemble / "model.safetensors", build(config)[0])
    assert not prepare_run_data(ensemble, write_folder(tmp_path / "other", ("x",)), device="cpu").is_own
    with pytest.raises(DataError, match="has seen all patients"):
        load_run_data(ensemble, (tmp_path / "data").rename(tmp_path / "moved"), device="cpu")
