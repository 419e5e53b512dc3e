"""How well two ways of measuring the same thing agree."""

from __future__ import annotations

from typing import Any

import numpy as np

from echoseg.metrics.intervals import NORMAL_95


def agreement(measured: np.ndarray, reference: np.ndarray) -> dict[str, Any]:
    """Errors, bias and limits of agreement of measurements against reference values.

    Args:
        measured: (N,) float; nan where nothing could be measured.
        reference: (N,) float; nan where nobody knows, and such rows are left out.

    Returns:
        ``videos``: how many have both; ``missing``: how many have a reference only; ``mae``, ``rmse``, ``bias`` (the
        mean of measured less reference), ``limits`` (bias ± 1.96 standard deviations of the differences) and ``r2``,
        as scikit-learn's ``r2_score`` defines it: 1 - Σ(measured - reference)² / Σ(reference - their mean)². None where
        there are too few videos, or where all references are alike.

    Source: Bland and Altman, "Statistical methods for assessing agreement between two methods of clinical measurement",
    Lancet 327, 1986.
    """
    known = np.isfinite(reference)
    both = known & np.isfinite(measured)
    differences = (np.asarray(measured, dtype=np.float64) - reference)[both]
    found: dict[str, Any] = {"videos": int(both.sum()), "missing": int((known & ~both).sum())}
    found |= dict.fromkeys(("mae", "rmse", "r2", "bias", "limits"))
    if len(differences):
        found["mae"], found["bias"] = float(np.abs(differences).mean()), float(differences.mean())
        found["rmse"] = float(np.sqrt(np.square(differences).mean()))
    if len(differences) > 1:
        deviation = differences.std(ddof=1)
        found["limits"] = [float(found["bias"] + sign * NORMAL_95 * deviation) for sign in (-1, 1)]
    if len(differences) and np.ptp(reference[both]) > 0:
        spread = np.square(reference[both] - reference[both].mean()).sum()
        found["r2"] = float(1 - np.square(differences).sum() / spread)
    return found
