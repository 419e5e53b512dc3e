from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from echoseg.inference.experiments import EXPERIMENTS, robustness, run_experiments
from echoseg.report.tables import experiments_table
from echoseg.training.config import Config
from echoseg.training.presets import PRESETS

TINY = {"size": (32, 32), "width": 2, "depth": 2, "batch_size": 8, "device": "cpu", "precision": "float32"}


def test_the_papers_table(disc_store, tmp_path):
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


def test_noise_harms(disc_store, tmp_path):
    learned = [dataclasses.replace(EXPERIMENTS[0], epochs=40, changes={"learning_rate": 3e-3, "loss": "dice_bce"})]
    run_experiments(disc_store, tmp_path / "out", experiments=learned, **{**TINY, "width": 4})
    table = robustness(tmp_path / "out" / "1-mask", disc_store, device="cpu")
    assert table["speckle"].is_monotonic_increasing
    assert table["dice"].iloc[0] > 0.8
    assert table["dice"].iloc[-1] < table["dice"].iloc[0]


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("approach", ["mask", "landmark"])
def test_presets_are_configurations(name, approach):
    Config(approach=approach, **PRESETS[name][approach])


def test_a_limit_of_images_leaves_the_test_set_alone(disc_store):
    whole = Config(approach="mask").splits(disc_store.samples)
    some = Config(approach="mask", images=5).splits(disc_store.samples)
    assert (some == "train").sum() == 5
    np.testing.assert_array_equal(some == "test", whole == "test")
    assert set(some[whole == "train"]) == {"train", "unused"}
    other = Config(approach="mask", images=5, seed=1).splits(disc_store.samples)
    assert (other != some).any()
