"""Tests of paired differences, and the correction of their p values for several comparisons."""

from __future__ import annotations

import numpy as np
from scipy.stats import wilcoxon


def signed_rank_test(differences: np.ndarray) -> float:
    """Two-sided p value of Wilcoxon's signed-rank test that paired differences are symmetric around 0.

    Differences of 0 are left out, as Wilcoxon did. The p value is exact for up to 50 differences without ties.

    Source: Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1, 1945; computed by SciPy.

    Args:
        differences: (N,) float, one independent difference for each patient.

    Returns:
        The p value: 1 if all differences are 0, nan without differences.
    """
    nonzero = differences[differences != 0]
    if not len(nonzero):
        return 1.0 if len(differences) else float("nan")
    return float(wilcoxon(nonzero).pvalue)


def holm_correction(p_values: np.ndarray) -> np.ndarray:
    """Adjust the p values of several comparisons, so that all of them together have the error rate of one.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.

    Args:
        p_values: (M,) float; nan stand for comparisons that were not made.

    Returns:
        (M,) float64, the adjusted p values, at most 1.
    """
    adjusted = np.full(len(p_values), np.nan)
    order = np.argsort(p_values)[: int(np.isfinite(p_values).sum())]  # nan come last
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * np.asarray(p_values)[order]), 1.0)
    return adjusted
