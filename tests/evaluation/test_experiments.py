from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from echoseg.evaluation.ablation import CHANGES, run_ablation
from echoseg.evaluation.experiments import EXPERIMENTS, robustness, run_experiments
from echoseg.report.tables import ablation_table, experiments_table
from echoseg.training.config import Config
from echoseg.training.presets import PRESETS

pytestmark = pytest.mark.slow

TINY = {"size": (32, 32), "width": 2, "depth": 2, "batch_size": 8, "device": "cpu", "precision": "float32"}


def test_experiments_of_the_paper(disc_store, tmp_path):
    table = run_experiments(disc_store, tmp_path / "out", scale=0.01, **TINY)
    assert table["images"].tolist() == [32, 16, 8, 8, 16, 16]
    assert table["epochs"].tolist() == [20, 5, 5, 5, 5, 5]
    assert ((table.filter(like="dice") >= 0) & (table.filter(like="dice") <= 1)).all().all()
    assert table["train_dice_all_pixels"].iloc[0] > table["train_dice"].iloc[0]
    text = experiments_table(table)
    assert "0.9946 / 0.9862" in text
    assert len(text.splitlines()) == 2 + len(EXPERIMENTS)
    assert (tmp_path / "out" / "experiments.csv").is_file()
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()} == {
        "1-mask", "2-mask", "3-landmark", "4-landmark", "5-mask", "6-mask",
    }  # fmt: skip


def test_noise_reduces_the_dice(disc_store, tmp_path):
    longer = [dataclasses.replace(EXPERIMENTS[0], epochs=40, changes={"learning_rate": 3e-3, "loss": "dice_bce"})]
    run_experiments(disc_store, tmp_path / "out", experiments=longer, **{**TINY, "width": 4})
    table = robustness(tmp_path / "out" / "1-mask", disc_store, device="cpu")
    assert table["speckle"].is_monotonic_increasing
    assert table["dice"].iloc[0] > 0.8
    assert table["dice"].iloc[-1] < table["dice"].iloc[0]


@pytest.mark.parametrize(("name", "approach"), [(name, approach) for name in PRESETS for approach in PRESETS[name]])
def test_presets_are_valid_configurations(name, approach):
    Config(approach=approach, **PRESETS[name][approach])


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
