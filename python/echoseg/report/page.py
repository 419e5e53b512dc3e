"""One HTML page that says what a run is worth: nothing beside it is needed, no network either.

Cases go by their row in ``images_SPLIT.csv``, so that the page can be shown to those who must not read names.
"""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from echoseg.errors import DataError
from echoseg.report import charts
from echoseg.report.card import card_sections
from echoseg.report.html import TEMPLATES
from echoseg.report.run import Run, read_run, without_folders
from echoseg.utils.files import replace_file

POOR = 0.8  # Dice; such cases are marked
NAMES = ("video", "frame", "patient")  # columns that may tell who a case is
_COLUMNS = {
    "video": ("video", None),
    "frame": ("frame", 0),
    "patient": ("patient", None),
    "phase": ("phase", None),
    "dice": ("Dice", 3),
    "iou": ("IoU", 3),
    "hd95_px": ("HD95, px", 2),
    "assd_px": ("ASSD, px", 2),
    "landmark_error_px": ("landmarks, px", 2),
    "area_px": ("area, px", 0),
    "true_area_px": ("true area, px", 0),
    "review": ("look again", None),
}
_VOLUMES = {
    "video": ("video", None),
    "patient": ("patient", None),
    "view": ("view", None),
    "phase": ("phase", None),
    "slices": ("slices", 0),
    "dice": ("Dice of its slices", 3),
    "volume_dice": ("Dice of its volume", 3),
    "volume_ml": ("volume, ml", 1),
    "true_volume_ml": ("traced, ml", 1),
    **{
        f"{whose}{what}": (f"{what.upper()}{said}", 1)
        for what in ("ef", "edv", "esv")
        for whose, said in (("", ""), ("true_", ", traced"), ("listed_", ", listed"))
    },
    "ef_area_length": ("EF, area–length", 1),
    "beats": ("beats", 0),
}
_MEASURES = {
    "dice": ("foreground Dice", ".4f"),
    "dice_ci95": ("its 95% interval over patients", ".3f"),
    "dice_all_pixels": ("all-pixel Dice, as some papers report", ".4f"),
    "iou": ("IoU", ".4f"),
    "hd95_px": ("HD95, px", ".2f"),
    "assd_px": ("ASSD, px", ".2f"),
    "landmark_error_px": ("landmark error, px", ".2f"),
    "empty_predictions": ("empty predictions", "d"),
    "images": ("images", "d"),
    "patients": ("patients", "d"),
}
_AGREEMENT = {
    "videos": ("videos", "d"),
    "missing": ("without", "d"),
    "mae": ("MAE", ".1f"),
    "rmse": ("RMSE", ".1f"),
    "r2": ("R²", ".2f"),
    "bias": ("bias", "+.1f"),
    "limits": ("95% limits", "+.1f"),
}
_COMPARED = {"": "traced frames", "_videos": "whole videos, by beats", "_method": "the tracings themselves"}
_STACK = {
    "stacks": ("stacks", "d"),
    "volume_dice": ("Dice of the volume", ".3f"),
    "volume_ml": ("predicted, ml", ".1f"),
    "true_volume_ml": ("traced, ml", ".1f"),
    "bias_ml": ("bias, ml", "+.1f"),
    "mae_ml": ("MAE, ml", ".1f"),
}


class Cell(NamedTuple):
    """One cell of a table: what is shown, and what it is sorted by."""

    text: str
    value: float | str


class Table(NamedTuple):
    """A table that can be sorted; ``poor`` are the rows to be marked."""

    file: str
    head: list[str]
    rows: list[list[Cell]]
    poor: list[bool]


