"""Errors and intervals of the EF by band, and how a run is calibrated for them."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
import torch

import echoseg
from echoseg.evaluation.calibrate import calibrate
from echoseg.evaluation.ef_bands import ef_bands
from echoseg.evaluation.ejection import reference_ef, single_view_volumes
from echoseg.inference.predictor import EF_INTERVALS, IMAGE_DOMAIN
from echoseg.metrics.conformal import fit_ef_intervals, load_ef_intervals
from echoseg.phantom import write_phantom_store
from echoseg.training import checkpoint
from echoseg.training.config import Config


def test_bias_and_coverage_by_band_equal_their_definitions():
    table = pd.DataFrame(
        {
            "patient": list("abcdef"),
            "ef": [30.0, 35, 50, 60, np.nan, 60],
            "listed_ef": [32.0, np.nan, 51, 61, 50, np.nan],
            "true_ef": [0.0, 30, 0, 0, 0, np.nan],
            "ef_low": [31.0, 33, 40, np.nan, np.nan, 50],
            "ef_high": [36.0, 37, 50, np.nan, np.nan, 70],
        }
    )
    bands = ef_bands(table)
    assert list(bands) == ["all", "below 40", "40 to 55", "from 55"]
    assert bands["all"]["videos"] == 4
    assert bands["all"]["bias"] == pytest.approx((-2 + 5 - 1 - 1) / 4)
    assert bands["all"]["coverage"] == pytest.approx(1 / 3)
    low, high = bands["below 40"].pop("bias_ci95")
    assert low <= 1.5 <= high
    assert bands["below 40"] == {"videos": 2, "bias": 1.5, "coverage": 0.5, "width": 4.5}
    assert bands["40 to 55"]["coverage"] == 0
    assert bands["from 55"]["coverage"] is bands["from 55"]["width"] is None
    assert ef_bands(table.iloc[4:]) == {}


def write_run(folder, approach):
    """A run with random weights."""
    config = Config(approach=approach, landmarks=5, scheme="anatomical", width=2, depth=2, size=(32, 32), device="cpu")
    folder.mkdir()
    config.save(folder / checkpoint.CONFIG)
    torch.manual_seed(5)
    model = checkpoint.build(config)[0]
    with torch.no_grad():
        model.head.weight *= 50  # sharp peaks and masks, as after training
    checkpoint.save_weights(folder / checkpoint.BEST, model)
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_phantom_store(tmp_path_factory.mktemp("phantoms") / "store", patients=40, size=(32, 32), seed=3)


def with_validation(store, count):
    """The store with `count` patients for validation and the others for training."""
    names = sorted(store.samples["video"].unique())[:count]
    store.samples["split"] = np.where(store.samples["video"].isin(names), "VAL", "TRAIN")
    return store


@pytest.mark.slow
@pytest.mark.parametrize("approach", ["mask", "landmark"])
def test_a_run_is_calibrated_on_its_validation_split(approach, store, tmp_path):
    run = write_run(tmp_path / "run", approach)
    with_validation(store, 25)
    calibrate(run, store, device="cpu")
    predictor = echoseg.load(run, device="cpu")
    validation = np.flatnonzero(store.samples["split"] == "VAL")
    prediction = predictor(store.frames[validation])
    pairs = single_view_volumes(store, validation, prediction)
    deviations = pairs["ef_std"].to_numpy() if approach == "landmark" else None
    expected = fit_ef_intervals(pairs["ef"].to_numpy(), reference_ef(pairs).to_numpy(), deviations)
    assert load_ef_intervals(run / EF_INTERVALS) == prediction.ef_intervals == expected
    assert (expected.scaled is None) == (approach == "mask")
    assert (prediction.image_distances > 0).all()
    assert (predictor(np.full((3, 50, 60), 255, np.uint8)).image_distances > 1).all()


@pytest.mark.slow
def test_few_validation_patients_give_a_warning_and_no_intervals(store, tmp_path, caplog):
    run = write_run(tmp_path / "run", "landmark")
    with caplog.at_level(logging.WARNING, logger="echoseg"):
        calibrate(run, with_validation(store, 18), device="cpu")
        assert "they need 19 videos with ED and ES that were not trained on" in caplog.text
    assert not (run / EF_INTERVALS).exists()
    caplog.clear()
    calibrate(run, with_validation(store, 0), device="cpu")
    assert not caplog.text
    assert (run / IMAGE_DOMAIN).exists()
