"""Agreement statistics against published examples and independent definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from echoseg.metrics.agreement import STATISTICS, agreement, deming, intraclass_correlation, limit_half_width

# peak expiratory flow, l/min, by a Wright and by a mini Wright meter: Bland and Altman, Lancet 327, 1986, table 1
WRIGHT = np.array([494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427.0])
MINI = np.array([512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451.0])
# ratings of six targets by four judges: Shrout and Fleiss, Psychological Bulletin 86, 1979, table 2
JUDGES = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)
PATIENTS = np.arange(17).astype(str)
values = hnp.arrays(np.float64, st.tuples(st.just(2), st.integers(3, 9)), elements=st.integers(0, 100).map(float))


def test_the_example_of_bland_and_altman():
    entry = agreement(WRIGHT, MINI, PATIENTS)
    assert (entry["videos"], entry["patients"], entry["missing"]) == (17, 17, 0)
    assert entry["pearson"] == pytest.approx(0.94, abs=0.005)
    assert entry["bias"] == pytest.approx(-2.1, abs=0.05)
    deviation = (entry["limits"][1] - entry["bias"]) / 1.96
    assert deviation == pytest.approx(38.8, abs=0.05)
    # in 1986, a limit has the standard error √(3 s² / n), so that the interval is ± 2.12 · 16.3 wide; 1999 is exact
    for ends, limit in zip(entry["limits_ci95"], entry["limits"], strict=True):
        assert np.mean(ends) == pytest.approx(limit)
        assert (ends[1] - ends[0]) / 2 == pytest.approx(2.12 * 16.3, rel=0.01)


def test_the_intervals_of_limits_equal_the_formula_of_1999():
    """With many patients, 1.71² s² / n is the variance of a limit: Bland and Altman, 1999, section 2.2."""
    assert limit_half_width(10, 10_000) == pytest.approx(1.96 * 1.71 * 10 / 100, rel=2e-3)
    assert limit_half_width(10, 1) is None


def test_icc_of_the_table_of_shrout_and_fleiss():
    assert intraclass_correlation(JUDGES)[0] == pytest.approx(0.29, abs=0.005)
    assert intraclass_correlation(JUDGES)[0] == pytest.approx(0.289764, abs=1e-6)  # pingouin 0.7.0


def test_icc_of_two_meters_equals_pingouin():
    assert agreement(WRIGHT, MINI, PATIENTS)["icc"] == pytest.approx(0.945928, abs=1e-6)  # pingouin 0.7.0
    pingouin, pandas = pytest.importorskip("pingouin"), pytest.importorskip("pandas")
    table = pandas.DataFrame({"target": [*range(17)] * 2, "rater": [0] * 17 + [1] * 17, "rating": [*WRIGHT, *MINI]})
    found = pingouin.intraclass_corr(table, targets="target", raters="rater", ratings="rating")
    assert intraclass_correlation(np.stack([WRIGHT, MINI], axis=1))[0] == pytest.approx(found["ICC"][1])


@settings(max_examples=40)
@given(values)
def test_correlations_and_slope_equal_their_definitions(pair):
    measured, reference = pair
    entry = agreement(measured, reference, np.arange(len(reference)))
    if np.ptp(reference) == 0:
        assert entry["r2"] is entry["pearson"] is entry["ccc"] is entry["icc"] is entry["slope"] is None
        return
    if np.ptp(measured) == 0:
        assert entry["pearson"] is entry["slope"] is None
        return
    assert entry["pearson"] == pytest.approx(np.corrcoef(measured, reference)[0, 1], abs=1e-9)
    # 1 - the mean square difference, relative to that of all pairs of a measurement and a reference
    independent = np.square(measured[:, None] - reference).mean()
    assert entry["ccc"] == pytest.approx(1 - np.square(measured - reference).mean() / independent, abs=1e-9)
    if abs(np.cov(measured, reference)[0, 1]) > 1e-6:
        centred = np.stack([reference - reference.mean(), measured - measured.mean()], axis=1)
        direction = np.linalg.svd(centred)[2][0]  # the line with the smallest orthogonal distances
        assert entry["slope"] == pytest.approx(direction[1] / direction[0], rel=1e-6)
        assert entry["intercept"] == pytest.approx(measured.mean() - entry["slope"] * reference.mean(), abs=1e-6)
    for name, (low, high) in entry["ci95"].items():
        assert name in STATISTICS
        assert low <= high


@settings(max_examples=40)
@given(hnp.arrays(np.float64, st.tuples(st.integers(3, 6), st.integers(2, 4)), elements=st.integers(0, 9).map(float)))
def test_icc_equals_an_analysis_of_variance(ratings):
    subjects, raters = ratings.shape
    grand = ratings.mean()
    rows = raters * sum((row.mean() - grand) ** 2 for row in ratings) / (subjects - 1)
    columns = subjects * sum((column.mean() - grand) ** 2 for column in ratings.T) / (raters - 1)
    residuals = ratings - ratings.mean(axis=1, keepdims=True) - ratings.mean(axis=0) + grand
    error = np.square(residuals).sum() / ((subjects - 1) * (raters - 1))
    whole = rows + (raters - 1) * error + raters * (columns - error) / subjects
    if abs(whole) > 1e-6:
        assert intraclass_correlation(ratings)[0] == pytest.approx((rows - error) / whole, abs=1e-6)


def test_weights_repeat_subjects():
    weights = np.array([[1, 1, 1, 1, 1, 1], [2, 0, 1, 3, 0, 1.0]])
    repeated = np.repeat(JUDGES, weights[1].astype(int), axis=0)
    expected = [intraclass_correlation(JUDGES)[0], intraclass_correlation(repeated)[0]]
    np.testing.assert_allclose(intraclass_correlation(JUDGES, weights), expected)


def test_a_proportional_bias_is_the_slope():
    reference = np.linspace(20, 70, 40)
    entry = agreement(0.8 * reference + 5, reference, np.arange(40))
    assert (entry["slope"], entry["intercept"]) == (pytest.approx(0.8), pytest.approx(5))
    assert np.isnan(deming(np.ones(1), np.ones(1), np.zeros(1)))


def test_videos_of_one_patient_do_not_narrow_the_intervals():
    single = agreement(WRIGHT, MINI, PATIENTS)
    twice = agreement(np.tile(WRIGHT, 2), np.tile(MINI, 2), np.tile(PATIENTS, 2))
    for name in ("bias", "mae", "ccc"):
        assert twice["ci95"][name] == pytest.approx(single["ci95"][name])
    width, of_twice = (entry["limits_ci95"][0][1] - entry["limits_ci95"][0][0] for entry in (single, twice))
    assert of_twice == pytest.approx(width, rel=0.05)
    assert agreement(WRIGHT, MINI, np.zeros(17))["limits_ci95"] is None
