"""The report page of a run: one HTML file that loads nothing else.

Cases are identified by their row in ``images_SPLIT.csv``, so that the page can be passed on to people who must not see
the names of videos and patients.
"""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import Any

import pandas as pd

from echoseg.errors import DataError
from echoseg.metrics.overlap import POOR_DICE
from echoseg.report import charts
from echoseg.report.card import card_sections
from echoseg.report.case_files import read_cases
from echoseg.report.case_tables import image_table, volume_tables
from echoseg.report.measure_rows import (
    MEASURES,
    agreement_table,
    count_rows,
    coverage_table,
    measure_rows,
    subgroup_table,
    with_interval,
)
from echoseg.report.run_summary import HIDDEN, RunSummary, last_part, read_run_summary
from echoseg.report.tables import EF_BAND_COLUMNS, ef_band_rows
from echoseg.report.templating import TEMPLATES
from echoseg.training.config_file import private_settings
from echoseg.utils.files import replace_file
from echoseg.utils.words import counted

MAX_FAILURES = 24  # shown as pictures; the table of cases opens the others
_PICKED = 4  # best, median and worst cases, each
_UNKNOWN = "–"
_COUNTS = {
    "loss": ("loss, as in the training", ".4f"),
    "images": ("images", "d"),
    "patients": ("patients", "d"),
}
"""Entry of ``metrics.json`` → its title and number format."""
_STACKS = {
    "stacks": ("stacks", "d"),
    "volume_dice": ("Dice of the volume", ".3f"),
    "volume_ml": ("predicted volume, ml", ".1f"),
    "true_volume_ml": ("traced volume, ml", ".1f"),
    "volume_similarity": ("volume similarity", ".3f"),
    "bias_ml": ("bias, ml", "+.1f"),
    "mae_ml": ("MAE, ml", ".1f"),
}


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
    card = card_sections(run)
    return TEMPLATES.get_template("report.html").render(
        run=run,
        names=names,
        tiles=_tiles(run),
        metrics=_metrics(run),
        limits=card.pop("Limits"),
        splits=[_split(run, split, names) for split in splits or run.metrics],
        curves=_curves(run),
        times=_times(run),
        card=card,
        settings=_settings(run, names),
    )


def _tiles(run: RunSummary) -> list[tuple[str, str, str]]:
    """The main results of the first split: (title, value, note)."""
    if not run.metrics:
        return []
    split, values = next(iter(run.metrics.items()))
    low, high = values["dice_ci95"]
    mm = values.get("hd95_mm")
    tiles = [
        (f"Foreground Dice, {split}", f"{values['dice']:.3f}", f"95 % interval {low:.3f} to {high:.3f}"),
        ("HD95", f"{values['hd95_px']:.2f} px", f"{mm:.2f} mm" if mm else f"ASSD {values['assd_px']:.2f} px"),
    ]
    if (nsd := values.get("nsd_2px")) is not None:
        tiles.append(("NSD, tolerance 2 px", f"{nsd:.3f}", "share of the contours within it"))
    if "landmark_error_px" in values:
        note = f"mean of {run.config.landmarks} landmarks"
        tiles.append(("Landmark error", f"{values['landmark_error_px']:.2f} px", note))
    if (ef := values.get("ef")) and ef["mae"] is not None:
        note = f"percentage points, {counted(ef['videos'], 'video')}"
        tiles.append(("Mean absolute error of EF", _number(ef["mae"], ".1f"), note))
    tiles.append(("Evaluated on", counted(values["images"], "image"), counted(values["patients"], "patient")))
    return tiles


def _metrics(run: RunSummary) -> tuple[list[str], list[list[str]]]:
    """The titles of the columns; and rows of a title and, for each split, mean with interval and median with interval.

    Columns and rows without values are left out.
    """
    cells: dict[str, dict[str, str]] = {}  # by title of the row, by title of the column
    head = [f"{split}: {kind} (95 % interval)" for split in run.metrics for kind in ("mean", "median")]
    for split, values in run.metrics.items():
        means, medians = (f"{split}: {kind} (95 % interval)" for kind in ("mean", "median"))
        for title, mean, interval, median, of_median in measure_rows(values):
            row = cells.setdefault(title, {})
            row[means], row[medians] = _in_brackets(mean, interval), _in_brackets(median, of_median)
        counts = {title: _number(values[name], form) for name, (title, form) in _COUNTS.items() if name in values}
        if (black := values.get("all_black", {}).get("dice_all_pixels")) is not None:
            counts["all-pixel Dice of an empty mask"] = _number(black, ".4f")
        for title, count in {**counts, **count_rows(values)}.items():
            cells.setdefault(title, {})[means] = count
    used = [title for title in head if any(row.get(title) for row in cells.values())]
    order = [title for title, _ in MEASURES.values() if title in cells]
    order += [title for title in cells if title not in order]
    return ["measure", *used], [[title, *(cells[title].get(name, "") for name in used)] for title in order]


