"""Confidence intervals by a cluster bootstrap, since images of one patient are not independent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def mean_interval(
    values: np.ndarray, patients: Sequence[str], *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean, in which patients are resampled with all of their images.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993.

    Args:
        values: (N,) float.
        patients: N names, the patient of each value.
        level: The confidence level.
        draws: Number of bootstrap samples.
        seed: Seed of the random numbers.

    Returns:
        Lower and upper limit; both are the mean if there is only one patient.
    """
    _, patient = np.unique(np.asarray(patients), return_inverse=True)
    sums, counts = np.bincount(patient, weights=values), np.bincount(patient)
    samples = np.random.default_rng(seed).integers(len(sums), size=(draws, len(sums)))
    means = sums[samples].sum(axis=1) / counts[samples].sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
