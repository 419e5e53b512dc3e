"""The report page of a run: one HTML file that loads nothing else.

Cases are identified by their row in ``images_SPLIT.csv``, so that the page can be passed on to people who must not see
the names of videos and patients.
"""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from echoseg.errors import DataError
from echoseg.metrics.overlap import POOR_DICE
from echoseg.report import charts
from echoseg.report.card import card_sections
from echoseg.report.run_summary import RunSummary, last_part, read_run_summary
from echoseg.report.tables import EF_BAND_COLUMNS, ef_band_rows
from echoseg.report.templating import TEMPLATES
from echoseg.utils.files import replace_file

IDENTIFYING = ("video", "frame", "patient")  # columns from which a case may be identified
_UNKNOWN = "–"
_IMAGE_COLUMNS = {
    "video": ("video", None),
    "frame": ("frame", 0),
    "patient": ("patient", None),
    "phase": ("phase", None),
    "dice": ("Dice", 3),
    "iou": ("IoU", 3),
    "hd95_px": ("HD95, px", 2),
    "assd_px": ("ASSD, px", 2),
    "landmark_error_px": ("landmark error, px", 2),
    "area_px": ("area, px", 0),
    "true_area_px": ("true area, px", 0),
    "review": ("marked for review", None),
}
"""Column of ``images_SPLIT.csv`` → its title and number of decimals; None for text."""
_METRICS = {
    "dice": ("foreground Dice", ".4f"),
    "dice_ci95": ("95 % confidence interval over patients", ".3f"),
    "dice_all_pixels": ("all-pixel Dice, as some papers report", ".4f"),
    "iou": ("IoU", ".4f"),
    "hd95_px": ("HD95, px", ".2f"),
    "assd_px": ("ASSD, px", ".2f"),
    "landmark_error_px": ("mean landmark error, px", ".2f"),
    "loss": ("loss, as in the training", ".4f"),
    "empty_predictions": ("empty predictions", "d"),
    "images": ("images", "d"),
    "patients": ("patients", "d"),
}
"""Entry of ``metrics.json`` → its title and number format."""
_AGREEMENT = {
    "videos": ("videos", "d"),
    "missing": ("missing", "d"),
    "mae": ("MAE", ".1f"),
    "rmse": ("RMSE", ".1f"),
    "r2": ("R²", ".2f"),
    "bias": ("bias", "+.1f"),
    "limits": ("95 % limits of agreement", "+.1f"),
}
_QUANTITIES = {"ef": "EF (percentage points)", "edv": "EDV (ml)", "esv": "ESV (ml)"}
_COMPARED = {"": "predicted, traced frames", "_videos": "predicted, whole videos", "_method": "from the tracings"}
"""Suffix of an entry of ``metrics.json`` → what is compared with the reference."""
_STACKS = {
    "stacks": ("stacks", "d"),
    "volume_dice": ("Dice of the volume", ".3f"),
    "volume_ml": ("predicted volume, ml", ".1f"),
    "true_volume_ml": ("traced volume, ml", ".1f"),
    "bias_ml": ("bias, ml", "+.1f"),
    "mae_ml": ("MAE, ml", ".1f"),
}
_VOLUME_TABLES = {"traced frames": "volumes", "whole videos": "volumes_videos", "stacks of slices": "stacks"}


class Cell(NamedTuple):
    """A cell of a table: the text shown, and the value to sort by."""

    text: str
    value: float | str


class Table(NamedTuple):
    """A table that can be sorted; ``poor`` says which rows are marked."""

    file: str
    head: list[str]
    rows: list[list[Cell]]
    poor: list[bool]


