"""Paired differences between methods, for all cases and for groups of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from echoseg.evaluation.comparison_table import compare_groups, compare_scores, ef_errors
from echoseg.metrics.bootstrap import mean_interval


def test_differences_are_paired_by_case_and_intervals_are_over_patients():
    random = np.random.default_rng(1)
    patients = np.repeat([f"p{i}" for i in range(12)], 3)
    scores = pd.DataFrame(random.uniform(0.8, 1, (36, 3)), columns=["a", "b", "c"])
    scores.loc[35, "b"] = np.nan
    table = compare_scores("hd95", scores, patients)
    assert table["method"].tolist() == ["a", "b", "c"]
    assert table["cases"].tolist() == [35] * 3  # without the one that lacks a value
    differences = (scores["c"] - scores["a"]).to_numpy()[:35]
    row = table.iloc[2]
    assert row["difference"] == pytest.approx(differences.mean())
    assert (row["difference_low"], row["difference_high"]) == mean_interval(differences, patients[:35].tolist())
    assert row["better"] == (differences < 0).sum()  # of distances, less is better
    assert (table["p_holm"].dropna() >= table["p"].dropna()).all()


def test_ef_is_compared_with_the_listed_one_or_that_of_the_tracings():
    facts = {
        "video": ["v", "w"],
        "patient": ["p", "q"],
        "view": "",
        "listed_ef": [50.0, np.nan],
        "true_ef": [55.0, 60.0],
    }
    first, second = (pd.DataFrame({**facts, "ef": ef}) for ef in ([48.0, 66.0], [np.nan, 60.0]))
    errors = ef_errors({"a": first, "b": second})
    assert errors["reference_ef"].tolist() == [50, 60, 50, 60]
    np.testing.assert_allclose(errors["ef_error"], [2, 6, np.nan, 0])


def test_groups_are_those_of_the_evaluation_and_by_area():
    images = pd.DataFrame({"patient": list("aabbcc"), "phase": ["ED", "ES"] * 3, "view": ["A4C"] * 6})
    efs = pd.Series({"a": 30.0, "b": 60.0, "c": np.nan})
    dice = pd.DataFrame({"one": np.linspace(0.8, 0.9, 6), "two": 0.85})
    groups = compare_groups(dice, images, efs, np.arange(6.0))
    found = groups[groups["method"] == "two"]
    assert list(zip(found["by"], found["group"], found["cases"], strict=True)) == [
        *(("phase", "ED", 3), ("phase", "ES", 3)),
        *(("EF, %", "below 40", 2), ("EF, %", "from 55", 2), ("EF, %", "unknown", 2)),
        *(("true area", "small", 2), ("true area", "middle", 2), ("true area", "large", 2)),
    ]
    small = found[found["group"] == "small"].iloc[0]
    assert small["difference"] == pytest.approx(0.85 - 0.81)
    assert (small["better"], small["equal"], small["worse"]) == (2, 0, 0)
