"""Volumes of a split against shapes of known volume, their agreement, and post-processing with temporal context."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from _folders import write_folder
from _predictions import of_probabilities
from echoseg.datasets.echonet import read_echonet
from echoseg.datasets.store import prepare
from echoseg.evaluation.ejection import (
    _pairs,
    agreements,
    single_view_volumes,
    traced_volumes,
    video_volumes,
    warn_of_unpaired,
)
from echoseg.evaluation.evaluate import evaluate
from echoseg.evaluation.postprocess_ablation import postprocess_ablation
from echoseg.geometry.discs import biplane_volumes
from echoseg.geometry.ragged import pad_contours
from echoseg.metrics.agreement import agreement
from echoseg.models.codec import MaskCodec
from echoseg.ops import fill_polygons
from echoseg.training.config import Config

MASK = MaskCodec()
numbers = st.integers(-10_000, 10_000).map(lambda n: n / 10) | st.just(np.nan)


def perfect_prediction(store):
    return of_probabilities(fill_polygons(pad_contours(store.points, store.offsets), store.size))


class GreyLevelPredictor:
    """A predictor that returns grey levels as probabilities."""

    codec, calibration = MASK, None

    def __init__(self, size=(40, 48)):
        # a Config cannot have this size, which is not a multiple of 16
        self.config = SimpleNamespace(size=size, fov_mm=None, splits=Config().splits)

    def __call__(self, source):
        frames = source if isinstance(source, np.ndarray) else source.frames
        return of_probabilities(frames / np.float32(255))


@settings(max_examples=50)
@given(hnp.arrays(np.float64, st.tuples(st.just(2), st.integers(0, 8)), elements=numbers))
def test_agreement_equals_its_definitions(values):
    measured, reference = values
    entry = agreement(measured, reference, np.arange(len(reference)))
    pairs = [(m, r) for m, r in zip(measured, reference, strict=True) if m == m and r == r]
    assert entry["videos"] == len(pairs)
    assert entry["missing"] == sum(r == r for r in reference) - len(pairs)
    if not pairs:
        assert entry["mae"] is entry["rmse"] is entry["bias"] is entry["limits"] is entry["r2"] is None
        return
    errors = [m - r for m, r in pairs]
    bias = sum(errors) / len(pairs)
    assert entry["mae"] == pytest.approx(sum(map(abs, errors)) / len(pairs))
    assert entry["rmse"] == pytest.approx((sum(e * e for e in errors) / len(pairs)) ** 0.5)
    assert entry["bias"] == pytest.approx(bias, abs=1e-9)
    if len(pairs) > 1:
        deviation = (sum((e - bias) ** 2 for e in errors) / (len(pairs) - 1)) ** 0.5
        assert entry["limits"] == pytest.approx([bias - 1.96 * deviation, bias + 1.96 * deviation], abs=1e-6)
    mean = sum(r for _, r in pairs) / len(pairs)
    spread = sum((r - mean) ** 2 for _, r in pairs)
    if entry["r2"] is not None and spread > 1e-6:
        assert entry["r2"] == pytest.approx(1 - sum(e * e for e in errors) / spread)


def test_r2_without_variance_of_the_reference():
    assert (
        agreement(np.array([1.0, 2, 3]), np.full(3, 0.1), np.arange(3))["r2"] is None
    )  # in floating point, the mean is not 0.1
    assert agreement(np.array([5.0, 7]), np.array([5.0, 7]), np.arange(2))["r2"] == 1


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "data")


@pytest.mark.parametrize("size", [(40, 48), (160, 96)])
def test_traced_volumes_equal_those_of_the_ellipses_at_any_size(folder, size):
    store = prepare(folder, size=size)
    table = traced_volumes(store, np.arange(len(store)), perfect_prediction(store))
    assert table["video"].tolist() == ["a", "b", "c"]
    assert table["unit"].tolist() == ["px3"] * 3
    wide, narrow = 9.0 + np.arange(3), 6.0 + np.arange(3)
    np.testing.assert_allclose(table["true_edv"], 4 / 3 * np.pi * wide**2 * 14, rtol=0.05)
    np.testing.assert_allclose(table["true_ef"], 100 * (1 - (narrow / wide) ** 2), atol=0.5)
    np.testing.assert_allclose(table["edv"], table["true_edv"], rtol=0.1)
    np.testing.assert_allclose(table["ef"], table["true_ef"], atol=5)
    np.testing.assert_allclose(table["ef_area_length"], table["true_ef"], atol=7)
    assert table["listed_ef"].tolist() == [55.5, 56.5, 57.5]
    entries = agreements(table)
    assert entries.keys() == {"ef", "ef_method"}  # px³ are not compared with ml
    assert entries["ef_method"]["bias"] == pytest.approx((table["true_ef"] - table["listed_ef"]).mean())


def test_two_views_of_a_patient_give_one_biplane_row(folder):
    store = prepare(folder, size=(40, 48))
    views = store.samples["video"].map({"a": "A4C", "b": "A2C", "c": "A4C"})
    samples = store.samples.assign(view=views, patient=store.samples["video"].map({"a": "p", "b": "p", "c": "q"}))
    without_spacing = dataclasses.replace(store, samples=samples)
    store = dataclasses.replace(store, samples=samples.assign(spacing_y=2.0, spacing_x=2.0))
    indices = np.arange(len(store))
    assert len(traced_volumes(without_spacing, indices, perfect_prediction(store))) == 3
    table = traced_volumes(store, indices, perfect_prediction(store))
    assert table[["video", "patient", "view", "unit"]].to_numpy().tolist() == [
        ["c", "q", "A4C", "ml"],
        ["a+b", "p", "biplane", "ml"],
    ]
    ed = np.flatnonzero(samples["phase"] == "ED")[:2]
    contours = [2 * store.contour(i)[None] for i in ed]
    ends = [np.stack([c[:, [0, -1]].mean(axis=1), c[:, [8, 9]].mean(axis=1)], axis=1) for c in contours]
    assert table["true_edv"][1] == pytest.approx(biplane_volumes(*contours, *ends)[0] / 1000)
    assert table["true_ef"][1] == pytest.approx(100 * (1 - 6 * 7 / (9 * 10)), abs=0.5)
    assert agreements(table).keys() == {"ef", "ef_method", "edv", "edv_method", "esv", "esv_method"}


def test_single_frame_files_are_paired_and_stacks_and_short_axis_views_are_left_out(folder):
    store = prepare(folder, size=(40, 48))
    expected = traced_volumes(store, np.arange(len(store)), perfect_prediction(store))
    single = store.samples.assign(patient=store.samples["video"], video=store.samples["video"] + store.samples["phase"])
    table = traced_volumes(dataclasses.replace(store, samples=single), np.arange(len(store)), perfect_prediction(store))
    pd.testing.assert_frame_equal(table.drop(columns="video"), expected.drop(columns="video"))
    assert table["video"].tolist() == ["aED", "bED", "cED"]
    for columns in ({"thickness": 8.0}, {"view": "PSAX"}):
        without_long_axis = dataclasses.replace(store, samples=store.samples.assign(**columns))
        empty = traced_volumes(without_long_axis, np.arange(len(store)), perfect_prediction(store))
        assert list(empty) == list(expected)
        assert empty.empty
        assert agreements(empty) == {}


def test_an_ed_and_an_es_image_of_which_one_has_a_spacing_give_no_ef(folder, caplog):
    store = prepare(folder, size=(40, 48))
    samples = store.samples.assign(
        patient=store.samples["video"], video=store.samples["video"] + store.samples["phase"]
    )
    known = np.where(samples["video"].isin(["aED", "bED", "bES"]), 2.0, np.nan)
    store = dataclasses.replace(store, samples=samples.assign(spacing_y=known, spacing_x=known))
    with caplog.at_level("WARNING", logger="echoseg"):
        volumes = evaluate(GreyLevelPredictor(), store, "all").volumes
        single = single_view_volumes(store, np.arange(len(store)), perfect_prediction(store))
    for table in (volumes, single):
        assert table[["video", "unit"]].to_numpy().tolist() == [["bED", "ml"], ["cED", "px3"]]
    (message,) = caplog.messages
    assert message.startswith("no EF of a: only one of the two images")


def test_of_several_images_of_a_patient_the_only_two_with_a_spacing_are_paired(folder):
    store = prepare(folder, size=(40, 48))
    samples = store.samples.assign(patient="p", video=store.samples["video"] + store.samples["phase"])
    indices, expected = np.arange(len(store)), {("bES", "bED"): "bED", ("aES", "cED"): "cED"}
    for known, video in expected.items():
        spacing = np.where(samples["video"].isin(known), 2.0, np.nan)
        chosen = dataclasses.replace(store, samples=samples.assign(spacing_y=spacing, spacing_x=spacing))
        table = traced_volumes(chosen, indices, perfect_prediction(chosen))
        assert table[["video", "unit"]].to_numpy().tolist() == [[video, "ml"]]


@pytest.mark.parametrize("visits", [("visit1", "visit2", "visit3"), ("rest", "stress", "post"), ("t1", "t2", "time3")])
def test_images_of_several_visits_are_paired_by_their_names_and_never_across_visits(folder, caplog, visits):
    store = prepare(folder, size=(40, 48))
    visits = dict(zip("abc", (f"{visit}_4CH" for visit in visits), strict=True))
    video = "anna_" + store.samples["video"].map(visits) + "_" + store.samples["phase"]
    named = store.samples.assign(patient="anna", view="A4C", video=video)
    chosen = dataclasses.replace(store, samples=named)
    expected = traced_volumes(store, np.arange(len(store)), perfect_prediction(store))
    table = traced_volumes(chosen, np.arange(len(store)), perfect_prediction(chosen))
    assert table["video"].tolist() == [f"anna_{visits[name]}_ED" for name in expected["video"]]
    np.testing.assert_array_equal(table["ef"], expected["ef"])

    by_visit = dict(zip(video, range(len(named)), strict=True))
    apart = named.iloc[[by_visit[f"anna_{visits['a']}_ED"], by_visit[f"anna_{visits['b']}_ES"]]]
    numbered = named.assign(video=[f"anna_{number}" for number in range(len(named))])
    with caplog.at_level("WARNING", logger="echoseg"):
        for samples, pairs, warnings in (
            (named[video != f"anna_{visits['a']}_ES"], 2, 0),
            (apart, 0, 1),
            (numbered, 0, 1),
            (numbered.iloc[:2], 1, 0),
        ):
            caplog.clear()
            warn_of_unpaired(samples)
            assert len(_pairs(samples)) == pairs
            assert len(caplog.messages) == warnings
            assert all(
                message.startswith("no EF of anna/A4C: which ED belongs to which ES") for message in caplog.messages
            )


@pytest.mark.parametrize(("names", "views"), [
    ({"a": "anna_visit1_4CH", "b": "anna_visit2_2CH", "c": "anna_visit2_4CH"}, ["A4C", "biplane"]),
    ({"a": "anna_visit1_4CH", "b": "anna_visit2_2CH", "c": "bert_4CH"}, ["A4C", "A2C", "A4C"]),
    ({"a": "x1", "b": "x2", "c": "bert_4CH"}, ["A4C", "biplane"]),
])  # fmt: skip
def test_views_are_combined_within_an_examination(folder, names, views):
    store = prepare(folder, size=(40, 48))
    stem = store.samples["video"].map(names)
    samples = store.samples.assign(
        patient=stem.str.startswith("bert").map({True: "bert", False: "anna"}),
        view=store.samples["video"].map({"a": "A4C", "b": "A2C", "c": "A4C"}),
        video=stem + np.where(stem.str.startswith("x"), "", "_" + store.samples["phase"]),
        spacing_y=2.0,
        spacing_x=2.0,
    )
    store = dataclasses.replace(store, samples=samples)
    assert traced_volumes(store, np.arange(len(store)), perfect_prediction(store))["view"].tolist() == views


def test_whole_videos_of_both_views_of_a_patient_keep_their_traced_ef(folder):
    store = prepare(folder, size=(40, 48))
    views = {"a": "A4C", "b": "A2C", "c": "A4C"}
    unknown = dict.fromkeys(("ef", "edv", "esv"), np.nan)
    recordings = {
        recording.name: dataclasses.replace(recording, view=views[recording.name], patient="p", **unknown)
        for recording in read_echonet(folder).recordings
    }
    samples = store.samples.assign(
        view=store.samples["video"].map(views), patient="p", spacing_y=2.0, spacing_x=2.0, **unknown
    )
    samples.loc[samples["video"] == "c", "patient"] = "q"
    store = dataclasses.replace(store, samples=samples)
    evaluation = evaluate(GreyLevelPredictor(), store, "all", recordings=recordings, whole_videos=True)
    assert evaluation.volumes["video"].tolist() == ["c", "a+b"]
    assert evaluation.videos["video"].tolist() == ["a", "b", "c"]
    assert evaluation.videos["true_ef"].notna().all()


def test_volumes_of_whole_videos_are_means_over_beats(folder):
    names = ("a", "b")
    widths = 12 + 4 * np.cos(np.linspace(0, 4 * np.pi, 81))
    for name in names:
        path = str(folder / "Videos" / f"{name}.avi")
        writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 50, (112, 112), isColor=True)
        for width in widths:
            frame = np.zeros((112, 112, 3), np.uint8)
            cv2.ellipse(frame, (56, 56), (round(2 * width), 44), 0, 0, 360, (255, 255, 255), -1)
            writer.write(frame)
        writer.release()
    recordings = read_echonet(folder).recordings  # video "c" has eight dark frames and no beat
    traced = pd.DataFrame({"video": ["a"], "true_edv": [4.0], "true_esv": [1.0], "true_ef": [75.0]})
    contours = {"a": {0: np.float32([[56, 12], [88, 56], [56, 100], [24, 56]])}}  # inside the ellipse of frame 0
    table = video_volumes(GreyLevelPredictor(), recordings, traced, contours)
    assert table["beats"].tolist() == [2, 2, 0]
    np.testing.assert_allclose(table["ef"], [75, 75, np.nan], atol=2)
    np.testing.assert_allclose(table["true_ef"], [75, np.nan, np.nan])
    assert (table["neighbour_dice"][:2] > 0.9).all()
    assert table["dice"][0] == pytest.approx(4 / (2 + np.pi), abs=0.02)  # a rhombus in its ellipse
    assert table["dice"][1:].isna().all()
    assert (table["area_jitter_percent"][:2] < 3).all()
    entry = agreements(table, "_videos")["ef_videos"]
    assert (entry["videos"], entry["missing"]) == (2, 1)
    assert table["error"].tolist() == ["", "", ""]

    path = folder / "Videos/a.avi"
    path.write_bytes(path.read_bytes()[:2000])
    truncated = video_volumes(GreyLevelPredictor(), recordings, traced, contours)
    assert truncated["error"][0]
    assert str(folder) not in truncated["error"][0]
    assert truncated["beats"].tolist() == [0, 2, 0]
    np.testing.assert_allclose(truncated["ef"], [np.nan, 75, np.nan], atol=2)


def test_evaluation_with_steps(folder):
    store = prepare(folder, size=(40, 48))
    default = evaluate(GreyLevelPredictor(), store, "all")
    assert default.summary["dice"] > 0.1  # the grey level of frames 5 is above 0.5, that of frames 2 is below
    assert "postprocess" not in default.summary
    threshold = evaluate(GreyLevelPredictor(), store, "all", steps=["threshold=0.2"])
    assert threshold.summary["dice"] > default.summary["dice"] + 0.1
    assert threshold.summary["postprocess"] == ["threshold=0.2"]


def test_postprocess_ablation(folder):
    store = prepare(folder, size=(40, 48))
    table = postprocess_ablation(GreyLevelPredictor(), store, "all")
    table = table.set_index("step")
    assert table.loc["none", ["gain", "gain_low", "gain_high"]].tolist() == [0, 0, 0]
    # frame 5 of each video has the grey level 0.57 everywhere, frame 2 has 0.27
    assert table.loc["threshold=0.3", "gain"] == 0
    assert table.loc["threshold=0.6", "gain"] == -table.loc["none", "dice"]
    assert table.loc["threshold=0.6", "gain_low"] < table.loc["threshold=0.6", "gain"]
    assert table.loc["threshold=0.6", "gain"] < table.loc["threshold=0.6", "gain_high"] < 0
    assert table.loc["closing=3", "dice"] == table.loc["none", "dice"]