def write_report(folder: Path, out: Path, *, splits: list[str] | None = None, names: bool = False) -> None:
    """Write the report page of a run.

    Args:
        folder: The run folder.
        out: The HTML file to write; an existing one is replaced.
        splits: The splits whose cases are shown; all that were evaluated by default.
        names: Show the names of videos, patients and folders.

    Raises:
        DataError: The folder is not a run folder, a file in it is damaged, or a split was not evaluated.
    """
    text = report(read_run_summary(folder, names=names), splits=splits, names=names)
    out.parent.mkdir(parents=True, exist_ok=True)
    replace_file(out, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def report(run: RunSummary, *, splits: list[str] | None = None, names: bool = False) -> str:
    """The text of the report page; see `write_report`.

    Raises:
        DataError: A split was not evaluated, or a file of the run is damaged.
    """
    if missing := [split for split in splits or () if split not in run.metrics]:
        evaluated = ", ".join(run.metrics) or "none"
        raise DataError(
            f"{run.folder}: the split {missing[0]!r} was not evaluated (evaluated: {evaluated}); run"
            f" 'echoseg evaluate --split {missing[0]}' first"
        )
    return TEMPLATES.get_template("report.html").render(
        run=run,
        names=names,
        tiles=_tiles(run),
        metrics=_metrics(run),
        splits=[_split(run, split, names) for split in splits or run.metrics],
        curves=_curves(run),
        times=_times(run),
        card=card_sections(run),
        settings=_settings(run, names),
    )


def _tiles(run: RunSummary) -> list[tuple[str, str, str]]:
    """The main results of the first split: (title, value, note)."""
    if not run.metrics:
        return []
    split, values = next(iter(run.metrics.items()))
    low, high = values["dice_ci95"]
    tiles = [
        (f"Foreground Dice, {split}", f"{values['dice']:.3f}", f"95 % confidence interval {low:.3f} to {high:.3f}"),
        ("HD95", f"{values['hd95_px']:.2f} px", f"ASSD {values['assd_px']:.2f} px"),
    ]
    if "landmark_error_px" in values:
        note = f"mean of {run.config.landmarks} landmarks"
        tiles.append(("Landmark error", f"{values['landmark_error_px']:.2f} px", note))
    if (ef := values.get("ef")) and ef["mae"] is not None:
        note = f"percentage points, {ef['videos']} videos"
        tiles.append(("Mean absolute error of EF", _number(ef["mae"], ".1f"), note))
    tiles.append(("Evaluated on", f"{values['images']} images", f"{values['patients']} patients"))
    return tiles


def _metrics(run: RunSummary) -> list[list[str]]:
    """Rows of a title and its value in each split; metrics that no split has are left out."""
    rows = [
        [title, *(_number(values.get(name), form) for values in run.metrics.values())]
        for name, (title, form) in _METRICS.items()
    ]
    all_black = [_number(values.get("all_black", {}).get("dice_all_pixels"), ".4f") for values in run.metrics.values()]
    rows.insert(3, ["all-pixel Dice of an empty mask", *all_black])
    blanks = [values.get("blanks") for values in run.metrics.values()]
    left = [f"{entry['empty_predictions']} of {entry['images']}" if entry else _UNKNOWN for entry in blanks]
    dice = [_number(entry["dice_all"], ".4f") if entry else _UNKNOWN for entry in blanks]
    rows += [["blank slices left empty", *left], ["foreground Dice with blank slices", *dice]]
    return [row for row in rows if set(row[1:]) - {_UNKNOWN}]


def _numbers(title: str, entry: dict[str, Any], columns: dict[str, tuple[str, str]]) -> list[str]:
    return [title, *(_number(entry.get(name), form) for name, (_, form) in columns.items())]


def _number(value: Any, form: str) -> str:
    if isinstance(value, list):
        return (" to " if form.startswith("+") else "–").join(_number(part, form) for part in value)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return _UNKNOWN
    return format(value, form)


def _curves(run: RunSummary) -> list[tuple[str, str]]:
    """(caption, chart) of loss and Dice, as far as the log of the training has them."""
    log = run.table("log.csv")
    if log is None:
        return []
    return [
        (f"{label[0].upper()}{label[1:]} by epoch", charts.curves_chart(log["epoch"], curves, label))
        for label, curves in charts.training_curves(log).items()
        if curves
    ]


_TIMES = {
    "training": "training",
    "epoch": "training, mean of an epoch",
    "prediction": "testing: prediction",
    "measures": "testing: measures",
    "outputs": "tables and figures",
}
"""Entry of `seconds` in ``metrics.json`` → its title."""


def _times(run: RunSummary) -> list[list[str]]:
    """Rows of a title and the seconds of each split; times that no split has are left out."""
    rows = []
    for name, title in _TIMES.items():
        values = [metrics.get("seconds", {}).get(name) for metrics in run.metrics.values()]
        seconds = [sum(value.values()) if isinstance(value, dict) else value for value in values]
        rows.append([title, *(_number(value, ".1f") for value in seconds)])
    return [row for row in rows if set(row[1:]) - {_UNKNOWN}]


def _split(run: RunSummary, split: str, names: bool) -> dict[str, Any]:
    """What the template needs of a split."""
    metrics = run.metrics[split]
    found: dict[str, Any] = {"name": split, "metrics": metrics}
    if names:
        found["data"] = last_part(str(metrics.get("data", "")))
    images = run.table(f"images_{split}.csv")
    if images is not None and len(images):
        found["histogram"] = charts.dice_histogram(images["dice"])
        found["cases"] = _table(images.sort_values("dice", kind="stable"), f"images_{split}.csv", _IMAGE_COLUMNS, names)
        errors = images[[name for name in images if re.fullmatch(r"error\d+_px", name)]]
        if errors.shape[1]:
            found["landmarks"] = charts.landmark_boxes(errors)
            found["landmark_note"] = _landmark_note(run.config.scheme, errors.shape[1])
    if calibration := metrics.get("calibration"):
        found["calibration"] = charts.calibration_curve(calibration)
        found["levels"] = [f"{level} %" for level in next(iter(calibration.values()))]
        found["coverage"] = [
            [{"ef": "EF"}.get(name, name), *(f"{100 * share:.0f} %" for share in shares.values())]
            for name, shares in calibration.items()
        ]
    for name in ("overlay", "bland_altman", "bland_altman_videos", "attention"):
        path = run.folder / "figures" / f"{name}_{split}.png"
        if path.exists():
            found[name] = charts.png_data_url(path)
    return {**found, **_volumes(run, split, names)}


def _volumes(run: RunSummary, split: str, names: bool) -> dict[str, Any]:
    """What the template needs of a split's volumes: agreement with the reference, and tables by video and by stack."""
    metrics = run.metrics[split]
    entries = {
        f"{title}: {compared}": metrics.get(quantity + suffix)
        for quantity, title in _QUANTITIES.items()
        for suffix, compared in _COMPARED.items()
    }
    agreement = [_numbers(title, entry, _AGREEMENT) for title, entry in entries.items() if entry]
    by_phase = metrics.get("stacks", {})
    stacks = [
        _numbers({"any": "unknown"}.get(phase, phase), entry, _STACKS)
        for phase, entry in by_phase.items()
        if phase != "ef"
    ]
    tables = {}
    for title, name in _VOLUME_TABLES.items():
        file = f"{name}_{split}.csv"
        table = run.table(file)
        if table is not None and len(table):
            tables[title] = _table(table, file, _volume_columns(table), names)
    bands = ef_band_rows(metrics.get("ef_bands", {}), "traced frames")
    bands += ef_band_rows(metrics.get("ef_bands_videos", {}), "whole videos")
    return {
        "agreement": (["", *(title for title, _ in _AGREEMENT.values())], agreement),
        "ef_bands": (["", *EF_BAND_COLUMNS], bands),
        "stacks": (["phase", *(title for title, _ in _STACKS.values())], stacks),
        "stacks_ef": by_phase.get("ef"),
        "volumes": tables,
    }


def _volume_columns(table: pd.DataFrame) -> dict[str, tuple[str, int | None]]:
    """Column of a table of volumes → its title and number of decimals; None for text."""
    units = sorted(set(table["unit"].dropna())) if "unit" in table else ["ml"]
    unit = " or ".join(units).replace("px3", "px³")
    columns: dict[str, tuple[str, int | None]] = {
        "video": ("video", None),
        "patient": ("patient", None),
        "view": ("view", None),
        "phase": ("phase", None),
        "slices": ("slices", 0),
        "dice": ("Dice of its slices", 3),
        "volume_dice": ("Dice of its volume", 3),
        "volume_ml": ("predicted volume, ml", 1),
        "true_volume_ml": ("traced volume, ml", 1),
    }
    for quantity in ("ef", "edv", "esv"):
        for prefix, source in (("", "predicted"), ("true_", "traced"), ("listed_", "listed")):
            unit_of_column = "%" if quantity == "ef" else "ml" if source == "listed" else unit
            columns[prefix + quantity] = (f"{quantity.upper()}, {source}, {unit_of_column}", 1)
    columns |= {"ef_low": ("EF, 90 % interval from, %", 1), "ef_high": ("to, %", 1)}
    return columns | {"ef_area_length": ("EF by area–length, %", 1), "beats": ("beats", 0)}


def _table(data: pd.DataFrame, file: str, columns: dict[str, tuple[str, int | None]], names: bool) -> Table:
    """Make a table of the known columns that have values, after the number of each row in its file."""
    shown = {
        name: column
        for name, column in columns.items()
        if name in data and data[name].notna().any() and (names or name not in IDENTIFYING)
    }
    rows = [
        [Cell(str(i + 1), i + 1), *(_cell(row[name], decimals) for name, (_, decimals) in shown.items())]
        for i, row in zip(data.index, data.to_dict("records"), strict=True)
    ]
    poor = (data["dice"] < POOR_DICE).tolist() if "dice" in data else [False] * len(data)
    number = "case" if file.startswith("images") else "row"
    return Table(file, [number, *(title for title, _ in shown.values())], rows, poor)


def _cell(value: Any, decimals: int | None) -> Cell:
    if pd.isna(value):
        return Cell(_UNKNOWN, "")
    if decimals is None:
        text = value if isinstance(value, str) else {0: "", 1: "yes"}.get(value, str(value))
        return Cell(text, text)
    return Cell(f"{value:.{decimals}f}", float(value))


def _landmark_note(scheme: str | None, count: int) -> str:
    """Which landmark is which; see ``geometry.landmarks``."""
    if scheme != "anatomical":
        return ""
    return f" Landmark 0 is the apex; {count // 2} and {count // 2 + 1} are the ends of the mitral annulus."


def _settings(run: RunSummary, names: bool) -> list[tuple[str, str]]:
    def text(value: Any) -> str:
        parts = value if isinstance(value, (list, tuple)) else [value]
        return _UNKNOWN if value is None else " ".join(last_part(str(part)) for part in parts)

    settings = {**dataclasses.asdict(run.config), "data": run.data}
    if settings["corrections"] and not names:
        settings["corrections"] = "yes"
    return [(name, text(value)) for name, value in settings.items()]
