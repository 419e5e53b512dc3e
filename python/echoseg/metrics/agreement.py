"""Agreement between measurements and reference values."""

from __future__ import annotations

from typing import Any

import numpy as np

from echoseg.metrics.intervals import NORMAL_95


def agreement(measured: np.ndarray, reference: np.ndarray) -> dict[str, Any]:
    """Errors, bias and limits of agreement.

    Source: Bland and Altman, "Statistical methods for assessing agreement between two methods of clinical measurement",
    Lancet 327, 1986.

    Args:
        measured: (N,) float; nan for missing measurements.
        reference: (N,) float; rows with nan are ignored.

    Returns:
        A dict with the following entries; numbers are None if there are too few videos, and `r2` also if all references
        are equal.

        - `videos`: the number of videos with both values.
        - `missing`: the number of videos with a reference but no measurement.
        - `mae`, `rmse`: mean absolute and root mean square error.
        - `bias`: the mean of measured minus reference.
        - `limits`: bias ± 1.96 standard deviations of the differences.
        - `r2`: 1 - Σ(measured - reference)² / Σ(reference - mean)², as scikit-learn's `r2_score`.
    """
    has_reference = np.isfinite(reference)
    both = has_reference & np.isfinite(measured)
    differences = (np.asarray(measured, dtype=np.float64) - reference)[both]
    result: dict[str, Any] = {"videos": int(both.sum()), "missing": int((has_reference & ~both).sum())}
    result |= dict.fromkeys(("mae", "rmse", "r2", "bias", "limits"))
    if len(differences):
        result["mae"], result["bias"] = float(np.abs(differences).mean()), float(differences.mean())
        result["rmse"] = float(np.sqrt(np.square(differences).mean()))
    if len(differences) > 1:
        deviation = differences.std(ddof=1)
        result["limits"] = [float(result["bias"] + sign * NORMAL_95 * deviation) for sign in (-1, 1)]
    if len(differences) and np.ptp(reference[both]) > 0:
        total = np.square(reference[both] - reference[both].mean()).sum()
        result["r2"] = float(1 - np.square(differences).sum() / total)
    return result
