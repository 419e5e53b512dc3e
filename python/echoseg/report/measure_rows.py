"""Rows of the tables of measures and of agreement, for the terminal and the report page."""

from __future__ import annotations

import math
from typing import Any

from echoseg.metrics.agreement import MIN_VIDEOS, NEED_MANY

MEASURES = {
    "dice": ("foreground Dice", 4),
    "dice_all_pixels": ("all-pixel Dice", 4),
    "iou": ("IoU", 4),
    "area_similarity": ("area similarity", 4),
    "hd95_px": ("HD95, px", 2),
    "hd95_mm": ("HD95, mm", 2),
    "assd_px": ("ASSD, px", 2),
    "assd_mm": ("ASSD, mm", 2),
    "masd_px": ("mean contour distance, px", 2),
    "masd_mm": ("mean contour distance, mm", 2),
    "nsd_1px": ("NSD, tolerance 1 px", 3),
    "nsd_2px": ("NSD, tolerance 2 px", 3),
    "nsd_2mm": ("NSD, tolerance 2 mm", 3),
    "landmark_error_px": ("landmark error, px", 2),
}
"""Measure of an image → its title and number of decimals."""
MEASURE_COLUMNS = ("mean", "95 % interval", "median", "95 % interval of the median")

_QUANTITIES = {"ef": "EF, points", "edv": "EDV, ml", "esv": "ESV, ml"}
_COMPARED = {"": "traced frames", "_videos": "whole videos", "_method": "from the tracings"}
"""Suffix of an entry of ``metrics.json`` → what is compared with the reference."""
_STATISTICS = {
    "mae": ("MAE", ".2f"),
    "rmse": ("RMSE", ".2f"),
    "bias": ("bias", "+.2f"),
    "lower": ("lower 95 % limit of agreement", "+.1f"),
    "upper": ("upper 95 % limit of agreement", "+.1f"),
    "r2": ("R²", ".2f"),
    "pearson": ("Pearson's r", ".3f"),
    "ccc": ("CCC", ".3f"),
    "icc": ("ICC(2,1)", ".3f"),
    "slope": ("slope of Deming regression", ".2f"),
}
_LIMITS = ("lower", "upper")


def measure_rows(metrics: dict[str, Any]) -> list[list[str]]:
    """Format the measures of one split.

    Args:
        metrics: The entry of the split in ``metrics.json``, which may be one of an earlier version.

    Returns:
        For each measure, its title and the values of ``MEASURE_COLUMNS``, "" where they are unknown.
    """
    rows = []
    for name, (title, decimals) in MEASURES.items():
        if (mean := number(metrics.get(name), f".{decimals}f")) == "":
            continue
        ends = [metrics.get(key, {}).get(name) for key in ("ci95", "median_ci95")]
        if name == "dice":
            ends[0] = metrics["dice_ci95"]
        limits = [span(end, f".{decimals}f") for end in ends]
        rows.append([title, mean, limits[0], number(metrics.get("median", {}).get(name), f".{decimals}f"), limits[1]])
    return rows


def count_rows(metrics: dict[str, Any]) -> dict[str, str]:
    """Format numbers of images of one split.

    Args:
        metrics: The entry of the split in ``metrics.json``, which may be one of an earlier version.

    Returns:
        Title → number, of those that the split has.
    """
    is_averaged = metrics.get("blanks_averaged", False)
    titles = {
        "empty_predictions": "empty predictions",
        "both_empty": "both masks empty, with a Dice of 1" if is_averaged else "not applicable: both masks empty",
        "images_mm": "images with distances in mm",
    }
    rows = {title: str(metrics[name]) for name, title in titles.items() if name in metrics}
    if failures := metrics.get("failures"):
        rows["failures: Dice below 0.8 or HD95 above 10 px"] = str(failures["images"])
    if blanks := metrics.get("blanks"):
        rows["blank slices left empty"] = f"{blanks['empty_predictions']} of {blanks['images']}"
        rows["foreground Dice with blank slices"] = f"{blanks['dice_all']:.4f}"
    return rows


