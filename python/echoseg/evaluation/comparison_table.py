"""Tables of a comparison: paired differences between methods, for all cases and for groups of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from echoseg.evaluation.ejection import reference_ef
from echoseg.evaluation.subgroups import image_groups
from echoseg.metrics.bootstrap import mean_interval
from echoseg.metrics.paired import holm_correction, signed_rank_test

NSD_TOLERANCE = 2.0
"""Tolerance of the normalised surface Dice, in the unit of the distances."""
_SIZES = ("small", "middle", "large")
_MIN_CASES = 6  # for groups by area


class Measure(NamedTuple):
    """A measure of the comparison.

    Attributes:
        title: What it is called in tables.
        sign: 1 if more is better, -1 if less is.
        digits: The number of decimal places in tables.
    """

    title: str
    sign: int
    digits: int


MEASURES = {
    "dice": Measure("foreground Dice", 1, 4),
    "nsd": Measure(f"NSD, tolerance {NSD_TOLERANCE:g}", 1, 4),
    "hd95": Measure("HD95", -1, 2),
    "assd": Measure("ASSD", -1, 2),
    "ef_error": Measure("EF error", -1, 2),
}
"""The columns of the tables of cases and of volumes that are compared."""


def ef_errors(volumes: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The EF of each video by each method, compared with that of the data set or, without one, of the true contours.

    Args:
        volumes: A table of volumes from `echoseg.evaluation.ejection` by the name of the method, the reference first.
            True and listed values are taken from the first one.

    Returns:
        A row per video and method: video, patient, view, method, ef, reference_ef, both in percent, and ef_error, the
        absolute difference in percentage points.
    """
    first = next(iter(volumes.values()))
    reference = pd.Series(reference_ef(first).to_numpy(), index=first["video"])
    tables = []
    for name, predicted in volumes.items():
        table = predicted[["video", "patient", "view"]].assign(method=name, ef=predicted["ef"])
        table["reference_ef"] = reference.reindex(table["video"]).to_numpy()
        tables.append(table.assign(ef_error=(table["ef"] - table["reference_ef"]).abs()))
    return pd.concat(tables, ignore_index=True)


def compare_scores(measure: str, scores: pd.DataFrame, patients: np.ndarray) -> pd.DataFrame:
    """Compare methods by one measure, paired by case.

    Args:
        measure: A name in `MEASURES`.
        scores: (N, methods), the values of the methods, the reference first. Cases without a value of each method are
            left out.
        patients: (N,) str, the patient of each case.

    Returns:
        A row per method: measure, method, cases, patients, mean, low and high, the 95 % bootstrap interval of the mean
        over patients; and compared with the reference: difference, difference_low and difference_high, the interval of
        the mean paired difference; p, of the signed-rank test of the patients' mean differences, and p_holm, corrected
        for the number of methods; better, equal and worse, numbers of cases. nan in the row of the reference.
    """
    complete = scores.notna().all(axis=1).to_numpy()
    scores, names = scores[complete], patients[complete].tolist()
    count = {"cases": len(scores), "patients": len(set(names))}
    reference, rows = scores.iloc[:, 0].to_numpy(), []
    for number, name in enumerate(scores):
        values = scores[name].to_numpy()
        row = {"measure": measure, "method": name, **count, "mean": np.nan, "low": np.nan, "high": np.nan}
        if len(values):
            row["mean"] = values.mean()
            row["low"], row["high"] = mean_interval(values, names)
        if number and len(values):
            differences = values - reference
            gains = MEASURES[measure].sign * differences
            row["difference"] = differences.mean()
            row["difference_low"], row["difference_high"] = mean_interval(differences, names)
            row["p"] = signed_rank_test(pd.Series(differences).groupby(names).mean().to_numpy())
            row |= {"better": (gains > 0).sum(), "equal": (gains == 0).sum(), "worse": (gains < 0).sum()}
        rows.append(row)
    columns = ["difference", "difference_low", "difference_high", "p", "p_holm", "better", "equal", "worse"]
    table = pd.DataFrame(rows).reindex(columns=["measure", "method", *count, "mean", "low", "high", *columns])
    return table.assign(p_holm=holm_correction(table["p"].to_numpy(np.float64)))


def compare_groups(dice: pd.DataFrame, images: pd.DataFrame, efs: pd.Series, areas: np.ndarray) -> pd.DataFrame:
    """Compare the Dice of methods in groups of the images.

    Args:
        dice: (N, methods), the Dice, the reference first.
        images: A table of the N images; see `echoseg.evaluation.subgroups.image_groups`.
        efs: The reference EF of patients, percent.
        areas: (N,) float, the true areas.

    Returns:
        The rows of `compare_scores` for each group, without tests, after the columns `by` and `group`. The groups are
        those of `echoseg.evaluation.subgroups.image_groups`, and thirds of the true area.
    """
    groups = list(image_groups(images, efs))
    if len(areas) >= _MIN_CASES:
        thirds = np.digitize(areas, np.quantile(areas, [1 / 3, 2 / 3]))
        groups += [("true area", name, pd.Series(thirds == number)) for number, name in enumerate(_SIZES)]
    parts = []
    for by, group, is_in in groups:
        chosen = is_in.to_numpy()
        rows = compare_scores("dice", dice[chosen], images["patient"].to_numpy()[chosen])
        parts.append(rows.drop(columns=["p", "p_holm"]).assign(by=by, group=group))
    if not parts:
        return pd.DataFrame()
    joined = pd.concat(parts, ignore_index=True)
    return joined[["by", "group", *(name for name in joined if name not in ("by", "group"))]]
