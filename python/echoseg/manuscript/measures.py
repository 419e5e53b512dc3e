"""The definitions of the measures of a paper, and numbers as text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from echoseg.report.measure_rows import MEASURES, measure_rows

DEFINITIONS = {
    "dice": "the foreground Dice, 2|A∩B| / (|A| + |B|) of the predicted mask A and the reference B",
    "dice_all_pixels": "the Dice of all pixels, which is the share of pixels that are right",
    "iou": "the intersection over union, |A∩B| / |A∪B|",
    "area_similarity": "the similarity of the areas, 1 - ||A| - |B|| / (|A| + |B|)",
    "hd95": "the 95th percentile of the distances between the two borders (HD95)",
    "assd": "the average symmetric surface distance (ASSD)",
    "masd": "the mean contour distance, the mean of the two mean distances from border to border",
    "nsd": "the normalised surface Dice (NSD), the share of the two borders that lies within a tolerance of the other",
    "landmark_error": "the mean distance between predicted and reference landmarks",
}
"""Measure without its unit and tolerance → what it is."""
AGREEMENT_TERMS = {
    "mae": "the mean absolute error (MAE)",
    "rmse": "the root mean square error (RMSE)",
    "bias": "the bias, the mean of prediction minus reference",
    "limits": "the limits of agreement, the bias ± 1.96 standard deviations of the errors (Bland and Altman, 1986)",
    "r2": "R², 1 minus the ratio of the squared errors to the variance of the reference",
    "pearson": "Pearson's correlation",
    "ccc": "Lin's concordance correlation coefficient (CCC, 1989)",
    "icc": "the intraclass correlation ICC(2,1) (Shrout and Fleiss, 1979)",
    "slope": "the slope of Deming regression",
}
"""Entry of an agreement in `metrics.json` → what it is."""
QUANTITIES = ("ef", "edv", "esv")


def definitions_of(metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    """The definitions of the measures that any of the splits has."""
    stems = (re.sub(r"_\d*(px|mm)$", "", name) for name in MEASURES if any(name in values for values in metrics))
    return [DEFINITIONS[stem] for stem in dict.fromkeys(stems)]


def agreement_terms_of(metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    """The definitions of the statistics of agreement that any of the splits has."""
    entries = [values[quantity] for values in metrics for quantity in QUANTITIES if quantity in values]
    return [text for name, text in AGREEMENT_TERMS.items() if any(entry.get(name) is not None for entry in entries)]


def measures_in_words(metrics: dict[str, Any]) -> str:
    """The measures of a split with their intervals, as one phrase."""
    return "; ".join(
        f"{title} {minus(mean)}{f' ({minus(interval)})' if interval else ''}"
        for title, mean, interval, *_ in measure_rows(metrics)
    )


def minus(text: str) -> str:
    """Text in which numbers have a minus sign in place of a hyphen."""
    return re.sub(r"(?<![\w.])-(?=\d)", "−", text)
