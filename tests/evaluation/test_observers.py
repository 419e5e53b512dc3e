"""Observers beside the model: on the images that several of them traced, measured alike."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pandas as pd
import pytest

import echoseg
from _folders import TRACED, chord_lines, ellipse_chords, write_folder
from echoseg.datasets.store import write_store
from echoseg.evaluation.comparison import OF_IMAGES, Method, compare_observers
from echoseg.evaluation.comparison_cases import Cases
from echoseg.evaluation.observers import observer_agreement
from echoseg.inference.predictor import Prediction
from echoseg.metrics.bootstrap import mean_interval
from echoseg.metrics.overlap import dice
from echoseg.models.codec import fill_contours
from echoseg.report.observer_table import observer_table

COUNT = 12


def moved(store, index, shift):
    return (store.contour(index) + np.float32(shift)).astype(np.float32)


@pytest.fixture(scope="module")
def store(disc_store, tmp_path_factory):
    """Six patients of ED and ES; A traced all images, B all but the last two, C the first four."""
    phases, patients = ["ED", "ES"] * 6, [f"p{i // 2}" for i in range(COUNT)]
    samples = disc_store.samples.iloc[:COUNT].drop(columns="blank").assign(phase=phases, patient=patients)
    contours = [disc_store.contour(i) for i in range(COUNT)]
    shifts = {"A": (range(10), 0), "B": (range(10), 1), "C": (range(4), 2)}
    observers = {name: {i: moved(disc_store, i, shift) for i in traced} for name, (traced, shift) in shifts.items()}
    path = tmp_path_factory.mktemp("observers") / "store"
    return write_store(path, np.array(disc_store.frames[:COUNT]), contours, samples, {}, observers)


def as_prediction(store, shift):
    contours = [moved(store, i, shift) for i in range(len(store))]
    return Prediction(contours, np.ones(len(store), np.int64), np.zeros((len(store), *store.size), np.float32))


@pytest.mark.slow
def test_each_pair_is_measured_on_the_images_of_both(store):
    prediction = as_prediction(store, 3)
    entries = observer_agreement(store, np.arange(COUNT), prediction)["observers"]
    pairs = [(entry["first"], entry["second"], entry["images"], entry["patients"]) for entry in entries]
    assert pairs == [
        *(("model", "A", 10, 5), ("model", "B", 10, 5), ("model", "C", 4, 2)),
        *(("A", "B", 10, 5), ("A", "C", 4, 2), ("B", "C", 4, 2)),
    ]
    masks = [fill_contours([moved(store, i, shift) for i in range(10)], store.size) for shift in (0, 1)]
    scores = dice(*masks)
    assert entries[3]["dice"] == pytest.approx(scores.mean())
    assert entries[3]["ci95"]["dice"] == pytest.approx(mean_interval(scores, store.samples["patient"][:10].to_numpy()))
    by_shift = [entry["hd95_px"] for entry in entries[:3]]
    assert by_shift == sorted(by_shift, reverse=True)  # the model is moved most from A
    assert entries[3]["ef"]["videos"] == 5
    assert entries[3]["ef"]["mae"] == pytest.approx(0, abs=1e-3)  # the same contours, elsewhere


def test_only_images_of_several_observers_count(store):
    prediction = as_prediction(store, 0)
    last = np.array([10, 11])
    assert observer_agreement(store, last, prediction.take(last)) == {}
    part = np.array([9, 10, 11])
    entries = observer_agreement(store, part, prediction.take(part))["observers"]
    assert [(entry["first"], entry["second"], entry["images"]) for entry in entries] == [
        *(("model", "A", 1), ("model", "B", 1), ("A", "B", 1))
    ]
    assert "ef" not in entries[0]
    alone = dataclasses.replace(store, observers={})
    assert observer_agreement(alone, np.arange(COUNT), prediction) == {}


@pytest.mark.slow
def test_table_of_observers(store):
    metrics = observer_agreement(store, np.arange(COUNT), as_prediction(store, 1))
    header, rows = observer_table(metrics)
    assert header[:3] == ["observers", "images", "foreground Dice"]
    assert [row[0] for row in rows][:2] == ["model and A", "model and B"]
    assert rows[1][2] == "1.0000 (1.0000–1.0000)"
    assert all(len(row) == len(header) for row in rows)
    assert observer_table({}) == ([], [])


def test_a_comparison_has_further_observers_as_methods(store):
    cases = Cases(store, np.arange(COUNT), store.samples)
    values = pd.DataFrame(dict.fromkeys(OF_IMAGES, np.linspace(0.5, 1, COUNT)))
    table = compare_observers(cases, [Method("run", [], values, pd.DataFrame())])
    assert table["observer"].unique().tolist() == ["B", "C"]  # A's contours are the true ones
    rows = table[(table["observer"] == "B") & (table["measure"] == "dice")].set_index("method")
    assert rows["cases"].tolist() == [10, 10]
    assert rows.loc["run", "mean"] == pytest.approx(values["dice"][:10].mean())
    masks = [fill_contours([moved(store, i, shift) for i in range(10)], store.size) for shift in (0, 1)]
    assert rows.loc["observer B", "mean"] == pytest.approx(dice(*masks).mean())
    assert compare_observers(cases.take(np.array([10, 11])), [Method("run", [], values, pd.DataFrame())]).empty


def test_distances_of_observers_have_the_unit_of_all_images(store):
    """In pixels, if the spacing of any image is unknown, even of one that a further observer has not traced."""
    known = np.where(np.arange(COUNT) < COUNT - 1, 0.1, np.nan)
    tables = []
    for spacing in (known, np.nan):
        cases = Cases(store, np.arange(COUNT), store.samples.assign(spacing_y=spacing, spacing_x=spacing))
        values = pd.DataFrame(dict.fromkeys(OF_IMAGES, np.linspace(0.5, 1, COUNT)))
        tables.append(compare_observers(cases, [Method("run", [], values, pd.DataFrame())]))
    assert set(tables[0].loc[tables[0]["measure"] == "hd95", "unit"]) == {"px"}
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.slow
def test_observers_of_a_data_set_are_evaluated_and_compared(tmp_path):
    data = write_folder(tmp_path / "data")
    lines = ["FileName,X1,Y1,X2,Y2,Frame,Observer"]
    for observer, wider in (("A", 0), ("B", 1)):
        for name in "abc":
            for frame, width in zip(TRACED, (6, 9), strict=True):
                rows = ellipse_chords(radii=(width + wider, 14.0))
                lines += [f"{line},{observer}" for line in chord_lines(name, frame, rows)]
    (data / "VolumeTracings.csv").write_text("\n".join(lines) + "\n")
    tiny = {"size": (32, 32), "width": 4, "depth": 2, "epochs": 1, "device": "cpu", "landmarks": 5, "batch_size": 4}
    run = echoseg.train(data, out=tmp_path / "run", **tiny)
    entries = run.metrics["test"]["observers"]
    assert [(entry["first"], entry["second"]) for entry in entries] == [("model", "A"), ("model", "B"), ("A", "B")]
    assert [entry["images"] for entry in entries] == [2, 2, 2]
    assert 0.85 < entries[2]["dice"] < 0.97
    (tmp_path / "masks").mkdir()
    assert cv2.imwritemulti(str(tmp_path / "masks" / "c.tif"), [np.zeros((40, 48), np.uint8)] * 8)
    echoseg.compare([run], masks={"empty": tmp_path / "masks"}, out=tmp_path / "out", device="cpu")
    table = pd.read_csv(tmp_path / "out" / "observers.csv")
    assert table["method"].unique().tolist() == ["run", "empty", "observer B"]
    assert "2 images of 1 patient, traced by observer B too." in (tmp_path / "out" / "comparison.md").read_text()
