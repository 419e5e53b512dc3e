"""What the plan chooses from the data, and that settings that are given are kept."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from echoseg.datasets.store import write_store
from echoseg.errors import DataError
from echoseg.training.config import SHIPPED, Config
from echoseg.training.config_file import load_config
from echoseg.training.loop import train
from echoseg.training.plan import FEW_TO_INIT, make_plan
from echoseg.training.presets import PRESETS

CPU = torch.device("cpu")
TINY = {"size": (32, 32), "width": 4, "depth": 2, "device": "cpu"}
SHORT_AXIS = {"rotation": 180.0, "shift": 0.15, "flip": 0.5, "gain": 0.4, "shade": 0.4, "gamma": 0.4, "noise": 0.1}
OTHERS = {"rotation": 20.0, "shift": 0.1, "flip": 0.0, "gain": 1.0, "shade": 1.5, "gamma": 0.5, "noise": 0.2}


def tiny(**settings):
    return Config(**{**TINY, **settings})


def plan(store, **settings):
    return make_plan(tiny(**settings), store, CPU)


def augmentation(config):
    return {name: getattr(config, name) for name in SHORT_AXIS}


def with_samples(store, **columns):
    return dataclasses.replace(store, samples=store.samples.assign(**columns))


def stretched(store, path, factor, **columns):
    """The store with contours that are longer by a factor."""
    contours = [(store.contour(i) - 16) * (0.9, 0.9 * factor) + 16 for i in range(len(store))]
    samples = store.samples.drop(columns="blank").assign(**columns)
    return write_store(path, np.array(store.frames), [c.astype(np.float32) for c in contours], samples, {})


def test_round_contours_are_taken_for_slices_of_the_short_axis(disc_store, tmp_path):
    assert augmentation(plan(disc_store).config) == SHORT_AXIS
    long = stretched(disc_store, tmp_path / "long", 1.6)
    assert augmentation(plan(long).config) == OTHERS
    # in the frames of the store they are long, but the pixels or the original frames are flat
    flat = with_samples(long, spacing_x=1.6, spacing_y=1.0)
    assert augmentation(plan(flat).config) == SHORT_AXIS
    wide = with_samples(long, crop_width=160, crop_height=100)
    assert augmentation(plan(wide).config) == SHORT_AXIS


@pytest.mark.parametrize(
    ("views", "expected"),
    [(["SAX"], SHORT_AXIS), (["PSAX", ""], SHORT_AXIS), (["A4C"], OTHERS), (["PSAX", "A4C"], OTHERS)],
)
def test_a_view_that_the_data_name_counts_more_than_the_shape(disc_store, tmp_path, views, expected):
    cells = views * (48 // len(views))
    stores = disc_store, stretched(disc_store, tmp_path / "long", 1.6)
    for store in stores:
        assert augmentation(plan(with_samples(store, view=cells)).config) == expected


def test_few_patients_are_all_trained_on(disc_store):
    few, enough = (with_samples(disc_store, split="", patient=list("abcdefgh"[:n]) * (48 // n)) for n in (4, 8))
    chosen = plan(few)
    assert chosen.config.validation == "none"
    assert chosen.choices["validation"].reason.startswith("4 patients, too few")
    assert "--folds" in chosen.choices["validation"].reason
    assert plan(enough).config.validation == "split"
    assert plan(few, split_shares=(0.5, 0.25, 0.25)).config.validation == "split"
    named = with_samples(few, split=few.samples["patient"].map({"a": "test", "b": "val", "c": "train", "d": "train"}))
    assert plan(named).config.validation == "split"
    assert plan(few, validation="split").config.validation == "split"
    assert plan(few, patience=3).config.validation == "split"
    with pytest.raises(DataError, match=r"patience 3 .* validation is none; leave out patience, or set"):
        plan(few, patience=3, validation="none")


def init_of(store, **settings):
    return make_plan(Config(**{"device": "cpu", **settings}), store, CPU).config.init


def rate_of(store, **settings):
    return make_plan(Config(**{"device": "cpu", **settings}), store, CPU).config.learning_rate


@pytest.mark.slow
def test_few_patients_in_apical_views_start_from_the_weights_that_ship(disc_store, tmp_path):
    """The store names its splits: 32 of its 48 images are for training."""
    apical = with_samples(stretched(disc_store, tmp_path / "long", 1.6), view="A4C")
    training = apical.samples["split"].str.upper() == "TRAIN"

    def with_patients(count):
        names = np.where(training, np.cumsum(training) % count, 100 + np.arange(48)).astype(str)
        return with_samples(apical, patient=names)

    few = with_patients(FEW_TO_INIT)
    assert init_of(few) == init_of(few, approach="mask") == SHIPPED
    assert init_of(few, landmarks=5) == SHIPPED
    assert rate_of(few) == 1e-3
    assert rate_of(few, init="runs/before") == 1e-3
    assert rate_of(with_samples(few, view="PSAX"), init="shipped") == 3e-3
    assert rate_of(few, learning_rate=0.1) == 0.1
    assert rate_of(few, init="none") == rate_of(disc_store) == 3e-3
    assert rate_of(few, folds=2) is None  # each fold has a plan of its own
    assert init_of(few, folds=2) is None  # each fold has a plan of its own
    assert init_of(few, init="none") == "none"
    assert init_of(few, width=8) == init_of(few, size=(64, 64)) == init_of(few, attention=True) == "none"
    assert init_of(few, preset="rodriguez", width=16) == "none"
    assert init_of(with_patients(FEW_TO_INIT + 1)) == "none"
    assert init_of(with_samples(few, view="PSAX")) == init_of(disc_store) == "none"
    for entry in ({"structure": "left atrium"}, {"source": "phantom version 3, seed 0"}):
        assert init_of(dataclasses.replace(few, manifest=few.manifest | entry)) == "none"


@pytest.mark.parametrize(("given", "reason"), [(None, "the default"), (0.01, "as given")])
def test_the_learning_rate_of_larger_batches_has_its_reason(disc_store, monkeypatch, given, reason):
    monkeypatch.setattr("echoseg.training.plan.choose_batch_size", lambda *_: 64)
    chosen = plan(disc_store, learning_rate=given)
    rate = given or 3e-3
    assert chosen.config.learning_rate == chosen.choices["learning_rate"].value == 2 * rate
    expected = f"{reason}; {rate:g} for 16 images, scaled to batches of 64"
    assert chosen.choices["learning_rate"].reason == expected
    assert plan(disc_store, learning_rate=given, batch_size=64).config.learning_rate == rate


def test_what_is_given_is_kept(disc_store):
    given = {"rotation": 5.0, "flip": 0.0, "noise": 0.0, "validation": "last", "epochs": 3, "precision": "bfloat16"}
    chosen = plan(disc_store, **given)
    assert {name: getattr(chosen.config, name) for name in given} == given
    assert not given.keys() & chosen.choices.keys()
    assert chosen.config.shift == SHORT_AXIS["shift"]
    assert make_plan(chosen.config, disc_store, CPU).config == chosen.config  # as when a run is resumed


@pytest.mark.parametrize(("name", "approach"), [(name, approach) for name in PRESETS for approach in PRESETS[name]])
def test_presets_are_kept(disc_store, name, approach):
    config = load_config(None, preset=name, approach=approach)
    chosen = make_plan(config, disc_store, CPU)
    given = PRESETS[name][approach]
    assert {setting: getattr(chosen.config, setting) for setting in given} == given
    assert set(augmentation(chosen.config).values()) == {0.0}


def test_a_run_says_why_and_keeps_it(disc_store, tmp_path, caplog):
    caplog.set_level("INFO", logger="echoseg")
    store = with_samples(disc_store, split="", patient=list("abcd") * 12)
    train(tiny(epochs=1), store, tmp_path / "run")
    lines = [message for message in caplog.messages if message.startswith("plan: ")]
    assert "plan: rotation 180 (slices of the short axis have no fixed orientation; round contours" in lines[1]
    assert len(lines) == len(SHORT_AXIS) + 1  # and the validation
    saved = json.loads((tmp_path / "run" / "plan.json").read_text())
    config = load_config(tmp_path / "run" / "config.yaml")
    assert saved.keys() >= {*SHORT_AXIS, "validation", "batch_size", "precision", "scheme", "landmarks", "fov_mm"}
    for name, choice in saved.items():
        assert choice["value"] == config.values()[name]
        assert choice["reason"]


def test_the_number_of_epochs_is_a_line_of_the_plan(disc_store):
    assert "plan: epochs 400 (12,800 images, at least 10 epochs; an epoch has 32)" in plan(disc_store).lines()


def test_folds_do_not_use_the_splits_of_the_data(disc_store):
    few = with_samples(disc_store, patient=(np.arange(48) // 8).astype(str))
    assert "VAL" in few.samples["split"].str.upper().tolist()
    validations = [make_plan(Config(device="cpu", folds=folds), few, CPU).config.validation for folds in (None, 3)]
    assert validations == ["split", "none"]
