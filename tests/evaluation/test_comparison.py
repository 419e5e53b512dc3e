"""Runs and masks of other tools are compared on images that no run was trained on."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pandas as pd
import pytest

import echoseg
from _commands import files
from _folders import write_folder
from _masks import save_image, save_nifti
from echoseg.datasets.store import write_store
from echoseg.errors import DataError
from echoseg.evaluation.comparison_cases import choose_cases, load_compared_runs
from echoseg.ops import fill_polygons

pytestmark = pytest.mark.slow
TINY = {"size": (32, 32), "width": 4, "depth": 2, "batch_size": 8, "epochs": 1, "device": "cpu", "landmarks": 5}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("compared")


@pytest.fixture(scope="module")
def store(disc_store, place):
    """24 patients of two images each; four are for validation, four for the test."""
    count = len(disc_store)
    patients, phases = [f"p{i // 2:02d}" for i in range(count)], ["ED", "ES"] * (count // 2)
    samples = disc_store.samples.drop(columns="blank").assign(patient=patients, phase=phases)
    contours = [disc_store.contour(i) for i in range(count)]
    return write_store(place / "data", np.array(disc_store.frames), contours, samples, {})


@pytest.fixture(scope="module")
def runs(store, place):
    """A landmark and a mask run with the same test split."""
    return [echoseg.train(store, approach=name, out=place / name, **TINY) for name in ("landmark", "mask")]


@pytest.fixture(scope="module")
def compared(runs, place):
    return echoseg.compare(runs, out=place / "compared", device="cpu")


def row_of(table, measure, method):
    (row,) = table[(table["measure"] == measure) & (table["method"] == method)].to_dict("records")
    return row


def test_the_measures_are_those_of_the_evaluation(runs, compared, place):
    """The frames of the store are as large as the original ones."""
    for run in runs:
        metrics = run.metrics["test"]
        row = row_of(compared, "dice", run.path.name)
        assert (row["cases"], row["patients"]) == (metrics["images"], metrics["patients"])
        assert row["mean"] == pytest.approx(metrics["dice"], abs=1e-4)
        for name in ("hd95", "assd"):
            assert row_of(compared, name, run.path.name)["mean"] == pytest.approx(metrics[f"{name}_px"], abs=1e-3)
    cases = pd.read_csv(place / "compared" / "cases.csv").pivot(index="case", columns="method", values="dice")
    row = row_of(compared, "dice", "mask")
    assert row["difference"] == pytest.approx((cases["mask"] - cases["landmark"]).mean(), abs=1e-6)
    assert row["difference_low"] < row["difference"] < row["difference_high"]
    assert row["better"] == (cases["mask"] > cases["landmark"]).sum()
    assert np.isnan(row_of(compared, "dice", "landmark")["difference"])


def test_what_is_written(compared, place):
    names = {"comparison.csv", "comparison.md", "groups.csv", "cases.csv", "volumes.csv"}
    figures = {"figures/differences.png", "figures/disagreements.png"}
    assert files(place / "compared") == names | figures
    written = pd.read_csv(place / "compared" / "comparison.csv").fillna({"unit": ""})
    assert written["method"].tolist() == ["landmark", "mask"] * 5
    assert written["measure"].unique().tolist() == ["dice", "nsd", "hd95", "assd", "ef_error"]
    pd.testing.assert_frame_equal(written, compared, check_dtype=False, rtol=1e-4)
    groups = pd.read_csv(place / "compared" / "groups.csv")
    assert {"phase", "true area"} <= set(groups["by"])


def test_a_run_equals_its_own_masks(runs, compared, store, tmp_path):
    predict = echoseg.load(runs[1], device="cpu")
    for i, video in enumerate(store.samples["video"]):
        save_image(tmp_path / "masks" / f"{video}.png", predict(np.array(store.frames[i : i + 1])).masks[0])
    folders = {"own": tmp_path / "masks", "again": tmp_path / "masks"}
    table = echoseg.compare(runs[1:], masks=folders, out=tmp_path / "out", device="cpu")
    for measure in ("dice", "nsd", "hd95", "assd"):
        row = row_of(table, measure, "own")
        assert row["mean"] == pytest.approx(row_of(compared, measure, "mask")["mean"])
        assert (row["difference"], row["p"], row["p_holm"], row["better"], row["worse"]) == (0, 1, 1, 0, 0)
        assert row["equal"] == row["cases"]
    assert "Holm" in (tmp_path / "out" / "comparison.md").read_text()


@pytest.mark.parametrize(("value", "is_described"), [(1, False), (255, True)])
def test_volumes_are_compared(runs, store, tmp_path, value, is_described):
    """A volume is stored in another order than its frames, however its values are read."""
    for i, video in enumerate(store.samples["video"]):
        mask = fill_polygons(store.contour(i)[None], store.size)
        save_nifti(tmp_path / "masks" / f"{video}.nii.gz", mask * np.uint8(value))
    if is_described:
        (tmp_path / "masks" / "dataset.json").write_text('{"labels": {"background": 0, "LV": 1}}')
    table = echoseg.compare(runs[1:], masks={"volumes": tmp_path / "masks"}, out=tmp_path / "out", device="cpu")
    assert row_of(table, "dice", "volumes")["mean"] == pytest.approx(1, abs=1e-3)
    assert ("volumes: labels are scaled: 255 for 1" in (tmp_path / "out" / "comparison.md").read_text()) == is_described


def test_images_that_a_run_was_trained_on_are_left_out(runs, store, place, tmp_path):
    loaded = load_compared_runs(runs, device="cpu")
    test = choose_cases(loaded, "test")
    assert test.notes == ()
    np.testing.assert_array_equal(test.indices, np.flatnonzero(runs[0].config.splits(store.samples) == "test"))
    of_all = choose_cases(loaded, "all")  # as many, since the others are trained on
    np.testing.assert_array_equal(of_all.indices, test.indices)
    assert of_all.notes[0] == "landmark: 40 of 48 images are left out, of patients that it was trained or validated on"
    patient = store.samples["patient"].to_numpy()
    splits = np.where(patient == patient[test.indices[0]], "train", loaded[1].splits)
    other = dataclasses.replace(loaded[1], splits=splits)
    cases = choose_cases([loaded[0], other], "test")
    assert len(cases.indices) == len(test.indices) - 2
    assert cases.notes == ("mask: 2 of 8 images are left out, of patients that it was trained or validated on",)
    other = dataclasses.replace(loaded[1], splits=np.full(len(store), "train"))
    with pytest.raises(DataError, match=r"no image of split 'test' is fair to all runs; mask: 8 of 8 images"):
        choose_cases([loaded[0], other], "test")
    other = dataclasses.replace(loaded[1], splits=np.full(len(store), ""))  # trained on other data
    assert len(choose_cases([loaded[0], other], "test").indices) == 8
    assert len(choose_cases([other], "all").indices) == 48


def test_for_validation_all_runs_have_the_same_split(runs, store):
    loaded = load_compared_runs(runs, device="cpu")
    val = choose_cases(loaded, "val").indices
    np.testing.assert_array_equal(val, np.flatnonzero(runs[0].config.splits(store.samples) == "val"))
    other = dataclasses.replace(loaded[1], splits=np.where(np.arange(len(store)) == val[0], "train", loaded[1].splits))
    assert len(choose_cases([loaded[0], other], "val").indices) == len(val) - 1


def test_data_that_were_moved_are_known_again(runs, store, tmp_path):
    """By their frames and contours, so that no run is tested on what it has learned."""
    contours = [store.contour(i) for i in range(len(store))]
    copy = write_store(tmp_path / "copy", np.array(store.frames), contours, store.samples.drop(columns="blank"), {})
    (run, _) = load_compared_runs(runs, copy, device="cpu")
    np.testing.assert_array_equal(run.splits, runs[0].config.splits(store.samples))
    shorter = store.samples.drop(columns="blank").iloc[:24]
    other = write_store(tmp_path / "other", np.array(store.frames[:24]), contours[:24], shorter, {})
    assert set(load_compared_runs(runs, other, device="cpu")[0].splits) == {""}
    for data, is_own in ((None, True), (copy, True), (other, False)):
        split = "test" if is_own else "all"
        out = tmp_path / f"evaluated {data is None} {is_own}"
        assert echoseg.evaluate(runs[0], data, split, out=out, device="cpu")["own_data"] is is_own


def test_a_cross_validation_predicts_each_image_by_the_fold_that_has_not_seen_it(runs, store, place, tmp_path):
    pooled = echoseg.train(store, out=place / "pooled", folds=3, **TINY)
    table = echoseg.compare([pooled, runs[1]], out=tmp_path / "out", device="cpu")
    cases = pd.read_csv(tmp_path / "out" / "cases.csv")
    expected = pd.read_csv(pooled.path / "images_test.csv").set_index("video")["dice"]
    found = cases[cases["method"] == "pooled"].set_index("video")["dice"]
    np.testing.assert_allclose(found, expected[found.index], atol=1e-4)
    assert row_of(table, "dice", "mask")["cases"] == runs[1].metrics["test"]["images"]
    with pytest.raises(DataError, match="no image of split 'val' is fair"):
        echoseg.compare([pooled, runs[1]], split="val", out=tmp_path / "val", device="cpu")


def test_runs_of_other_sizes_are_compared_in_the_original_frames(place, tmp_path, monkeypatch):
    monkeypatch.setenv("ECHOSEG_CACHE", str(place / "cache"))
    data = write_folder(tmp_path / "data", tuple("abcdef"))
    small = echoseg.train(data, out=tmp_path / "small", **TINY)
    large = echoseg.train(data, out=tmp_path / "large", **(TINY | {"size": (40, 48)}))
    table = echoseg.compare([large, small], data, out=tmp_path / "out", films=1, device="cpu")
    metrics = large.metrics["test"]
    row = row_of(table, "dice", "large")
    assert (row["mean"], row["cases"]) == (pytest.approx(metrics["dice"], abs=1e-4), metrics["images"])
    assert row_of(table, "ef_error", "small")["cases"] == 2
    written = pd.read_csv(tmp_path / "out" / "volumes.csv")
    assert written["reference_ef"].tolist() == [57.5, 60.5] * 2  # as listed
    (film,) = (tmp_path / "out" / "films").iterdir()
    video = cv2.VideoCapture(str(film))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 8
    assert video.get(cv2.CAP_PROP_FRAME_WIDTH) == 2 * 48 * 11  # frames of 40 × 48 are enlarged
    store = echoseg.prepare(data, tmp_path / "store", size=(32, 32))
    (masks := tmp_path / "masks").mkdir()
    for name in store.samples["video"].unique():
        assert cv2.imwritemulti(str(masks / f"{name}.tif"), [np.zeros((40, 48), np.uint8)] * 8)
    with pytest.raises(DataError, match="films need whole videos"):
        echoseg.compare([small], store, masks={"empty": masks}, out=tmp_path / "y", films=1, device="cpu")


def test_what_cannot_be_compared_is_refused(runs, tmp_path):
    with pytest.raises(ValueError, match="another run"):
        echoseg.compare(runs[:1], out=tmp_path / "out")
    with pytest.raises(DataError, match="'mask' is the name of a run"):
        echoseg.compare(runs, masks={"mask": tmp_path}, out=tmp_path / "out")
    with pytest.raises(DataError, match="is given twice"):
        echoseg.compare([runs[0], runs[0]], out=tmp_path / "out")
    with pytest.raises(DataError, match="no run folder"):
        echoseg.compare([runs[0], tmp_path], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
