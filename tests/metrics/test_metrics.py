from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import reference
from echoseg.evaluation.ceiling import landmark_ceiling
from echoseg.metrics.agreement import agreement
from echoseg.metrics.bootstrap import interval, mean_interval, median_interval
from echoseg.metrics.landmark_error import landmark_error
from echoseg.metrics.overlap import area_similarity, dice, dice_all_pixels, iou
from echoseg.metrics.surface import mean_contour_distance, surface_distances

shapes = st.tuples(st.just(2), st.integers(1, 3), st.integers(1, 7), st.integers(1, 7))
pairs = hnp.arrays(np.uint8, shapes, elements=st.integers(0, 1))


@settings(max_examples=60)
@given(pairs)
def test_overlap_equals_its_definition_on_sets_of_pixels(masks):
    predicted, true = masks
    for i in range(len(true)):
        a, b = set(np.flatnonzero(predicted[i])), set(np.flatnonzero(true[i]))
        expected = 2 * len(a & b) / (len(a) + len(b)) if a | b else np.nan
        assert dice(predicted, true)[i] == pytest.approx(expected, nan_ok=True)
        assert dice(predicted, true, both_empty=1)[i] == pytest.approx(expected if a | b else 1)
        assert iou(predicted, true)[i] == pytest.approx(len(a & b) / len(a | b) if a | b else np.nan, nan_ok=True)
        similarity = 1 - abs(len(a) - len(b)) / (len(a) + len(b)) if a | b else np.nan
        assert area_similarity(predicted, true)[i] == pytest.approx(similarity, nan_ok=True)
        assert dice_all_pixels(predicted, true)[i] == pytest.approx(1 - len(a ^ b) / true[i].size)


def directed_mean(a: np.ndarray, b: np.ndarray, spacing: tuple[float, float] = (1, 1)) -> float:
    """The mean distance of the border pixels of one mask from the border of another."""

    def border(mask):
        inside = {(y, x) for y, x in zip(*np.nonzero(mask), strict=True)}
        return [(y, x) for y, x in inside if {(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)} - inside]

    dy, dx = spacing
    return np.mean([min(np.hypot((y - v) * dy, (x - u) * dx) for v, u in border(b)) for y, x in border(a)])


@settings(max_examples=40)
@given(pairs)
def test_surface_distances_equal_all_pairs(masks):
    hd95, assd = surface_distances(*masks)
    masd = mean_contour_distance(*masks)
    for i, (a, b) in enumerate(zip(*masks, strict=True)):
        if not (a | b).any():
            assert np.isnan([hd95[i], assd[i], masd[i]]).all()
            continue
        expected = np.minimum(reference.surface_distances(a, b), np.hypot(*a.shape))  # infinite if one is empty
        assert (hd95[i], assd[i]) == pytest.approx(expected)
        directed = [directed_mean(a, b), directed_mean(b, a)] if a.any() and b.any() else np.hypot(*a.shape)
        assert masd[i] == pytest.approx(np.mean(directed), rel=1e-6)


def test_surface_distances_in_mm():
    masks = np.zeros((2, 20, 30), np.uint8)
    masks[:, 5:9, 5:9] = 1
    moved = np.roll(masks, 2, axis=2)
    moved[1] = 0
    hd95, assd = surface_distances(masks, moved.astype(bool), spacing=(0.5, 0.25))
    expected = reference.surface_distances(masks[0], moved[0], (0.5, 0.25))
    assert (hd95[0], assd[0]) == pytest.approx(expected)
    assert hd95[1] == assd[1] == np.hypot(10, 7.5)
    masd = mean_contour_distance(masks, moved, spacing=(0.5, 0.25))
    both = [directed_mean(masks[0], moved[0], (0.5, 0.25)), directed_mean(moved[0], masks[0], (0.5, 0.25))]
    assert masd[0] == pytest.approx(np.mean(both))
    assert masd[1] == np.hypot(10, 7.5)


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


def test_a_statistic_that_many_samples_do_not_have_has_no_interval():
    """Two patients have no correlation in half of the samples, which are of one patient."""
    random = np.random.default_rng(0)
    for patients, has_interval in ((2, False), (3, False), (4, True)):
        reference = random.normal(50, 10, patients)
        entry = agreement(reference + random.normal(0, 3, patients), reference, np.arange(patients))
        assert ("r2" in entry["ci95"], "ccc" in entry["ci95"]) == (has_interval, has_interval)
        assert entry["ci95"]["mae"][0] < entry["ci95"]["mae"][1]


def test_few_patients_have_the_interval_of_students_t():
    """The expanded percentile interval has the width of Student's interval, 2.26 standard errors for 10 patients."""
    values = np.random.default_rng(1).normal(0, 1, 10)
    low, high = mean_interval(values, np.arange(10))
    assert high - low == pytest.approx(2 * 2.262 * values.std(ddof=1) / np.sqrt(10), rel=0.1)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=12))
def test_intervals_of_means_and_medians_equal_those_of_repeated_values(pairs):
    values, patients = np.array(pairs, float).T
    found = {np.mean: mean_interval, np.median: median_interval}
    for statistic, of_statistic in found.items():

        def repeat(weights, statistic=statistic):
            return np.array([statistic(np.repeat(values, row.astype(int))) for row in weights])

        expected = interval(repeat, patients, draws=30)
        assert of_statistic(values, patients, draws=30) == pytest.approx([float(end) for end in expected])


def test_what_is_not_applicable_is_left_out_of_intervals():
    values, patients = np.array([0.5, 0.7, np.nan, 0.9, np.nan]), np.array(["a", "a", "b", "c", "c"])
    for of_statistic in (mean_interval, median_interval):
        assert of_statistic(values, patients) == of_statistic(values[[0, 1, 3]], patients[[0, 1, 3]])
        assert np.isnan(of_statistic(values[2:3], patients[2:3])).all()


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
