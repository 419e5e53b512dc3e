"""Agreement between measurements and reference values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from echoseg.metrics.bootstrap import interval
from echoseg.metrics.intervals import NORMAL_95

STATISTICS = ("mae", "rmse", "bias", "r2", "pearson", "ccc", "icc", "slope", "intercept")
"""The entries of `agreement` that are one number each."""
NEED_MANY = ("r2", "pearson", "ccc", "icc", "slope")
"""Statistics that are not shown of fewer videos than `MIN_VIDEOS`."""
MIN_VIDEOS = 10
"""With fewer videos, correlations and R² depend on the few references more than on the errors."""


def agreement(measured: np.ndarray, reference: np.ndarray, patients: Sequence[str] | np.ndarray) -> dict[str, Any]:
    """Errors, bias, limits of agreement and correlations.

    Sources:
        Bias and limits: Bland and Altman, "Statistical methods for assessing agreement between two methods of clinical
        measurement", Lancet 327, 1986; the intervals of the limits: section 2.2 of Bland and Altman, "Measuring
        agreement in method comparison studies", Statistical Methods in Medical Research 8, 1999. CCC: Lin, "A
        concordance correlation coefficient to evaluate reproducibility", Biometrics 45, 1989. ICC: Shrout and Fleiss,
        "Intraclass correlations: uses in assessing rater reliability", Psychological Bulletin 86, 1979. Slope:
        Cornbleet and Gochman, "Incorrect least-squares regression coefficients in method-comparison analysis",
        Clinical Chemistry 25, 1979.

    Args:
        measured: (N,) float; nan for missing measurements.
        reference: (N,) float; rows with nan are ignored.
        patients: N names, the patient of each row.

    Returns:
        A dict with the following entries; numbers are None if there are too few videos or all references are equal.

        - `videos`: the number of videos with both values; `patients`: that of their patients.
        - `missing`: the number of videos with a reference but no measurement.
        - `mae`, `rmse`: mean absolute and root mean square error.
        - `bias`: the mean of measured minus reference.
        - `limits`: bias ± 1.96 standard deviations of the differences.
        - `limits_ci95`: the 95 % intervals of the two limits by Bland and Altman, 1999, which takes the differences as
          normally distributed. The number of independent differences is that of the patients.
        - `r2`: 1 - Σ(measured - reference)² / Σ(reference - mean)², as scikit-learn's `r2_score`.
        - `pearson`: Pearson's correlation r.
        - `ccc`: Lin's concordance correlation coefficient.
        - `icc`: the intraclass correlation ICC(2,1); see `intraclass_correlation`.
        - `slope`, `intercept`: of the line by Deming regression, for proportional and constant bias; see `deming`.
        - `ci95`: for each of these single numbers, its bootstrap interval over patients, except those that cannot be
          computed of two or three patients.
    """
    measured, reference = np.asarray(measured, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    has_reference = np.isfinite(reference)
    both = has_reference & np.isfinite(measured)
    pairs, patients = np.stack([measured, reference], axis=1)[both], np.asarray(patients)[both]
    result: dict[str, Any] = {"videos": len(pairs), "patients": len(np.unique(patients))}
    result |= {"missing": int((has_reference & ~both).sum())}
    result |= dict.fromkeys((*STATISTICS, "limits", "limits_ci95", "ci95"))
    if not len(pairs):
        return result
    centre = pairs.mean()  # sums of squares about it do not cancel

    def statistics(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return _statistics(pairs - centre, weights, centre)

    values = statistics(np.ones((1, len(pairs))))[0]
    lows, highs = interval(statistics, patients)
    result |= {name: _number(value) for name, value in zip(STATISTICS, values, strict=True)}
    ends = zip(STATISTICS, lows, highs, strict=True)
    result["ci95"] = {
        name: [float(low), float(high)] for name, low, high in ends if result[name] is not None and math.isfinite(low)
    }
    if len(pairs) > 1:
        bias, deviation = result["bias"], float(np.std(pairs[:, 0] - pairs[:, 1], ddof=1))
        result["limits"] = [bias - NORMAL_95 * deviation, bias + NORMAL_95 * deviation]
        half = limit_half_width(deviation, result["patients"])
        result["limits_ci95"] = None if half is None else [[end - half, end + half] for end in result["limits"]]
    return result


def limit_half_width(deviation: float, count: int) -> float | None:
    """Half the width of the 95 % interval of a limit of agreement.

    Source: Bland and Altman, 1999: the variance of a limit is s² (1 / n + 1.96² / (2 (n - 1))).

    Args:
        deviation: The standard deviation s of the differences.
        count: The number n of independent differences.

    Returns:
        The half-width by Student's t distribution with n - 1 degrees of freedom; None for fewer than two differences.
    """
    if count < 2:
        return None
    error = deviation * math.sqrt(1 / count + NORMAL_95**2 / (2 * (count - 1)))
    return float(-stdtrit(count - 1, 0.025) * error)


def intraclass_correlation(
    ratings: NDArray[np.float64], weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """ICC(2,1): two-way random effects, absolute agreement, a single rater.

    Source: Shrout and Fleiss, 1979; McGraw and Wong, "Forming inferences about some intraclass correlation
    coefficients", Psychological Methods 1, 1996, call it ICC(A,1).

    Args:
        ratings: (N, K) float, K ratings of each of N subjects.
        weights: (B, N) float, how often each subject counts in each of B samples; None: once, in one sample.

    Returns:
        (B,) float64, nan where all ratings are equal or there are fewer than two subjects.
    """
    weights = np.ones((1, len(ratings))) if weights is None else weights
    count, raters = weights.sum(axis=1), ratings.shape[1]
    columns = weights @ ratings / count[:, None]
    grand = columns.mean(axis=1)
    total = weights @ np.square(ratings).sum(axis=1) - raters * count * grand**2
    of_rows = raters * (weights @ np.square(ratings.mean(axis=1)) - count * grand**2)
    of_columns = count * np.square(columns - grand[:, None]).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rows, between = of_rows / (count - 1), of_columns / (raters - 1)
        error = (total - of_rows - of_columns) / ((count - 1) * (raters - 1))
        return _known((rows - error) / (rows + (raters - 1) * error + raters * (between - error) / count))


def deming(
    variance_x: NDArray[np.float64], variance_y: NDArray[np.float64], covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Slope of y on x by Deming regression with equal error variances, also called orthogonal regression.

    Both values have errors, so that the slope of ordinary least squares is too small. Passing and Bablok's slope is
    less sensitive to outliers, but it is a median of all N (N - 1) / 2 slopes, which takes long to resample.

    Args:
        variance_x: (B,) float.
        variance_y: (B,) float.
        covariance: (B,) float.

    Returns:
        (B,) float64, nan where the covariance is 0.
    """
    difference = variance_y - variance_x
    with np.errstate(divide="ignore", invalid="ignore"):
        return _known((difference + np.sqrt(difference**2 + 4 * covariance**2)) / (2 * covariance))