def write_report(folder: Path, out: Path, *, splits: list[str] | None = None, names: bool = False) -> None:
    """Write a run's page.

    Args:
        folder: of the run.
        out: HTML file to write; replaced where it exists.
        splits: whose cases are shown; default: all that were evaluated.
        names: show videos, patients and folders by name too.

    Raises:
        DataError: no run, a damaged file in it, or a split that was not evaluated.
    """
    text = report(read_run(folder, names=names), splits=splits, names=names)
    out.parent.mkdir(parents=True, exist_ok=True)
    replace_file(out, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def report(run: Run, *, splits: list[str] | None = None, names: bool = False) -> str:
    """The page's text; see ``write_report``."""
    if missing := [split for split in splits or () if split not in run.metrics]:
        known = ", ".join(run.metrics) or "none"
        raise DataError(f"{run.folder}: {missing[0]!r} was not evaluated (but {known}); run 'echoseg evaluate' first")
    return TEMPLATES.get_template("report.html").render(
        run=run,
        names=names,
        tiles=_tiles(run),
        measures=_measures(run),
        splits=[_split(run, split, names) for split in splits or run.metrics],
        curves=_curves(run),
        card=card_sections(run),
        settings=_settings(run, names),
    )


def _tiles(run: Run) -> list[tuple[str, str, str]]:
    """The headline: (what, how much, beside it) of the first split."""
    if not run.metrics:
        return []
    split, values = next(iter(run.metrics.items()))
    low, high = values["dice_ci95"]
    tiles = [
        (f"foreground Dice, {split}", f"{values['dice']:.3f}", f"95% interval {low:.3f} to {high:.3f}"),
        ("HD95", f"{values['hd95_px']:.2f} px", f"ASSD {values['assd_px']:.2f} px"),
    ]
    if "landmark_error_px" in values:
        tiles.append(("landmark error", f"{values['landmark_error_px']:.2f} px", f"{run.config.landmarks} landmarks"))
    if ef := values.get("ef"):
        tiles.append(("EF, mean absolute error", f"{ef['mae']:.1f} points", f"{ef['videos']} videos"))
    tiles.append(("measured on", f"{values['images']} images", f"{values['patients']} patients"))
    return tiles


def _measures(run: Run) -> list[list[str]]:
    """(measure, its value a split); measures that no split has are left out."""
    rows = [
        (title, [_number(values.get(key), form) for values in run.metrics.values()])
        for key, (title, form) in _MEASURES.items()
    ]
    black = (
        "all-pixel Dice of an all-black mask",
        [_number(v.get("all_black", {}).get("dice_all_pixels"), ".4f") for v in run.metrics.values()],
    )
    rows.insert(3, black)
    return [[title, *values] for title, values in rows if any(value != "–" for value in values)]


def _numbers(label: str, entry: dict[str, Any], columns: dict[str, tuple[str, str]]) -> list[str]:
    return [label, *(_number(entry.get(name), form) for name, (_, form) in columns.items())]


def _number(value: Any, form: str) -> str:
    if isinstance(value, list):
        return (" to " if form[0] == "+" else "–").join(_number(part, form) for part in value)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    return format(value, form)


def _curves(run: Run) -> list[tuple[str, str]]:
    """(caption, chart) of the training; of what was not measured, none."""
    log = run.table("log.csv")
    if log is None:
        return []
    columns = {"train_loss": "training loss", "val_dice": "validation Dice"}
    shown = {name: label for name, label in columns.items() if log[name].notna().any()}
    return [(f"The {label} by epoch", charts.curve(log["epoch"], log[name], label)) for name, label in shown.items()]


def _split(run: Run, split: str, names: bool) -> dict[str, Any]:
    """What the page shows of one split."""
    values = run.metrics[split]
    shown: dict[str, Any] = {"name": split, "metrics": values}
    if names:
        shown["data"] = without_folders(str(values.get("data", "")))
    images = run.table(f"images_{split}.csv")
    if images is not None and len(images):
        shown["histogram"] = charts.dice_histogram(images["dice"])
        shown["cases"] = _table(images.sort_values("dice", kind="stable"), f"images_{split}.csv", _COLUMNS, names)
        errors = images[[name for name in images if re.fullmatch(r"error\d+_px", name)]]
        if errors.shape[1]:
            shown["landmarks"] = charts.landmark_boxes(errors)
            shown["landmark_note"] = _landmark_note(run.config.scheme, errors.shape[1])
    if calibration := values.get("calibration"):
        shown["calibration"] = charts.calibration(calibration)
        shown["levels"] = [f"{level}%" for level in next(iter(calibration.values()))]
        shown["shares"] = [
            [{"ef": "EF"}.get(name, name), *(f"{100 * share:.0f}%" for share in of.values())]
            for name, of in calibration.items()
        ]
    for name in ("overlay", "bland_altman", "bland_altman_videos", "attention"):
        path = run.folder / "figures" / f"{name}_{split}.png"
        if path.exists():
            shown[name] = charts.png_address(path)
    return {**shown, **_volumes(run, split, names)}


def _volumes(run: Run, split: str, names: bool) -> dict[str, Any]:
    """What the page shows of a split's volumes: comparisons, and tables by video and by stack."""
    values = run.metrics[split]
    entries = {
        f"{what.upper()}, {said}": values.get(what + whose)
        for what in ("ef", "edv", "esv")
        for whose, said in _COMPARED.items()
    }
    compared = [_numbers(label, entry, _AGREEMENT) for label, entry in entries.items() if entry]
    by_phase = values.get("stacks", {})
    stacks = [_numbers(phase, entry, _STACK) for phase, entry in by_phase.items() if phase != "ef"]
    files = {"traced frames": "volumes", "whole videos, by beats": "volumes_videos", "stacks of slices": "stacks"}
    tables = {title: (f"{file}_{split}.csv", run.table(f"{file}_{split}.csv")) for title, file in files.items()}
    units = {unit for _, table in tables.values() if table is not None and "unit" in table for unit in table["unit"]}
    return {
        "agreement": (["", *(title for title, _ in _AGREEMENT.values())], compared),
        "stacks": (["", *(title for title, _ in _STACK.values())], stacks),
        "stacks_ef": by_phase.get("ef"),
        "units": ", ".join(sorted(units)),
        "volumes": {
            title: _table(table, file, _VOLUMES, names)
            for title, (file, table) in tables.items()
            if table is not None and len(table)
        },
    }


def _table(data: pd.DataFrame, file: str, columns: dict[str, tuple[str, int | None]], names: bool) -> Table:
    """The columns that are known, and before them a row's number in the file; columns without a value are left out."""
    kept = {
        name: known
        for name, known in columns.items()
        if name in data and data[name].notna().any() and (names or name not in NAMES)
    }
    rows = [
        [Cell(str(i + 1), i + 1), *(_cell(row[name], digits) for name, (_, digits) in kept.items())]
        for i, row in zip(data.index, data.to_dict("records"), strict=True)
    ]
    poor = (data["dice"] < POOR).tolist() if "dice" in data else [False] * len(data)
    number = "case" if file.startswith("images") else "row"
    return Table(file, [number, *(title for title, _ in kept.values())], rows, poor)


def _cell(value: Any, digits: int | None) -> Cell:
    if pd.isna(value):
        return Cell("–", "")
    if digits is None:
        said = {0: "", 1: "yes"}.get(value, str(value)) if not isinstance(value, str) else value
        return Cell(said, said)
    return Cell(f"{value:.{digits}f}", float(value))


def _landmark_note(scheme: str | None, count: int) -> str:
    """Which landmark is which; see ``geometry.landmarks``."""
    if scheme != "anatomical":
        return ""
    return f"; clockwise from the apex, 0; {count // 2} and {count // 2 + 1} are the ends of the mitral annulus"


def _settings(run: Run, names: bool) -> list[tuple[str, str]]:
    def said(value: Any) -> str:
        parts = value if isinstance(value, (list, tuple)) else [value]
        return "–" if value is None else " ".join(without_folders(str(part)) for part in parts)

    settings = {**dataclasses.asdict(run.config), "data": run.data}
    if settings["corrections"] and not names:
        settings["corrections"] = "some"
    return [(name, said(value)) for name, value in settings.items()]
