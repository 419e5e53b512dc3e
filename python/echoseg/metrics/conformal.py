"""Prediction intervals with a guaranteed coverage, from the errors on images that the network was not trained on.

Of new patients drawn like those of the calibration, at least the given share have their true value in the interval,
whatever the distribution of the errors. The two ends are quantiles of the signed errors, so that the interval also
corrects a bias. They are computed for each band of the predicted value that has enough patients, and of all patients
for the other bands. If the standard deviation of each error was predicted, the errors are divided by it, so that an
uncertain prediction gets a wider interval.

Source: Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005 (bands: Mondrian conformal
prediction); Lei et al., "Distribution-free predictive inference for regression", JASA 113, 2018 (split conformal
prediction, scaled errors); Romano, Patterson and Candès, "Conformalized quantile regression", NeurIPS 2019 (a quantile
for each end).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from echoseg.errors import DataError
from echoseg.utils.checksum import add_checksum, parse

LEVEL = 0.9
"""The share of true values that lie in the interval."""
EF_BANDS = (40.0, 55.0)
"""Limits between bands of the predicted ejection fraction, percent: reduced, mildly reduced or borderline, normal."""
MIN_PAIRS = math.ceil(2 / (1 - LEVEL) - 1e-9) - 1
"""The smallest number of errors of which the interval is finite. A band with fewer gets the quantiles of all errors."""


@dataclass(frozen=True)
class Offsets:
    """The ends of intervals relative to the predicted value, by band of the predicted value.

    Attributes:
        low: The lower end minus the predicted value, a number for each band.
        high: The upper end minus the predicted value.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class EFIntervals:
    """Intervals of the ejection fraction.

    Attributes:
        plain: In percentage points.
        scaled: In predicted standard deviations; None for runs that predict none.
    """

    plain: Offsets
    scaled: Offsets | None = None

    def of(self, ef: np.ndarray, deviations: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Compute intervals.

        Args:
            ef: (N,) float, predicted ejection fractions, percent.
            deviations: (N,) float, their predicted standard deviations, percentage points; None or nan where they are
                unknown. The plain intervals are used there.

        Returns:
            The lower and the upper ends, (N,) float64 each, between 0 and 100 percent; nan where the ejection fraction
            is nan.
        """
        ef = np.asarray(ef, dtype=np.float64)
        band = np.digitize(ef, EF_BANDS)
        low, high = (np.array(ends)[band] for ends in (self.plain.low, self.plain.high))
        if self.scaled is not None and deviations is not None:
            known = np.isfinite(deviations)
            low, high = (
                np.where(known, deviations * np.array(ends)[band], plain)
                for ends, plain in ((self.scaled.low, low), (self.scaled.high, high))
            )
        return (ef + low).clip(0, 100), (ef + high).clip(0, 100)

    def save(self, path: Path) -> None:
        """Write the numbers as JSON with a checksum."""
        path.write_text(json.dumps(add_checksum(asdict(self))) + "\n", encoding="utf-8")


def load_ef_intervals(path: Path) -> EFIntervals:
    """Read what `EFIntervals.save` wrote.

    Raises:
        DataError: The file is damaged.
    """
    try:
        values = parse(path.read_text(encoding="utf-8"))
        plain, scaled = (None if values[name] is None else _offsets(values[name]) for name in ("plain", "scaled"))
        if plain is None:
            raise ValueError("there are no plain offsets")
        return EFIntervals(plain, scaled)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged ({error}); train again") from None


def _offsets(values: dict[str, Any]) -> Offsets:
    low, high = (tuple(map(float, values[name])) for name in ("low", "high"))
    if not len(low) == len(high) == len(EF_BANDS) + 1:
        raise ValueError("the number of bands is wrong")
    return Offsets(low, high)


def fit_ef_intervals(
    predicted: np.ndarray, true: np.ndarray, deviations: np.ndarray | None = None
) -> EFIntervals | None:
    """Fit intervals to ejection fractions of patients whom the network was not trained on.

    Args:
        predicted: (N,) float, percent; pairs with nan are left out.
        true: (N,) float, percent.
        deviations: (N,) float, predicted standard deviations, percentage points, above 0; nan where they are unknown.
            None if there are none.

    Returns:
        The intervals; None if there are fewer than `MIN_PAIRS` pairs, of which they would be infinite. They are not
        scaled if there are fewer pairs with a deviation.
    """
    known = np.isfinite(predicted) & np.isfinite(true)
    if known.sum() < MIN_PAIRS:
        return None
    errors, scaled = true - predicted, None
    if deviations is not None and (has_deviation := known & np.isfinite(deviations)).sum() >= MIN_PAIRS:
        relative = errors[has_deviation] / deviations[has_deviation]
        scaled = fit_offsets(relative, predicted[has_deviation], EF_BANDS)
    return EFIntervals(fit_offsets(errors[known], predicted[known], EF_BANDS), scaled)


def fit_offsets(errors: np.ndarray, predicted: np.ndarray, bands: Sequence[float]) -> Offsets:
    """Compute the quantiles of errors by band.

    Args:
        errors: (N,) float, true minus predicted values, divided by their scale if there is one.
        predicted: (N,) float, the predicted values.
        bands: The limits between bands of the predicted value, in increasing order.

    Returns:
        The quantiles; infinite if N is less than `MIN_PAIRS`.
    """
    band = np.digitize(predicted, bands)
    ends = []
    for number in range(len(bands) + 1):
        of_band = errors[band == number]
        chosen = of_band if len(of_band) >= MIN_PAIRS else errors
        tail = (1 - LEVEL) / 2
        ends.append((-conformal_quantile(-chosen, 1 - tail), conformal_quantile(chosen, 1 - tail)))
    low, high = zip(*ends, strict=True)
    return Offsets(low, high)


def conformal_quantile(scores: np.ndarray, level: float) -> float:
    """The smallest score that a further score of the same distribution does not exceed with the given probability.

    Args:
        scores: (N,) float.
        level: The probability.

    Returns:
        The ceil((N + 1) level)-th smallest score; infinite if N is smaller than that.
    """
    rank = math.ceil((len(scores) + 1) * level - 1e-9)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else math.inf
