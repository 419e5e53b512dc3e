"""Results by subgroup."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from echoseg.evaluation.subgroups import subgroups
from echoseg.metrics.bootstrap import mean_interval
from echoseg.report.measure_rows import subgroup_table

NO_VOLUMES = pd.DataFrame({"patient": [], "ef": [], "listed_ef": [], "true_ef": []})
NO_STACKS = NO_VOLUMES[["patient", "true_ef"]]


@pytest.fixture
def images():
    random = np.random.default_rng(0)
    table = pd.DataFrame({"patient": np.repeat(list("abcdef"), 2), "phase": ["ED", "ES"] * 6, "view": "A4C"})
    table["quality"] = np.repeat(["Good", "Good", "Poor", "Medium", "", "Good"], 2)
    table.loc[9, "quality"] = np.nan
    table["age"] = np.repeat([0.5, 2, 17.9, 40, 70, np.nan], 2)
    return table.assign(
        dice=random.uniform(0.6, 1, 12), nsd_2px=0.9, hd95_px=random.uniform(1, 12, 12), failure=[1, 0, 0] * 4
    )


def test_each_group_has_the_measures_of_its_images(images):
    groups = pd.DataFrame(subgroups(images, NO_VOLUMES, NO_STACKS)).set_index(["by", "group"])
    assert set(groups.index.get_level_values("by")) == {"phase", "quality", "age, years"}  # there is one view
    assert groups.loc["quality"].index.tolist() == ["Good", "Medium", "Poor", "unknown"]
    for (by, group), chosen in {
        ("phase", "ES"): images["phase"] == "ES",
        ("quality", "Good"): images["quality"] == "Good",
        ("quality", "unknown"): images["patient"] == "e",
        ("age, years", "below 2"): images["age"] < 2,
        ("age, years", "2 to 6"): images["age"] == 2,
        ("age, years", "11 to 18"): images["age"] == 17.9,
        ("age, years", "40 to 65"): images["age"] == 40,
        ("age, years", "from 65"): images["age"] == 70,
        ("age, years", "unknown"): images["age"].isna(),
    }.items():
        row, of_group = groups.loc[(by, group)], images[chosen]
        assert (row["images"], row["patients"]) == (len(of_group), of_group["patient"].nunique())
        assert row["failures"] == of_group["failure"].sum()
        assert row["dice"] == pytest.approx(of_group["dice"].mean())
        assert row["hd95_px"] == pytest.approx(of_group["hd95_px"].mean())
        if row["patients"] > 1:
            expected = mean_interval(of_group["dice"].to_numpy(), of_group["patient"].to_numpy())
            assert (row["dice_low"], row["dice_high"]) == pytest.approx(expected)
        else:
            assert np.isnan([row["dice_low"], row["dice_high"]]).all()  # None in the entry
    for by in ("phase", "quality", "age, years"):
        assert groups.loc[by]["images"].sum() == len(images)


def test_bands_of_the_ef_are_those_of_the_reference_of_the_patient(images):
    volumes = pd.DataFrame({"patient": list("abcde"), "ef": 99.0, "listed_ef": [30, 40, 54.9, 55, np.nan]})
    volumes["true_ef"] = [80, 80, 80, 80, 20.0]
    stacks = pd.DataFrame({"patient": list("aff"), "true_ef": [99.0, 60, 60]})
    for of_stacks, from_55, unknown in ((NO_STACKS, 2, 2), (stacks, 4, 0)):
        rows = {row["group"]: row for row in subgroups(images, volumes, of_stacks) if row["by"] == "EF, %"}
        counts = [
            rows[group]["images"] if group in rows else 0 for group in ("below 40", "40 to 55", "from 55", "unknown")
        ]
        assert counts == [4, 4, from_55, unknown]


def test_rows_are_valid_json_and_a_table(images):
    rows = subgroups(images.assign(hd95_mm=np.nan, dice=np.nan), NO_VOLUMES, NO_STACKS)
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    head, cells = subgroup_table({"subgroups": rows})
    assert head[:5] == ["subgroup", "images", "patients", "Dice", "95 % interval"]
    assert cells[0][:5] == ["phase: ED", "6", "6", "", ""]
    assert subgroup_table({})[1] == []
