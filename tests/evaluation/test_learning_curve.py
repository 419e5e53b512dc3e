"""The test Dice over the number of training images."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
import pytest

from echoseg.datasets.store import write_store
from echoseg.errors import DataError
from echoseg.evaluation.evaluate import evaluate
from echoseg.evaluation.learning_curve import learning_curve
from echoseg.inference.predictor import load
from echoseg.report.study_figures import learning_curve_figure
from echoseg.training.config_file import load_config

pytestmark = pytest.mark.slow

TINY = {"approach": "mask", "size": (32, 32), "width": 4, "depth": 2, "batch_size": 8, "precision": "float32"}


def test_more_images_give_a_better_dice(disc_store, tmp_path):
    out = tmp_path / "out"
    settings = {**TINY, "epochs": 25, "gain": 0.0, "shade": 0.0}
    table = learning_curve(disc_store.path, out, counts=(2, 32), seeds=2, device="cpu", **settings)
    assert table[["images", "seed"]].to_numpy().tolist() == [[2, 0], [2, 1], [32, 0], [32, 1]]
    means = table.groupby("images")["dice"].mean()
    assert means[32] > means[2]
    assert (table["dice_low"] <= table["dice"]).all()
    assert (table["dice"] <= table["dice_high"]).all()
    assert table["patients"].tolist() == table["images"].tolist()
    assert len(pd.read_csv(out / "learning_curve.csv")) == 4
    assert load_config(out / "2-images-seed-1" / "config.yaml").seed == 1
    learning_curve_figure(table, tmp_path / "curve.png")
    assert cv2.imread(str(tmp_path / "curve.png")).std() > 0
    with pytest.raises(FileExistsError):
        learning_curve(disc_store.path, out, device="cpu", **TINY)


def test_numbers_halve_and_their_images_are_nested(disc_store, tmp_path):
    table = learning_curve(disc_store.path, tmp_path / "out", seeds=1, device="cpu", epochs=1, **TINY)
    assert table["images"].tolist() == [4, 8, 16, 32]
    sets = []
    for count in (4, 8, 16, 32):
        config = load_config(tmp_path / "out" / f"{count}-images-seed-0" / "config.yaml")
        sets.append(set(disc_store.samples.index[config.splits(disc_store.samples) == "train"]))
    assert sets[0] < sets[1] < sets[2] < sets[3]


def test_the_numbers_are_those_of_the_images_that_are_learned(disc_store, tmp_path):
    """With six patients, none is held back for validation; the landmark approach leaves out blank slices."""
    samples = disc_store.samples.drop(columns="blank").assign(split="", patient=list("abcdef") * 8)
    blank = np.arange(48) < 8
    contours = [np.empty((0, 2), np.float32) if blank[i] else disc_store.contour(i) for i in range(48)]
    store = write_store(tmp_path / "data", np.array(disc_store.frames), contours, samples, {})
    settings = {**TINY, "approach": "landmark", "landmarks": 5, "epochs": 1}
    table = learning_curve(store.path, tmp_path / "out", seeds=1, device="cpu", **settings)
    for images, patients in zip(table["images"], table["patients"], strict=True):
        config = load_config(tmp_path / "out" / f"{images}-images-seed-0" / "config.yaml")
        assert (config.validation, config.data) == ("none", str(store.path))
        learned = (config.splits(store.samples) == "train") & ~blank
        assert np.count_nonzero(learned) == images
        assert store.samples["patient"][learned].nunique() == patients
    tested = evaluate(load(tmp_path / "out" / f"{table['images'].max()}-images-seed-0", device="cpu"), store, "test")
    assert table["images"].max() == 40 - tested.summary["images"]


def test_more_images_than_there_are_are_refused(disc_store, tmp_path):
    with pytest.raises(DataError, match="has 32 training images, but 33 were asked for"):
        learning_curve(disc_store.path, tmp_path / "out", counts=(33,), device="cpu", **TINY)
    assert not (tmp_path / "out").exists()
