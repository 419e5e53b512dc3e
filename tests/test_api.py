"""The public API, as scripts and notebooks use it."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import echoseg
from _folders import set_cell, write_folder
from echoseg.evaluation.evaluate import evaluate as evaluate_split
from echoseg.io.sector import crop_to_sector

pytest.importorskip("fastapi")
from echoseg.review.clips import Clips
from echoseg.review.sources import find_review_clips

TINY = {"size": (32, 32), "width": 4, "depth": 2, "epochs": 2, "device": "cpu", "precision": "float32", "landmarks": 5}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("api") / "data")


@pytest.fixture(scope="module")
def run(data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECHOSEG_CACHE", str(data.parent / "cache"))
        return echoseg.train(data, approach="landmark", out=data.parent / "run", **TINY)


def test_public_names_exist_and_are_documented():
    for name in set(echoseg.__all__) - {"__version__"}:
        assert getattr(echoseg, name).__doc__, name
    assert echoseg.__version__.count(".") == 2
    with pytest.raises(AttributeError, match="no attribute 'fly'"):
        echoseg.fly  # noqa: B018


def test_train_returns_a_run_that_can_be_used_as_a_path(run, data):
    assert run.path == data.parent / "run"
    assert run.config.epochs == 2
    assert run.metrics == json.loads((run.path / "metrics.json").read_text())
    assert 0 <= run.metrics["test"]["dice"] <= 1
    assert Path(run) == run.path
    with pytest.raises(FileExistsError, match="run"):
        echoseg.train(data, out=run.path)


def test_a_structure_needs_data_that_show_it(tmp_path):
    with pytest.raises(echoseg.DataError, match="structure 'left atrium': there are no data"):
        echoseg.train(structure="left atrium", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_train_takes_settings_from_a_file_and_from_arguments(data, tmp_path):
    (tmp_path / "settings.yaml").write_text("epochs: 1\nseed: 3\n")
    events = []
    settings = {**{name: value for name, value in TINY.items() if name != "epochs"}, "seed": 4}
    run = echoseg.train(
        data,
        approach="mask",
        out=tmp_path / "run",
        config=tmp_path / "settings.yaml",
        on_epoch=events.append,
        **settings,
    )
    assert (run.config.epochs, run.config.seed, run.config.approach) == (1, 4, "mask")
    assert [event.epoch for event in events] == [1]
    named = echoseg.train(data, out=tmp_path / "named", network="resunet", **TINY)
    assert named.config.network == "resunet"
    with pytest.raises(echoseg.DataError, match="unknown network 'vnet'; known: unet, resunet"):
        echoseg.train(data, out=tmp_path / "other", network="vnet")
    with pytest.raises(echoseg.DataError, match="unknown setting"):
        echoseg.train(data, out=tmp_path / "other", speed="high")
    with pytest.raises(ValueError, match="needs out"):
        echoseg.train(resume=True)


@pytest.mark.slow
def test_evaluate_takes_data_sets_and_stores_and_writes_to_another_folder(run, data, tmp_path):
    before = (run.path / "metrics.json").read_bytes()
    metrics = echoseg.evaluate(run, split="all", out=tmp_path / "all", device="cpu")
    assert metrics["images"] == 6
    assert json.loads((tmp_path / "all" / "metrics.json").read_text())["all"]["dice"] == metrics["dice"]
    assert (run.path / "metrics.json").read_bytes() == before
    store = echoseg.prepare(data, tmp_path / "store", size=(32, 32))
    assert echoseg.evaluate(run.path, store, "all", out=tmp_path / "again", device="cpu")["dice"] == metrics["dice"]
    predictor = echoseg.load(run, device="cpu")
    assert evaluate_split(predictor, store, "all").summary["dice"] == metrics["dice"]


def test_predictor_gives_the_same_for_paths_clips_and_frames_as_predict_files(run, data, tmp_path):
    video = data / "Videos" / "a.avi"
    predict = echoseg.load(run, device="cpu")
    clip = echoseg.read_clip(video)
    by_path, by_clip, by_frames = predict(video), predict(clip), predict(clip.frames)
    table = echoseg.predict_files(run, [video], tmp_path / "out", keep=["frames"], device="cpu")
    frames = pd.read_csv(tmp_path / "out" / "a" / "frames.csv")
    for prediction in (by_path, by_clip, by_frames):
        np.testing.assert_array_equal(prediction.masks, by_path.masks)
        assert prediction.areas.tolist() == frames["area_px"].tolist()
        assert [contour.shape[1] for contour in prediction.contours] == [2] * len(prediction)
    measurement = echoseg.measure(by_path, clip)
    assert table["path"].tolist() == [str(video)]
    for name in ("edv", "esv", "ef"):
        assert table[name][0] == getattr(measurement, f"mean_{name}") or math.isnan(table[name][0])


@pytest.mark.parametrize("wrong", [{"format": "xlsx"}, {"keep": "masks"}, {"keep": ["overlays"]}])
def test_predict_files_refuses_unknown_outputs_before_it_begins(run, data, tmp_path, wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected"):
        echoseg.predict_files(run, [data], tmp_path / "out", device="cpu", **wrong)
    assert not (tmp_path / "out").exists()


def test_predictor_rejects_invalid_input(run):
    predict = echoseg.load(run, device="cpu")
    with pytest.raises(echoseg.DataError, match=r"nowhere\.avi"):
        predict("nowhere.avi")
    with pytest.raises(ValueError, match="uint8"):
        predict(np.zeros((2, 8, 8)))
    with pytest.raises(ValueError, match="arrays of frames only"):
        predict(echoseg.Clip(np.zeros((2, 8, 8), np.uint8), 50.0, (1.0, 1.0), math.nan), crop_sector=True)


def test_without_a_run_the_network_that_ships_is_loaded():
    assert echoseg.load(device="cpu").config.landmarks == 13
    assert echoseg.load(approach="mask", device="cpu").config.approach == "mask"


def test_crop_sector_crops_arrays_of_frames(run):
    random = np.random.default_rng(0)
    frames = np.zeros((6, 60, 90), np.uint8)
    frames[:, 10:50, 20:70] = random.integers(0, 256, (6, 40, 50))
    frames[:, :6, :40] = 200  # an annotation that does not move
    predict = echoseg.load(run, smooth=False, device="cpu")
    cropped = predict(frames, crop_sector=True)
    clip = crop_to_sector(echoseg.Clip(frames, math.nan, (math.nan, math.nan), math.nan))
    assert clip.square[2] == pytest.approx(40, abs=2)
    assert not clip.frames[:, :6, :40].any()
    np.testing.assert_array_equal(cropped.landmarks, predict(clip).landmarks)
    assert (cropped.landmarks != predict(frames).landmarks).any()
    still = np.full((3, 20, 20), 90, np.uint8)
    np.testing.assert_array_equal(predict(still, crop_sector=True).masks, predict(still).masks)


@pytest.mark.slow
def test_listed_frame_rate_takes_precedence_over_the_file(run, tmp_path):
    data = write_folder(tmp_path / "data")
    set_cell(data / "FileList.csv", 2, 6, "31")
    listed = echoseg.read_dataset(data).recordings[0]
    assert (listed.fps, echoseg.read_clip(listed.path).fps) == (31, 50)
    of_folder = echoseg.predict_files(run, [data], tmp_path / "folder", keep=[], device="cpu")
    assert of_folder["fps"].tolist() == [31, 50, 50]
    of_file = echoseg.predict_files(run, [listed.path], tmp_path / "file", keep=[], device="cpu")
    assert of_file["fps"].tolist() == [50]
    assert Clips(echoseg.load(run, device="cpu"), find_review_clips([data], None)[0]).open(0).clip.fps == 31
    predictor, store = echoseg.load(run, device="cpu"), echoseg.prepare(data, size=(32, 32))
    recordings = {recording.name: recording for recording in echoseg.read_dataset(data).recordings}
    evaluation = evaluate_split(predictor, store, "all", recordings=recordings, whole_videos=True)
    measurement = echoseg.measure(predictor(listed.path), dataclasses.replace(echoseg.read_clip(listed.path), fps=31))
    assert evaluation.videos["beats"][0] == len(measurement.ef)


def test_settings_that_would_have_no_effect_are_refused(run, data):
    with pytest.raises(ValueError, match="take no data and no settings"):
        echoseg.train(out=run.path, resume=True, epochs=5)
    with pytest.raises(ValueError, match="take no data and no settings"):
        echoseg.train(data, config=run.config)
    with pytest.raises(ValueError, match="take no data and no settings"):
        echoseg.train(config=run.config, approach="mask")
    with pytest.raises(ValueError, match="take no data and no settings"):
        echoseg.train(out=run.path, resume=True, approach="mask")


def test_a_run_that_is_not_there_cannot_be_resumed(tmp_path):
    with pytest.raises(echoseg.DataError, match=r"nowhere: no run to resume \(config\.yaml is missing\)"):
        echoseg.train(out=tmp_path / "nowhere", resume=True)


@pytest.mark.slow
def test_the_approach_may_come_from_a_file_or_a_preset(data, tmp_path):
    (tmp_path / "settings.yaml").write_text("approach: mask\n")
    tiny = {name: value for name, value in TINY.items() if name != "landmarks"} | {"epochs": 1}
    runs = [
        echoseg.train(data, out=tmp_path / "file", config=tmp_path / "settings.yaml", **tiny),
        echoseg.train(data, out=tmp_path / "preset", preset="craciun", **tiny),
        echoseg.train(data, out=tmp_path / "given", config=tmp_path / "settings.yaml", approach="landmark", **tiny),
    ]
    assert [run.config.approach for run in runs] == ["mask", "mask", "landmark"]


@pytest.mark.slow
def test_a_run_or_a_path_can_be_a_setting(run, data, tmp_path):
    settings = TINY | {"epochs": 1}
    for number, init in enumerate((run, run.path, str(run.path))):
        assert echoseg.train(data, out=tmp_path / str(number), init=init, **settings).config.init == str(run.path)


@pytest.mark.slow
def test_resuming_a_finished_run_does_not_change_it(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    of_a_killed_process = tmp_path / "run" / ".training_state.pt.01234567.part"
    of_a_killed_process.mkdir()
    resumed = echoseg.train(out=tmp_path / "run", resume=True)
    assert os.name == "nt" or not of_a_killed_process.exists()  # Windows has no locks
    assert (resumed.path, resumed.config) == (tmp_path / "run", run.config)
    ignored = {"data", "seconds", "checksum"}  # the cache folder and the times differ
    assert {name: value for name, value in resumed.metrics["test"].items() if name not in ignored} == {
        name: value for name, value in run.metrics["test"].items() if name not in ignored
    }
