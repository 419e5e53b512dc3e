"""The measures of a paper: their titles, numbers of decimals and definitions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple


class Measure(NamedTuple):
    """A measure of a split.

    Attributes:
        title: Its name with its unit.
        form: The format of its value.
        definition: What it is, a noun phrase; "" if its title says that.
    """

    title: str
    form: str
    definition: str = ""


MEASURES = {
    "dice": Measure(
        "foreground Dice",
        ".3f",
        "the foreground Dice, the mean over images of 2|A∩B| / (|A| + |B|) of the predicted mask A and the reference B,"
        " where an empty prediction counts as 0",
    ),
    "iou": Measure("IoU", ".3f", "the intersection over union, |A∩B| / |A∪B|"),
    "hd95_px": Measure(
        "HD95, px",
        ".2f",
        "the 95th percentile of the distances between the two borders (HD95), in pixels of the network",
    ),
    "assd_px": Measure("ASSD, px", ".2f", "the average symmetric surface distance (ASSD), in pixels of the network"),
    "landmark_error_px": Measure(
        "landmark error, px", ".2f", "the mean distance between predicted and reference landmarks, in pixels"
    ),
    "empty_predictions": Measure("empty predictions", "d"),
}
"""Entry of `metrics.json` → the measure; the interval of NAME is in NAME_ci95 if it is known."""
AGREEMENT = {
    "videos": Measure("videos", "d"),
    "missing": Measure("missing", "d"),
    "mae": Measure("MAE", ".2f", "the mean absolute error (MAE)"),
    "rmse": Measure("RMSE", ".2f", "the root mean square error (RMSE)"),
    "bias": Measure("bias", "+.2f", "the bias, the mean of prediction minus reference"),
    "limits": Measure(
        "95 % limits", "+.1f", "the limits of agreement, the bias ± 1.96 standard deviations of the differences"
    ),
    "r2": Measure(
        "R²", ".2f", "the coefficient of determination (R²), 1 minus the ratio of the squared errors to the variance"
    ),
}
"""Entry of an agreement in `metrics.json` → the measure."""
QUANTITIES = {"ef": "EF, percentage points", "edv": "EDV, ml", "esv": "ESV, ml"}
COMPARED = {"": "traced frames", "_videos": "whole videos", "_method": "tracings themselves"}
"""Suffix of an entry of `metrics.json` → what is compared with the reference."""
UNKNOWN = "–"


def show(value: Any, form: str) -> str:
    """A number, or a pair of numbers, as text; "–" if it is unknown."""
    if isinstance(value, (list, tuple)):
        return " to ".join(show(part, form) for part in value)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return UNKNOWN
    return format(value, form).replace("-", "−")


def counted(number: int, noun: str) -> str:
    """A number with its noun in the singular or in the plural."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def with_interval(values: Mapping[str, Any], name: str, form: str) -> str:
    """A value with its 95 % interval in parentheses, if the interval is known."""
    text, interval = show(values.get(name), form), values.get(f"{name}_ci95")
    return f"{text} ({show(interval, form)})" if interval is not None and text != UNKNOWN else text


def agreements_of(metrics: Mapping[str, Any]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The agreements of a split that have a value, by quantity and suffix; see `QUANTITIES` and `COMPARED`."""
    return {
        (quantity, suffix): metrics[quantity + suffix]
        for quantity in QUANTITIES
        for suffix in COMPARED
        if metrics.get(quantity + suffix, {}).get("mae") is not None
    }
