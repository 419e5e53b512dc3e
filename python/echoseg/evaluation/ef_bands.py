"""Errors of the ejection fraction, and the coverage of its intervals, by band of the predicted ejection fraction."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd

from echoseg.evaluation.ejection import reference_ef
from echoseg.metrics.bootstrap import mean_interval
from echoseg.metrics.conformal import EF_BANDS

BANDS = (
    f"below {EF_BANDS[0]:g}",
    *(f"{low:g} to {high:g}" for low, high in itertools.pairwise(EF_BANDS)),
    f"from {EF_BANDS[-1]:g}",
)


def ef_bands(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Compute the entry "ef_bands" of `metrics.json`.

    Args:
        table: A table of volumes from `echoseg.evaluation.ejection`, with intervals.

    Returns:
        For "all" videos with a predicted and a reference EF, and for each band of the predicted EF that has some:
        `videos`, their number; `bias`, the mean of predicted minus reference, percentage points; `bias_ci95`, its
        bootstrap interval over patients; `coverage`, the share of references in the 90 % interval; and `width`, the
        mean width of the intervals. The last two are None if intervals are unknown. Empty without videos.
    """
    table = table.assign(reference=reference_ef(table))
    table = table[table["ef"].notna() & table["reference"].notna()]
    if table.empty:
        return {}
    band = np.digitize(table["ef"], EF_BANDS)
    groups = {"all": table, **{name: table[band == number] for number, name in enumerate(BANDS)}}
    return {name: _summarise(group) for name, group in groups.items() if len(group)}


def _summarise(group: pd.DataFrame) -> dict[str, Any]:
    errors = (group["ef"] - group["reference"]).to_numpy()
    entry = {
        "videos": len(group),
        "bias": float(errors.mean()),
        "bias_ci95": list(mean_interval(errors, group["patient"].to_numpy())),
        "coverage": None,
        "width": None,
    }
    known = group[group["ef_low"].notna()]
    if len(known):
        entry["coverage"] = float(known["reference"].between(known["ef_low"], known["ef_high"]).mean())
        entry["width"] = float((known["ef_high"] - known["ef_low"]).mean())
    return entry
