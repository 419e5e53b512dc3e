"""Simulates how often the intervals of an evaluation contain the true value. They should in 95 % of the repetitions.

    python tests/stress/interval_coverage.py [--repetitions 4000] [--patients 5 10 15 20 30 50 100 200]

Each patient has two images. Their Dice is skewed to the left and their HD95 is log-normal, both with an effect of the
patient. An EF is measured with a bias, a proportional error and noise. The columns are the coverage of:

- mean Dice by the plain percentile interval, by BCa, and by `mean_interval`;
- the median of HD95 by `median_interval`;
- bias and CCC of the EF by `interval`, and its lower limit of agreement by `limits_ci95`.

The standard error of a coverage of 95 % is 0.34 points with 4000 repetitions. The true values are those of a million
patients.
"""

from __future__ import annotations

import argparse
import functools

import numpy as np
from scipy.special import ndtr, ndtri

from echoseg.metrics.agreement import agreement
from echoseg.metrics.bootstrap import mean_interval, median_interval

DRAWS = 1000


def simulate_dice(random: np.random.Generator, patients: int) -> np.ndarray:
    """(patients, 2)."""
    loss = random.gamma(2, 0.02, (patients, 1)) + random.gamma(1, 0.03, (patients, 2))
    return 1 - np.minimum(loss, 1)


def simulate_hd95(random: np.random.Generator, patients: int) -> np.ndarray:
    """(patients, 2), pixels."""
    return np.exp(random.normal(0.8, 0.3, (patients, 1)) + random.normal(0, 0.4, (patients, 2)))


def simulate_ef(random: np.random.Generator, patients: int) -> tuple[np.ndarray, np.ndarray]:
    """Measured and reference values, (patients,) each, percent."""
    reference = random.normal(55, 12, patients)
    return 0.9 * reference + 3 + random.normal(0, 5, patients), reference


@functools.cache
def true_values() -> dict[str, float]:
    """The values in the population."""
    random = np.random.default_rng(0)
    measured, reference = simulate_ef(random, 1_000_000)
    difference = measured - reference
    ccc = 1 - np.square(difference).mean() / (measured.var() + reference.var() + difference.mean() ** 2)
    return {
        "dice": simulate_dice(random, 1_000_000).mean(),
        "hd95": float(np.median(simulate_hd95(random, 1_000_000))),
        "bias": difference.mean(),
        "ccc": ccc,
        "limit": difference.mean() - 1.96 * difference.std(),
    }


def percentile_and_bca(values: np.ndarray, seed: int) -> list[tuple[float, float]]:
    """The plain percentile interval and the BCa interval of a mean over patients, (patients, 2)."""
    of_patients = values.mean(axis=1)
    count = len(of_patients)
    means = of_patients[np.random.default_rng(seed).integers(count, size=(DRAWS, count))].mean(axis=1)
    without = (of_patients.sum() - of_patients) / (count - 1)
    differences = without.mean() - without
    acceleration = (differences**3).sum() / (6 * (differences**2).sum() ** 1.5)
    shift = ndtri(np.clip((means < of_patients.mean()).mean(), 1 / DRAWS, 1 - 1 / DRAWS))
    bounds = shift + ndtri([0.025, 0.975])
    levels = ndtr(shift + bounds / (1 - acceleration * bounds))
    return [tuple(np.quantile(means, [0.025, 0.975])), tuple(np.quantile(means, levels))]


def coverage(patients: int, repetitions: int) -> dict[str, float]:
    """Simulate evaluations.

    Args:
        patients: The number of patients of each.
        repetitions: The number of evaluations.

    Returns:
        The share of intervals that contain the true value, by title.
    """
    true, random = true_values(), np.random.default_rng(patients)
    twice = np.repeat(np.arange(patients), 2)
    hits: dict[str, int] = {}
    for seed in range(repetitions):
        dice, hd95 = simulate_dice(random, patients), simulate_hd95(random, patients)
        entry = agreement(*simulate_ef(random, patients), np.arange(patients))
        plain, bca = percentile_and_bca(dice, seed)
        found = {
            "Dice, percentile": (plain, "dice"),
            "Dice, BCa": (bca, "dice"),
            "Dice": (mean_interval(dice.ravel(), twice, draws=DRAWS, seed=seed), "dice"),
            "median HD95": (median_interval(hd95.ravel(), twice, draws=DRAWS, seed=seed), "hd95"),
            "EF bias": (entry["ci95"]["bias"], "bias"),
            "EF CCC": (entry["ci95"]["ccc"], "ccc"),
            "EF limit": (entry["limits_ci95"][0], "limit"),
        }
        for title, ((low, high), name) in found.items():
            hits[title] = hits.get(title, 0) + (low <= true[name] <= high)
    return {title: count / repetitions for title, count in hits.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=4000)
    parser.add_argument("--patients", type=int, nargs="+", default=[5, 10, 15, 20, 30, 50, 100, 200])
    arguments = parser.parse_args()
    for number, patients in enumerate(arguments.patients):
        found = coverage(patients, arguments.repetitions)
        if not number:
            print("patients", *found, sep="  ")
        print(patients, *(f"{100 * share:.1f} %" for share in found.values()), sep="  ", flush=True)


if __name__ == "__main__":
    main()
