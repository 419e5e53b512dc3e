from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import reference
from echoseg.evaluation.ceiling import landmark_ceiling
from echoseg.metrics.bootstrap import mean_interval
from echoseg.metrics.landmark_error import landmark_error
from echoseg.metrics.overlap import dice, dice_all_pixels, iou
from echoseg.metrics.surface import surface_distances

shapes = st.tuples(st.just(2), st.integers(1, 3), st.integers(1, 7), st.integers(1, 7))
pairs = hnp.arrays(np.uint8, shapes, elements=st.integers(0, 1))


@settings(max_examples=60)
@given(pairs)
def test_overlap_equals_its_definition_on_sets_of_pixels(masks):
    predicted, true = masks
    for i in range(len(true)):
        a, b = set(np.flatnonzero(predicted[i])), set(np.flatnonzero(true[i]))
        assert dice(predicted, true)[i] == pytest.approx(2 * len(a & b) / (len(a) + len(b)) if a | b else 1)
        assert iou(predicted, true)[i] == pytest.approx(len(a & b) / len(a | b) if a | b else 1)
        assert dice_all_pixels(predicted, true)[i] == pytest.approx(1 - len(a ^ b) / true[i].size)


@settings(max_examples=40)
@given(pairs)
def test_surface_distances_equal_all_pairs(masks):
    hd95, assd = surface_distances(*masks)
    for i, (a, b) in enumerate(zip(*masks, strict=True)):
        expected = np.minimum(reference.surface_distances(a, b), np.hypot(*a.shape))  # infinite if one is empty
        assert (hd95[i], assd[i]) == pytest.approx(expected)


def test_surface_distances_in_mm():
    masks = np.zeros((2, 20, 30), np.uint8)
    masks[:, 5:9, 5:9] = 1
    moved = np.roll(masks, 2, axis=2)
    moved[1] = 0
    hd95, assd = surface_distances(masks, moved.astype(bool), spacing=(0.5, 0.25))
    expected = reference.surface_distances(masks[0], moved[0], (0.5, 0.25))
    assert (hd95[0], assd[0]) == pytest.approx(expected)
    assert hd95[1] == assd[1] == np.hypot(10, 7.5)


def test_an_empty_prediction_has_dice_zero_and_a_high_pixel_accuracy():
    true = np.zeros((1, 10, 10), np.uint8)
    true[0, 4:7, 4:7] = 1
    empty = np.zeros_like(true)
    assert dice(empty, true) == 0
    assert dice_all_pixels(empty, true) == pytest.approx(0.91)


def test_landmark_error_is_the_euclidean_distance():
    error = landmark_error(np.float32([[[3, 4], [1, 1]]]), np.float32([[[0, 0], [1, 1]]]))
    assert error.tolist() == [[5, 0]]


def test_the_bootstrap_resamples_patients_not_images():
    random = np.random.default_rng(0)
    patient_means = random.normal(0.9, 0.05, 50)
    values, patients = np.repeat(patient_means, 20), np.repeat(np.arange(50), 20).astype(str)
    low, high = mean_interval(values, patients)
    # twenty equal images of a patient have no more information than one: ± 1.96 σ / √50
    assert high - low == pytest.approx(2 * 1.96 * patient_means.std() / np.sqrt(50), rel=0.1)
    assert low < values.mean() < high
    assert mean_interval(values[:20], patients[:20]) == pytest.approx((values[0], values[0]))


def test_the_ceiling_of_polygons_on_discs_matches_the_formula(disc_store, chord_store):
    """A polygon of K points on a circle covers K / 2π sin(2π / K) of its area."""
    table = landmark_ceiling(disc_store, counts=(3, 6, 7))
    assert set(table["scheme"]) == {"arc", "angle", "extremes"}
    assert (table[table["scheme"] == "extremes"]["landmarks"] == 6).all()
    arc = table[table["scheme"] == "arc"].set_index(["outline", "landmarks"])
    for count in (3, 6, 7):
        share = count / (2 * np.pi) * np.sin(2 * np.pi / count)
        row = arc.loc[("polygon", count)]
        assert row["area_error_percent"] == pytest.approx(100 * (1 - share), abs=2)
        assert row["dice"] == pytest.approx(2 * share / (1 + share), abs=0.02)
        assert row["min_dice"] <= row["dice"]
    assert arc.loc[("cubic", 7), "dice"] > 0.98
    assert arc.loc[("cubic", 7), "hd95_px"] <= 1
    with_chords = landmark_ceiling(chord_store, counts=(6, 7))
    assert with_chords[with_chords["scheme"] == "anatomical"]["landmarks"].tolist() == [7, 7, 7]
