"""Intervals of the EF: coverage against simulated errors, quantiles against their definition, and damaged files."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echoseg.errors import DataError
from echoseg.metrics.conformal import (
    EF_BANDS,
    LEVEL,
    MIN_PAIRS,
    conformal_quantile,
    fit_ef_intervals,
    fit_offsets,
    load_ef_intervals,
)


def simulate(count, seed):
    """Biased predictions, with errors that are larger where the predicted deviation is larger, and skewed."""
    random = np.random.default_rng(seed)
    predicted = random.uniform(20, 75, count)
    deviations = random.uniform(2, 6, count)
    true = predicted + 4 + deviations * (random.gamma(2, 1, count) - 2)
    return predicted, true, deviations


@given(st.lists(st.integers(-50, 50), max_size=60), st.sampled_from([0.5, 0.9, 0.95]))
def test_the_quantile_is_the_smallest_score_that_enough_scores_do_not_exceed(scores, level):
    scores = np.array(scores, dtype=float)
    actual = conformal_quantile(scores, level)
    needed = level * (len(scores) + 1) - 1e-9
    enough = [score for score in scores if (scores <= score).sum() >= needed]
    assert actual == min(enough, default=math.inf)


@pytest.mark.parametrize("has_deviations", [False, True])
@pytest.mark.parametrize("count", [60, 600])
def test_nine_of_ten_true_values_lie_in_the_interval(count, has_deviations):
    shares, band_shares = [], []
    for seed in range(40):
        predicted, true, deviations = simulate(count, seed)
        intervals = fit_ef_intervals(predicted, true, deviations if has_deviations else None)
        predicted, true, deviations = simulate(1000, 1000 + seed)
        low, high = intervals.of(predicted, deviations)
        inside = (low <= true) & (true <= high)
        shares.append(inside.mean())
        band_shares.append([inside[np.digitize(predicted, EF_BANDS) == band].mean() for band in range(3)])
    # the expected coverage is at least LEVEL, and above it by at most 2 / (n + 1) of the n patients of a band
    assert LEVEL - 0.01 < np.mean(shares) < LEVEL + (0.05 if count == 60 else 0.02)
    if count == 600:
        np.testing.assert_allclose(np.mean(band_shares, axis=0), LEVEL, atol=0.025)


def test_scaled_intervals_are_narrower_where_the_deviation_is_small():
    predicted, true, deviations = simulate(500, 0)
    plain, scaled = (fit_ef_intervals(predicted, true, given) for given in (None, deviations))
    ef = np.array([60.0, 60.0, 60.0, np.nan])
    low, high = scaled.of(ef, np.array([2.0, 6.0, np.nan, 2.0]))
    assert high[0] - low[0] < high[1] - low[1]
    np.testing.assert_array_equal([low[2], high[2]], np.array(plain.of(ef))[:, 2])
    assert np.isnan([low[3], high[3]]).all()
    assert low[0] > 58, "the interval corrects the bias of -4"
    assert (np.array(plain.of(np.array([0.0, 100.0]))) >= 0).all()
    assert (np.array(plain.of(np.array([0.0, 100.0]))) <= 100).all()


def test_unknown_deviations_are_left_out_of_the_scaled_intervals():
    predicted, true, deviations = simulate(200, 0)
    deviations[:50] = np.nan
    intervals = fit_ef_intervals(predicted, true, deviations)
    assert intervals.plain == fit_ef_intervals(predicted, true).plain
    assert intervals.scaled == fit_ef_intervals(predicted[50:], true[50:], deviations[50:]).scaled
    deviations[MIN_PAIRS - 1 :] = np.nan
    assert fit_ef_intervals(predicted, true, deviations).scaled is None


def test_too_few_pairs_give_no_interval_and_small_bands_get_that_of_all():
    predicted, true, _ = simulate(MIN_PAIRS + 1, 0)
    predicted[0] = np.nan
    intervals = fit_ef_intervals(predicted, true)
    assert np.isfinite(intervals.of(predicted[1:])).all()
    assert len(set(intervals.plain.low)) == len(set(intervals.plain.high)) == 1
    assert fit_ef_intervals(predicted[:-1], true[:-1]) is None
    offsets = fit_offsets(np.ones(MIN_PAIRS - 1), np.ones(MIN_PAIRS - 1), EF_BANDS)
    assert set(offsets.low) == {-math.inf}
    assert set(offsets.high) == {math.inf}
    offsets = fit_offsets(
        np.r_[np.zeros(MIN_PAIRS), np.full(10, 5.0)], np.r_[np.full(MIN_PAIRS, 30.0), np.full(10, 60.0)], EF_BANDS
    )
    assert offsets.high == (0.0, 5.0, 5.0)


def test_intervals_are_saved_and_damage_is_found(tmp_path):
    path = tmp_path / "ef_intervals.json"
    for intervals in (fit_ef_intervals(*simulate(100, 0)), fit_ef_intervals(*simulate(100, 0)[:2])):
        intervals.save(path)
        assert load_ef_intervals(path) == intervals
    text = path.read_text()
    values = json.loads(text)
    for damaged in (text[:-9], text.replace("[", "[1", 1), "{}", json.dumps({"plain": None, "scaled": None})):
        path.write_text(damaged)
        with pytest.raises(DataError, match=r"ef_intervals\.json: damaged"):
            load_ef_intervals(path)
    path.write_text(json.dumps({"plain": {"low": [1], "high": [2]}, "scaled": values["scaled"]}))
    with pytest.raises(DataError, match="number of bands"):
        load_ef_intervals(path)