def coverage_table(calibration: dict[str, dict[str, float]], title: str) -> tuple[list[str], list[list[str]]]:
    """Format the entry ``calibration`` of a split: how often the truth lies in its predicted interval.

    Args:
        calibration: By quantity and level of the interval in percent, the share.
        title: The title of the first column.

    Returns:
        The titles of the columns, and a row for each quantity.
    """
    levels = [f"{level} %" for level in next(iter(calibration.values()))]
    rows = [
        [{"ef": "EF"}.get(name, name), *(f"{100 * share:.0f} %" for share in shares.values())]
        for name, shares in calibration.items()
    ]
    return [title, *levels], rows


SUBGROUP_COLUMNS = {
    "images": ("images", "d"),
    "patients": ("patients", "d"),
    "dice": ("Dice", ".3f"),
    "dice_ci95": ("95 % interval", ".3f"),
    "nsd_2px": ("NSD, 2 px", ".3f"),
    "nsd_2mm": ("NSD, 2 mm", ".3f"),
    "hd95_px": ("HD95, px", ".2f"),
    "hd95_mm": ("HD95, mm", ".2f"),
    "failures": ("failures", "d"),
}
"""Entry of a subgroup → its title and number format."""


def subgroup_table(metrics: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Format the entry ``subgroups`` of a split.

    Args:
        metrics: The entry of the split in ``metrics.json``.

    Returns:
        The titles of the columns and a row for each group, whose title names the property and the group.
    """
    groups = metrics.get("subgroups", [])
    columns = (
        {name: value for name, value in SUBGROUP_COLUMNS.items() if name == "dice_ci95" or name in groups[0]}
        if groups
        else {}
    )
    rows = []
    for group in groups:
        values = {**group, "dice_ci95": [group["dice_low"], group["dice_high"]]}
        cells = [
            span(values[name], form) if name == "dice_ci95" else number(values[name], form)
            for name, (_, form) in columns.items()
        ]
        rows.append([f"{group['by']}: {group['group']}", *cells])
    return ["subgroup", *(title for title, _ in columns.values())], rows


def agreement_table(metrics: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Format the agreement of EF and volumes with their reference.

    Args:
        metrics: The entry of the split in ``metrics.json``, which may be one of an earlier version.

    Returns:
        The titles of the columns, one for each quantity and way to compute it, after that of the rows; and a row for
        each statistic. Each number is followed by its 95 % interval. Both are empty if the split has no volumes.
    """
    entries = {
        f"{title}, {compared}": metrics[quantity + suffix]
        for quantity, title in _QUANTITIES.items()
        for suffix, compared in _COMPARED.items()
        if quantity + suffix in metrics
    }
    if not entries:
        return [], []
    rows = [[name, *(str(entry.get(name, "")) for entry in entries.values())] for name in ("videos", "missing")]
    for name, (title, form) in _STATISTICS.items():
        row = [_statistic(entry, name, form) for entry in entries.values()]
        if any(row):
            rows.append([title, *row])
    return ["agreement (95 % intervals)", *entries], rows


def _statistic(entry: dict[str, Any], name: str, form: str) -> str:
    """A number and its interval in brackets."""
    if name in _LIMITS:
        value, ends = ((entry.get(key) or [None, None])[_LIMITS.index(name)] for key in ("limits", "limits_ci95"))
    else:
        value, ends = entry.get(name), (entry.get("ci95") or {}).get(name)
    if name in NEED_MANY and 0 < entry["videos"] < MIN_VIDEOS:
        return "too few videos"
    if value is None:
        return ""
    return with_interval(value, ends, form)


def with_interval(value: float | None, ends: list[float] | None, form: str) -> str:
    """A number, followed by its interval in brackets if it is known."""
    limits = span(ends, form)
    return number(value, form) + (f" ({limits})" if limits else "")


def number(value: float | None, form: str) -> str:
    """A number; "" if it is unknown."""
    return "" if value is None or not math.isfinite(value) else format(value, form)


def span(ends: list[Any] | None, form: str) -> str:
    """The two ends of an interval; "" if they are unknown."""
    if ends is None or any(end is None or not math.isfinite(end) for end in ends):
        return ""
    return (" to " if form.startswith("+") or min(ends) < 0 else "–").join(format(end, form) for end in ends)
