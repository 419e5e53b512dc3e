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
from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape

from echoseg.data.files import replace_file
from echoseg.errors import DataError
from echoseg.report import charts
from echoseg.report.card import card_sections
from echoseg.report.run import Run, read_run, without_folders

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
    **{
        f"{whose}{what}": (f"{what.upper()}{said}", 1)
        for what in ("edv", "esv", "ef")
        for whose, said in (("", ""), ("true_", ", traced"), ("listed_", ", listed"))
    },
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
_EF = {
    "mae": ("EF, mean absolute error, points", ".2f"),
    "rmse": ("EF, root mean square error, points", ".2f"),
    "r2": ("EF, R²", ".3f"),
    "bias": ("EF, bias, points", ".2f"),
    "limits": ("EF, limits of agreement, points", "+.1f"),
}


class Cell(NamedTuple):
    """One cell of a table: what is shown, and what it is sorted by."""

    text: str
    value: float | str


class Table(NamedTuple):
    """A table that can be sorted."""

    head: list[str]
    rows: list[list[Cell]]
    poor: list[bool]


def write_report(folder: Path, out: Path, *, splits: list[str] | None = None, names: bool = False) -> None:
    """Write a run's page.

    Args:
        folder: of the run.
        out: HTML file to write; replaced where it exists.
        splits: whose cases are shown; default: all that were evaluated.
        names: show videos and patients by name too.

    Raises:
        DataError: no run, a damaged file in it, or a split that was not evaluated.
    """
    text = report(read_run(folder), splits=splits, names=names)
    out.parent.mkdir(parents=True, exist_ok=True)
    replace_file(out, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def report(run: Run, *, splits: list[str] | None = None, names: bool = False) -> str:
    """The page's text; see ``write_report``."""
    if missing := [split for split in splits or () if split not in run.metrics]:
        known = ", ".join(run.metrics) or "none"
        raise DataError(f"{run.folder}: {missing[0]!r} was not evaluated (but {known}); run 'echoseg evaluate' first")
    environment = Environment(
        loader=PackageLoader("echoseg.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["code"] = _code
    return environment.get_template("report.html").render(
        run=run,
        names=names,
        tiles=_tiles(run),
        measures=_measures(run),
        splits=[_split(run, split, names) for split in splits or run.metrics],
        curves=_curves(run),
        card=card_sections(run),
        settings=_settings(run),
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


def _measures(run: Run) -> list[tuple[str, list[str]]]:
    """(measure, its value a split); measures that no split has are left out."""
    ours = [
        (title, [_number(values.get(key), form) for values in run.metrics.values()])
        for key, (title, form) in _MEASURES.items()
    ]
    black = (
        "all-pixel Dice of an all-black mask",
        [_number(v.get("all_black", {}).get("dice_all_pixels"), ".4f") for v in run.metrics.values()],
    )
    ours.insert(3, black)
    for key, whose in (("ef", ""), ("ef_method", " of the tracings' own volumes")):
        for name, (title, form) in _EF.items():
            ours.append((title + whose, [_number(v.get(key, {}).get(name), form) for v in run.metrics.values()]))
    return [(title, values) for title, values in ours if any(value != "–" for value in values)]


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
    shown: dict[str, Any] = {"name": split, "metrics": values, "data": without_folders(str(values.get("data", "")))}
    images, volumes = run.table(f"images_{split}.csv"), run.table(f"volumes_{split}.csv")
    if images is not None and len(images):
        shown["histogram"] = charts.dice_histogram(images["dice"])
        shown["cases"] = _table(images, _COLUMNS, names, by="dice")
        errors = images[[name for name in images if re.fullmatch(r"error\d+_px", name)]]
        if errors.shape[1]:
            shown["landmarks"] = charts.landmark_boxes(errors)
            shown["landmark_note"] = _landmark_note(run.config.scheme, errors.shape[1])
    if volumes is not None and len(volumes):
        shown["volumes"] = _table(volumes, _VOLUMES, names, by="video")
        shown["unit"] = ", ".join(sorted(set(volumes.get("unit", pd.Series(dtype=str)).dropna())))
    if calibration := values.get("calibration"):
        shown["calibration"] = charts.calibration(calibration)
        shown["levels"] = list(next(iter(calibration.values())))
    for name in ("overlay", "bland_altman", "attention"):
        path = run.folder / "figures" / f"{name}_{split}.png"
        if path.exists():
            shown[name] = charts.png_address(path)
    return shown


def _table(data: pd.DataFrame, columns: dict[str, tuple[str, int | None]], names: bool, by: str) -> Table:
    """Rows with their number in the file, the lowest of ``by`` first."""
    kept = {name: known for name, known in columns.items() if name in data and (names or name not in NAMES)}
    order = data[by].argsort(kind="stable")
    dice = data.get("dice", pd.Series(1.0, index=data.index))
    rows = [
        [Cell(str(i + 1), i + 1), *(_cell(data[name].iloc[i], digits) for name, (_, digits) in kept.items())]
        for i in order
    ]
    return Table(["case", *(title for title, _ in kept.values())], rows, [bool(dice.iloc[i] < POOR) for i in order])


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


def _settings(run: Run) -> list[tuple[str, str]]:
    values = {**dataclasses.asdict(run.config), "data": run.data}
    return [
        (name, " ".join(map(str, value)) if isinstance(value, (list, tuple)) else "–" if value is None else str(value))
        for name, value in values.items()
    ]


def _code(line: str) -> Markup:
    """Text with its `code` and links marked up."""
    text = re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(line)))
    return Markup(re.sub(r"(https://[^\s<)]+[^\s<).,])", r'<a href="\1">\1</a>', text))
