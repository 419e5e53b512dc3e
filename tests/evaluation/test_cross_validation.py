"""Cross-validation: each image is tested by a network that had not seen its patient; the folds predict together."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from _commands import failure, files
from echoseg.api import evaluate, train
from echoseg.cli import main
from echoseg.datasets.store import write_store
from echoseg.errors import DataError
from echoseg.evaluation.cross_validation import _find_folds, cross_validate
from echoseg.evaluation.evaluate import evaluate as evaluate_split
from echoseg.inference.predictor import load
from echoseg.metrics.bootstrap import mean_interval
from echoseg.metrics.calibration import load_calibration
from echoseg.training.batch_size import scale_learning_rate
from echoseg.training.checkpoint import load_run
from echoseg.training.config_file import load_config
from echoseg.training.plan import make_plan
from echoseg.training.splits import split_folds

TINY = {"size": (32, 32), "width": 4, "depth": 2, "batch_size": 8, "epochs": 1, "device": "cpu", "landmarks": 5}
FOLDS = 3


@pytest.fixture(scope="module")
def store(disc_store, tmp_path_factory):
    """Twelve patients of two images each, and a blank slice."""
    count = 25
    samples = disc_store.samples.iloc[:count].drop(columns="blank")
    samples = samples.assign(patient=[f"p{i // 2:02d}" for i in range(count)], split="")
    contours = [disc_store.contour(i) if i < count - 1 else np.empty((0, 2), np.float32) for i in range(count)]
    folder = tmp_path_factory.mktemp("folds") / "data"
    return write_store(folder, np.array(disc_store.frames[:count]), contours, samples, {})


@pytest.fixture(scope="module")
def run(store, tmp_path_factory):
    return train(store, out=tmp_path_factory.mktemp("folds") / "run", folds=FOLDS, **TINY)


def folds_of(run):
    return [Path(run) / f"fold-{number}" for number in range(1, FOLDS + 1)]


@pytest.mark.slow
def test_the_run_folder_has_a_run_for_each_fold(run):
    own = {name for name in files(run.path) if not name.startswith("fold-")}
    assert own >= {"config.yaml", "plan.json", "metrics.json", "model.safetensors", "calibration.json", "shape.json"}
    for fold in folds_of(run):
        assert files(fold) >= {"config.yaml", "metrics.json", "model.safetensors", "training_state.pt", "log.csv"}
    assert run.config.folds == FOLDS
    assert run.config.epochs == 1


@pytest.mark.slow
def test_each_image_is_tested_once_by_a_network_that_had_not_seen_its_patient(run, store):
    pooled = pd.read_csv(run.path / "images_test.csv")
    assert pooled["video"].tolist() == store.samples["video"].tolist()[:-1]  # not the blank slice
    tested = []
    for fold in folds_of(run):
        splits = load_config(fold / "config.yaml").splits(store.samples)
        patients = {name: set(store.samples["patient"][splits == name]) for name in ("train", "val", "test")}
        assert len(patients["test"]) in (4, 5)  # with the patient who has only a blank slice
        assert len(set.union(*patients.values())) == sum(map(len, patients.values())) == 13
        assert patients["train"]
        assert patients["val"]
        tested.append(patients["test"])
        own = pd.read_csv(fold / "images_test.csv")
        assert set(own["patient"]) <= patients["test"]
        merged = own.merge(pooled, on="video", suffixes=("_fold", "_pooled"))
        assert len(merged) == len(own)
        np.testing.assert_array_equal(merged["dice_fold"], merged["dice_pooled"])
    assert len(set.union(*tested)) == sum(map(len, tested)) == 13


@pytest.mark.slow
def test_the_pooled_measures_are_those_of_all_images(run, store):
    pooled, metrics = pd.read_csv(run.path / "images_test.csv"), run.metrics["test"]
    assert (metrics["images"], metrics["patients"]) == (24, 12)
    for name in ("dice", "iou", "hd95_px", "landmark_error_px"):
        assert metrics[name] == pytest.approx(pooled[name].mean(), rel=1e-3)
    expected = mean_interval(pooled["dice"].to_numpy(), pooled["patient"].to_numpy())
    assert metrics["dice_ci95"] == pytest.approx(expected, rel=1e-3)
    folds = [json.loads((fold / "metrics.json").read_text())["test"] for fold in folds_of(run)]
    assert [fold["dice"] for fold in metrics["folds"]] == [fold["dice"] for fold in folds]
    assert metrics["blanks"]["images"] == 1
    slices = [fold["images"] + fold.get("blanks", {"images": 0})["images"] for fold in folds]
    scores = [fold.get("blanks", {"dice_all": fold["dice"]})["dice_all"] for fold in folds]
    assert metrics["blanks"]["dice_all"] == pytest.approx(np.average(scores, weights=slices))
    assert metrics["review"]["marked"] == sum(fold["review"]["marked"] for fold in folds)


@pytest.mark.slow
def test_the_networks_predict_together(run, store):
    frames = torch.from_numpy(np.array(store.frames[:3]))
    with torch.no_grad():
        found = load_run(run.path)[1](frames)
        expected = np.mean([load_run(fold)[1](frames).numpy() for fold in folds_of(run)], axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    prediction = load(run, device="cpu")(np.array(store.frames[:3]))
    assert prediction.review is not None
    assert load_calibration(run.path / "calibration.json").error_correlation.shape == (10, 10)


@pytest.mark.slow
def test_commands_take_the_run(run, store, tmp_path, capsys):
    out = str(run.path)
    assert "has seen all patients" in failure(capsys, "evaluate", out)
    assert "the pooled test of its folds is in" in failure(capsys, "evaluate", out, "--data", store.path)
    with pytest.raises(DataError, match="/run: the ensemble has seen all patients"):
        evaluate(run, shutil.copytree(store.path, tmp_path / "copy"), "all", device="cpu")
    contours = [store.contour(index) for index in range(len(store))]
    other = write_store(tmp_path / "other", 255 - store.frames, contours, store.samples, store.manifest).path
    assert evaluate(run, other, "all", out=tmp_path / "evaluated", device="cpu")["images"] == 24
    assert main(["export", out, "--format", "torch", "--out", str(tmp_path / "graph.pt2")]) == 0
    assert main(["export", out, "--format", "huggingface", "--out", str(tmp_path / "hub")]) == 0
    assert "An ensemble of 3 U-Nets" in (tmp_path / "hub" / "README.md").read_text()
    assert evaluate(tmp_path / "hub", other, "all", out=tmp_path / "again", device="cpu")["images"] == 24
    assert main(["info", out, "--figure", str(tmp_path / "network.png")]) == 0
    assert "an ensemble of 3 networks" in capsys.readouterr().out
    assert main(["report", out]) == 0
    assert main(["evaluate", f"{out}/fold-1", "--out", str(tmp_path / "of a fold")]) == 0


@pytest.mark.slow
def test_the_parts_do_not_depend_on_the_seed(run, store, tmp_path):
    again = train(store, out=tmp_path / "run", folds=FOLDS, seed=1, approach="mask", **TINY)
    boundaries = [
        [load_config(fold / "config.yaml").split_boundaries for fold in folds_of(one)] for one in (run, again)
    ]
    assert boundaries[0] == boundaries[1]
    assert not (again.path / "calibration.json").exists()


@pytest.mark.slow
def test_it_goes_on_at_the_fold_that_is_not_finished(run, store, tmp_path, capsys, caplog):
    out, begun = tmp_path / "run", []

    def stop(event):
        begun.append(event.step == 1)
        if sum(begun) == 2:  # in the second fold
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(store, out=out, folds=FOLDS, on_step=stop, **TINY)
    assert caplog.messages[-1].endswith(f"go on with echoseg train --resume --out {out}")
    assert "the cross-validation is not finished" in failure(capsys, "evaluate", out)
    finished = (out / "fold-1" / "model.safetensors").stat().st_mtime_ns
    settings = out / "config.yaml"
    before = settings.read_text()
    settings.write_text(before.replace("width: 4", "width: 8"))
    refusal = failure(capsys, "train", "--resume", "--out", out)
    assert f"{settings}: width is 8, was 4 when the run was trained; put that back" in refusal
    settings.write_text(before)
    of_a_killed_process = out / ".model.safetensors.01234567.part"
    of_a_killed_process.mkdir()
    assert main(["train", "--resume", "--out", str(out)]) == 0
    assert os.name == "nt" or not of_a_killed_process.exists()  # Windows has no locks
    printed = capsys.readouterr().out
    assert "fold 1 of 3: is finished" in printed
    assert "fold 3: Dice " in printed
    assert (out / "fold-1" / "model.safetensors").stat().st_mtime_ns == finished
    assert (out / "model.safetensors").read_bytes() == (run.path / "model.safetensors").read_bytes()
    metrics = json.loads((out / "metrics.json").read_text())["test"]
    assert metrics["dice"] == run.metrics["test"]["dice"]
    metadata = out / "fold-1" / "config.yaml"
    changed = metadata.read_text().replace("split_start: 0.0", "split_start: 0.5")
    metadata.write_text(changed)
    assert "the data are not those" in failure(capsys, "train", "--resume", "--out", out)


@pytest.mark.parametrize("batch_size", [16, 32, 64])
def test_an_edited_learning_rate_is_refused(store, tmp_path, batch_size):
    """Where the plan has scaled it to the batch size, too."""
    config = load_config(None, folds=3, **{**TINY, "batch_size": None, "epochs": 3, "learning_rate": 0.003})
    begun = split_folds(make_plan(config, store, torch.device("cpu")).config, store.samples)[0]
    rate = scale_learning_rate(0.003, batch_size)
    fold = tmp_path / "fold-1"
    fold.mkdir()
    dataclasses.replace(begun, batch_size=batch_size, learning_rate=rate).save(fold / "config.yaml")
    _find_folds(dataclasses.replace(begun, folds=3, split_start=None, split_boundaries=None), store, tmp_path)
    edited = dataclasses.replace(config, learning_rate=0.01)
    with pytest.raises(DataError, match=r"learning_rate is 0\.01, was 0\.003\d* when .*; put that back"):
        cross_validate(edited, store, tmp_path, trained=store, finish=print, resume=True)


def test_more_folds_than_patients_are_refused(store, tmp_path):
    with pytest.raises(DataError, match=r"folds: 13 are more than the data's 12 patients; give at most 12"):
        train(store, out=tmp_path / "run", folds=13, **TINY)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("names", "cure"), [("ab", "--validation none"), ("abc", "or with more folds")])
@pytest.mark.parametrize("settings", [{"validation": "split"}, {"patience": 3}])
def test_too_few_patients_for_a_validation_are_refused(disc_store, tmp_path, names, cure, settings):
    few = dataclasses.replace(disc_store, samples=disc_store.samples.assign(patient=list(names * 24)[:48], split=""))
    config = load_config(None, folds=2, **settings, **TINY)
    with pytest.raises(DataError, match=rf"folds: 2 of {len(names)} patients leave 1 for training .*{cure}"):
        cross_validate(config, few, tmp_path / "run", trained=few, finish=print)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("other", [{"test_fold": "1"}, {"split_shares": (0.5, 0.25, 0.25)}])
def test_folds_and_other_splits_are_refused(other):
    with pytest.raises(DataError, match=f"folds and {next(iter(other))} are both given"):
        load_config(None, folds=3, **other)


def test_the_plan_leaves_to_the_folds_what_depends_on_their_images(store):
    config = load_config(None, folds=3, size=(32, 32))
    plan = make_plan(config, store, torch.device("cpu"))
    assert plan.config.epochs is plan.config.batch_size is plan.config.split_boundaries is None
    assert plan.config.validation == "split"
    few = dataclasses.replace(store, samples=store.samples.assign(patient=list("abcde") * 5))
    choice = make_plan(config, few, torch.device("cpu")).choices["validation"]
    assert choice.value == "none"
    assert "--folds" not in choice.reason


@pytest.mark.slow
def test_leaving_one_patient_out_needs_no_validation(disc_store, tmp_path):
    samples = disc_store.samples.assign(patient=list("abc") * 16, split=list("012") * 16)
    store = write_store(
        tmp_path / "data",
        np.array(disc_store.frames),
        [disc_store.contour(i) for i in range(48)],
        samples.drop(columns="blank"),
        {},
    )
    run = train(store, out=tmp_path / "run", folds=3, **TINY)
    assert run.config.validation == "none"
    for fold in folds_of(run):
        result = evaluate_split(load(fold, device="cpu"), store, "test")
        assert result.images["patient"].nunique() == 1
        assert not (fold / "calibration.json").exists()
    assert (run.path / "calibration.json").exists()
