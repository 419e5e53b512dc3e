"""Confidence intervals by a bootstrap over patients, since images of one patient are not independent.

The intervals are percentile intervals, expanded for the number of patients: with n patients, the percentile interval of
a mean is too narrow by the factor sqrt((n - 1) / n) and because it takes normal quantiles in place of those of
Student's t distribution. Expanding corrects both. BCa intervals (bias-corrected and accelerated) correct neither: in
simulations of means of skewed values, their coverage was that of the plain percentile interval
(``tests/stress/interval_coverage.py``). They also need a jackknife, which fails for medians.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993; the expansion: Hesterberg, "What teachers should
know about the bootstrap: resampling in the undergraduate statistics curriculum", The American Statistician 69, 2015.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

FEW_PATIENTS = 15
"""With fewer patients, intervals may be too narrow all the same, since a few patients do not show the whole spread."""
_MIN_KNOWN = 0.95  # share of the samples; two patients have no correlation in half of them, three in a ninth
_CHUNK = 100  # samples in memory at a time

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Maps weights, (B, N), which say how often each of N values is in each of B samples, to (B,) or (B, K) numbers."""


def interval(
    statistic: Statistic, patients: Sequence[str] | np.ndarray, *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bootstrap interval of a statistic, in which patients are resampled with all of their values.

    Args:
        statistic: The statistic; samples for which it is nan are ignored, if they are few.
        patients: N names, the patient of each value.
        level: The confidence level.
        draws: Number of bootstrap samples.
        seed: Seed of the random numbers.

    Returns:
        Lower and upper limits, () or (K,), nan if the statistic is nan in more than 5 % of the samples. With one
        patient, both are the value of the statistic.
    """
    names, patient = np.unique(np.asarray(patients), return_inverse=True)
    samples = np.concatenate([statistic(weights) for weights in _weights(len(names), patient, draws, seed)])
    tail = (1 - level) / 2
    if len(names) > 1:
        tail = float(ndtr(math.sqrt(len(names) / (len(names) - 1)) * stdtrit(len(names) - 1, tail)))
    known = np.isfinite(samples).mean(axis=0) >= _MIN_KNOWN
    low, high = np.nanquantile(np.where(known, samples, 0), [tail, 1 - tail], axis=0)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def mean_interval(
    values: np.ndarray, patients: Sequence[str] | np.ndarray, *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Interval of a mean; see `interval`.

    Args:
        values: (N,) float; nan are ignored.
        patients: N names, the patient of each value.
        level: The confidence level.
        draws: Number of bootstrap samples.
        seed: Seed of the random numbers.

    Returns:
        Lower and upper limit, nan if all values are.
    """

    def mean(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return weights @ known / weights.sum(axis=1)

    known, of_known = _known(values, patients)
    return _limits(mean, of_known, level, draws, seed)


def median_interval(
    values: np.ndarray, patients: Sequence[str] | np.ndarray, *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Interval of a median; see `interval` and, for the arguments, `mean_interval`."""

    def median(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        below = weights[:, order].cumsum(axis=1)
        half = below[:, -1:] / 2
        middle = [np.minimum((side(below, half)).sum(axis=1), len(order) - 1) for side in (np.less, np.less_equal)]
        return known[order][np.stack(middle)].mean(axis=0)

    known, of_known = _known(values, patients)
    order = np.argsort(known, kind="stable")
    return _limits(median, of_known, level, draws, seed)


def few_patients_note(count: int) -> str:
    """What to know about intervals over few patients, fewer than `FEW_PATIENTS`."""
    if count == 1:
        return "there is one patient, so the intervals over patients mean nothing"
    return f"there are only {count} patients, so the intervals over patients may be too narrow"


def _known(values: np.ndarray, patients: Sequence[str] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values that are not nan, and their patients."""
    known = ~np.isnan(values)
    return np.asarray(values, dtype=np.float64)[known], np.asarray(patients)[known]


def _limits(statistic: Statistic, patients: np.ndarray, level: float, draws: int, seed: int) -> tuple[float, float]:
    if not len(patients):
        return math.nan, math.nan
    low, high = interval(statistic, patients, level=level, draws=draws, seed=seed)
    return float(low), float(high)


def _weights(patients: int, patient: np.ndarray, draws: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each value is in each of some bootstrap samples, (B, N)."""
    random = np.random.default_rng(seed)
    for start in range(0, draws, _CHUNK):
        count = min(_CHUNK, draws - start)
        drawn = random.integers(patients, size=(count, patients)) + patients * np.arange(count)[:, None]
        times = np.bincount(drawn.ravel(), minlength=count * patients).reshape(count, patients)
        yield times[:, patient].astype(np.float64)
