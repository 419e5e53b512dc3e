"""Confidence intervals that respect that images of one patient are not independent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def mean_interval(
    values: np.ndarray, patients: Sequence[str], *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean; whole patients are drawn, with all of their images.

    Args:
        values: (N,) float.
        patients: the patient of each value.
        level: share of the draws inside the interval.
        draws: bootstrap samples.
        seed: of the draws.

    Returns:
        Lower and upper end. With one patient there is nothing to draw from, and both are the mean.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993; cluster bootstrap.
    """
    _, owner = np.unique(np.asarray(patients), return_inverse=True)
    sums, counts = np.bincount(owner, weights=values), np.bincount(owner)
    drawn = np.random.default_rng(seed).integers(len(sums), size=(draws, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
