from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from echoseg.evaluation.ablation import CHANGES, run_ablation
from echoseg.evaluation.experiments import run_experiment
from echoseg.evaluation.papers import PAPERS, repeat_function
from echoseg.evaluation.robustness import robustness
from echoseg.evaluation.rodriguez import EXPERIMENTS, repeat_rodriguez
from echoseg.evaluation.run_data import load_run_data
from echoseg.report.page import write_report
from echoseg.report.results import write_run
from echoseg.report.tables import ablation_table, frame_table
from echoseg.training.config import Config
from echoseg.training.config_file import load_config
from echoseg.training.presets import PRESETS

pytestmark = pytest.mark.slow

TINY = {"size": (32, 32), "width": 2, "depth": 2, "batch_size": 8, "device": "cpu", "precision": "float32"}


FEW = tuple(
    dataclasses.replace(experiment, images=experiment.images // 100, changes={**experiment.changes, "epochs": 2})
    for experiment in EXPERIMENTS
)


def test_experiments_of_the_paper(disc_store, tmp_path):
    out = tmp_path / "out"
    tables = repeat_rodriguez(disc_store.path, out, scale=0.001, write=write_run, experiments=FEW, **TINY)
    table = tables["Experiments"]
    assert table["images"].tolist() == [17, 16, 8, 8, 16, 16]
    assert table["epochs"].tolist() == [2] * 6
    scores = table[[f"{split}_{measure}" for split in ("train", "test") for measure in ("dice", "dice_all_pixels")]]
    assert ((scores >= 0) & (scores <= 1)).all().all()
    assert (table["train_dice_all_pixels"] != table["train_dice"]).all()
    assert (table["test_loss"] > 0).all()
    assert table["paper_test_loss"].tolist()[:3] == [0.0465, 0.3111, 0.0655]
    text = frame_table(table)
    assert "0.9946" in text
    assert "NaN" not in text
    assert len(text.splitlines()) == 2 + len(EXPERIMENTS)
    assert pd.read_csv(out / "experiments.csv")["experiment"].tolist() == [row.name for row in EXPERIMENTS]
    noise = pd.read_csv(out / "robustness.csv")
    assert [*noise] == ["experiment", "speckle_0", "speckle_0.2", "speckle_0.4", "speckle_0.8"]
    np.testing.assert_allclose(noise["speckle_0"], table["test_dice"])
    runs = {path.name for path in out.iterdir() if path.is_dir()}
    assert runs == {"1-mask", "2-mask", "3-landmark", "4-landmark", "5-mask", "6-mask"}
    for run in runs:
        config = load_config(out / run / "config.yaml")
        assert (config.band_iterations == 2) == (config.approach == "landmark")
        assert config.validation == "last"


def test_the_runs_of_experiments_are_whole(disc_store, tmp_path):
    landmarks = [experiment for experiment in FEW if experiment.name == "3: landmarks"]
    tables = repeat_rodriguez(
        disc_store.path, tmp_path / "out", scale=0.001, write=write_run, experiments=landmarks, **TINY
    )
    run = tmp_path / "out" / "1-landmark"
    names = {path.name for path in (run / "figures").iterdir()}
    assert {"curves.png", "overlay_test.png", "overlay_train.png"} <= names
    write_report(run, tmp_path / "report.html")
    assert "loss, as in the training" in (tmp_path / "report.html").read_text()
    before = json.loads((run / "metrics.json").read_text())
    assert before["test"]["loss"] == pytest.approx(tables["Experiments"]["test_loss"].item())
    after = load_run_data(run, device="cpu").evaluate("test").summary  # the same data, split and weights
    assert after["dice"] == before["test"]["dice"]
    # the loss of the last epoch's training images, with the last weights and without augmentation
    log = pd.read_csv(run / "log.csv")
    assert log["val_loss"].notna().all()


def test_noise_reduces_the_dice(disc_store, tmp_path):
    config = Config(approach="mask", epochs=40, **{**TINY, "width": 4})
    predictor, _ = run_experiment(config, disc_store, tmp_path / "run")
    table = robustness(predictor, disc_store)
    assert table["speckle"].is_monotonic_increasing
    assert table["dice"].iloc[0] > 0.8
    assert table["dice"].iloc[-1] < table["dice"].iloc[0]


def test_every_paper_has_its_function():
    for name in PAPERS:
        assert repeat_function(name).__name__ == f"repeat_{name}"


@pytest.mark.parametrize(("name", "approach"), [(name, approach) for name in PRESETS for approach in PRESETS[name]])
def test_presets_are_valid_configurations(name, approach):
    config = Config(approach=approach, **PRESETS[name][approach])
    assert load_config(None, approach=approach, preset=name) == dataclasses.replace(config, preset=name)


def test_the_landmarks_of_rodriguez_have_their_band():
    for settings in (PRESETS["rodriguez"]["landmark"], CHANGES["Rodríguez Valencia et al."]):
        assert (settings["band_kernel"], settings["band_iterations"], settings["radius"]) == (3, 2, 10)


def test_limit_of_images_does_not_change_the_test_set(disc_store):
    unlimited = Config(approach="mask").splits(disc_store.samples)
    limited = Config(approach="mask", images=5).splits(disc_store.samples)
    assert (limited == "train").sum() == 5
    np.testing.assert_array_equal(limited == "test", unlimited == "test")
    assert set(limited[unlimited == "train"]) == {"train", "unused"}
    other_seed = Config(approach="mask", images=5, seed=1).splits(disc_store.samples)
    assert (other_seed != limited).any()


def test_ablation_changes_one_setting_at_a_time(disc_store, tmp_path):
    changes = {
        "defaults": {},
        "mask": {"approach": "mask"},
        "width 2": {"width": 2},
        "chords": {"scheme": "anatomical"},
    }
    trainings, decodings = run_ablation(disc_store, tmp_path / "out", seeds=2, changes=changes, epochs=1, **TINY)
    # a change to the default is skipped, and so is the scheme "anatomical", which needs chords
    assert trainings[["change", "seed"]].to_numpy().tolist() == [
        ["defaults", 0], ["mask", 0], ["defaults", 1], ["mask", 1],
    ]  # fmt: skip
    assert trainings["landmark_error_px"].isna().tolist() == [False, True, False, True]
    default = Config()
    rows = decodings[(decodings["decode"] == default.decode) & (decodings["outline"] == default.outline)]
    np.testing.assert_array_equal(rows["dice"], trainings[trainings["change"] == "defaults"]["dice"])
    assert decodings["dice"].nunique() > 2
    text = ablation_table(trainings, ["change"]).splitlines()
    best = trainings.groupby("change")["dice"].mean().max()
    assert f"{best:.4f}" in text[2]
    assert (tmp_path / "out" / "trainings.csv").is_file()


@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_valid_configurations(change):
    Config(**CHANGES[change])