def _in_brackets(value: str, interval: str) -> str:
    return f"{value} ({interval})" if interval else value


def _with_interval(entry: dict[str, Any], name: str, form: str) -> str:
    return with_interval(entry.get(name), entry.get("ci95", {}).get(name), form)


def _number(value: Any, form: str) -> str:
    return _UNKNOWN if value is None or (isinstance(value, float) and not math.isfinite(value)) else format(value, form)


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
        found |= _cases(run, split, images, names)
    if calibration := metrics.get("calibration"):
        found["calibration"] = charts.calibration_curve(calibration)
        found["coverage"] = coverage_table(calibration, "quantity")
    for name in ("overlay", "bland_altman", "bland_altman_videos", "attention"):
        path = run.folder / "figures" / f"{name}_{split}.png"
        if path.exists():
            found[name] = charts.png_data_url(path)
    return {**found, "subgroups": subgroup_table(metrics), **_volumes(run, split, names)}


def _cases(run: RunSummary, split: str, images: pd.DataFrame, names: bool) -> dict[str, Any]:
    """What the template needs of the images of a split."""
    file = f"images_{split}.csv"
    failures = images["failure"] == 1 if "failure" in images else images["dice"] < POOR_DICE
    cases = read_cases(run.folder / f"cases_{split}.json")
    worst = (images["dice"].sort_values(kind="stable").dropna().index + 1).tolist()
    middle = worst[max(0, (len(worst) - _PICKED) // 2) :]
    picks = {"worst": worst[:_PICKED], "median": middle[:_PICKED], "best": worst[::-1][:_PICKED]}
    failed = [case for case in worst if failures[case - 1]]
    if failed[:_PICKED] == picks["worst"]:
        del picks["worst"]  # they are shown as failures
    if cases is not None:
        kept = {case["case"] for case in cases["cases"]}
        picks = {name: [case for case in chosen if case in kept] for name, chosen in picks.items()}
    found: dict[str, Any] = {
        "histogram": charts.dice_histogram(images["dice"].dropna()),
        "cases": image_table(images, failures, file, names),
        "pictures": cases,
        "picks": {name: chosen for name, chosen in picks.items() if chosen},
        "failed": failed,
        "shown_failures": failed[:MAX_FAILURES],
    }
    errors = images[[name for name in images if re.fullmatch(r"error\d+_px", name)]]
    if errors.shape[1]:
        found["landmarks"] = charts.landmark_boxes(errors)
        found["landmark_note"] = _landmark_note(run.config.scheme, errors.shape[1])
    return found


def _volumes(run: RunSummary, split: str, names: bool) -> dict[str, Any]:
    """What the template needs of a split's volumes: agreement with the reference, and tables by video and by stack."""
    metrics = run.metrics[split]
    by_phase = metrics.get("stacks", {})
    stacks = [
        [
            {"any": "unknown"}.get(phase, phase),
            *(_with_interval(entry, name, form) for name, (_, form) in _STACKS.items()),
        ]
        for phase, entry in by_phase.items()
        if phase != "ef"
    ]
    bands = ef_band_rows(metrics.get("ef_bands", {}), "traced frames")
    bands += ef_band_rows(metrics.get("ef_bands_videos", {}), "whole videos")
    return {
        "agreement": agreement_table(metrics),
        "ef_bands": (["", *EF_BAND_COLUMNS], bands),
        "stacks": (["phase", *(title for title, _ in _STACKS.values())], stacks),
        "stacks_ef": by_phase.get("ef"),
        "volumes": volume_tables(run, split, names),
    }


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
    if not names:
        settings |= dict.fromkeys(private_settings(run.config), HIDDEN)
    return [(name, text(value)) for name, value in settings.items()]