def _statistics(pairs: NDArray[np.float64], weights: NDArray[np.float64], centre: float) -> NDArray[np.float64]:
    """`STATISTICS` of weighted pairs of a measurement and a reference, less `centre`: (B, 9) float64."""
    count = weights.sum(axis=1)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return weights @ values / count

    measured, reference = pairs.T
    error, mean_x, mean_y = measured - reference, mean(reference), mean(measured)
    square = mean(error**2)
    variance_x = np.maximum(mean(reference**2) - mean_x**2, 0)
    variance_y = np.maximum(mean(measured**2) - mean_y**2, 0)
    covariance = mean(measured * reference) - mean_x * mean_y
    variance_x = np.where(variance_x > 1e-12 * mean(reference**2), variance_x, np.nan)  # all references are equal
    variance_y = np.where(variance_y > 1e-12 * mean(measured**2), variance_y, np.nan)
    slope = deming(variance_x, variance_y, covariance)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.stack(
            [
                mean(abs(error)),
                np.sqrt(square),
                mean(error),
                _known(1 - square / variance_x),
                _known(covariance / np.sqrt(variance_x * variance_y)),
                _known(2 * covariance / (variance_x + variance_y + (mean_y - mean_x) ** 2)),
                np.where(np.isnan(variance_x), np.nan, intraclass_correlation(pairs, weights)),
                slope,
                mean_y + centre - slope * (mean_x + centre),
            ],
            axis=1,
        )


def _known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values, with nan in place of infinite ones."""
    return np.where(np.isfinite(values), values, np.nan)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
