"""The files that a comparison of methods writes, and its table for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from echoseg.evaluation.comparison import Comparison
from echoseg.evaluation.comparison_cases import ComparedRun
from echoseg.evaluation.comparison_table import MEASURES
from echoseg.metrics.bootstrap import FEW_PATIENTS, few_patients_note
from echoseg.report.comparison_figures import differences_figure, disagreements_figure, write_films
from echoseg.report.tables import text_table
from echoseg.utils.files import replace_file
from echoseg.utils.words import counted

_HEADER = ("measure", "method", "mean", "95 % interval", "difference", "95 % interval", "p", "better", "equal", "worse")


def write_comparison(comparison: Comparison, runs: Sequence[ComparedRun], folder: Path, *, films: int = 0) -> None:
    """Write the tables and figures of a comparison.

    They are `comparison.csv`, `groups.csv`, `cases.csv`, `volumes.csv` if there are volumes, `observers.csv` if there
    are several observers, `comparison.md`, `figures/differences.png`, `figures/disagreements.png`, and films.

    Args:
        comparison: The comparison.
        runs: The runs in it, for films.
        folder: The folder to write to.
        films: The number of videos to make films of; see `write_films`.

    Raises:
        DataError: A film is wanted, but a video cannot be read, or the data are a store, which has no videos.
    """
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    _write(comparison.table, folder / "comparison.csv")
    if len(comparison.groups):
        _write(comparison.groups, folder / "groups.csv")
    _write(_case_rows(comparison), folder / "cases.csv")
    if len(comparison.observers):
        _write(comparison.observers, folder / "observers.csv")
    if len(comparison.volumes):
        _write(comparison.volumes, folder / "volumes.csv")
    differences_figure(comparison, figures / "differences.png")
    disagreements_figure(comparison, figures / "disagreements.png")
    text = "\n".join(_page(comparison)) + "\n"
    replace_file(folder / "comparison.md", lambda temporary: temporary.write_text(text, encoding="utf-8"))
    if films:
        write_films(comparison, runs, folder / "films", count=films)


def comparison_table(table: pd.DataFrame, split: str) -> str:
    """Format a comparison for the terminal.

    Args:
        table: The table of a `Comparison`.
        split: The split that was measured.
    """
    return "\n".join([_title(table, split), text_table(_HEADER, _rows(table)), *_legend(table)])


def _case_rows(comparison: Comparison) -> pd.DataFrame:
    """A row per image and method; `case` is the number of the image in figures."""
    unit = comparison.cases.unit
    facts = comparison.cases.table[["video", "frame", "patient", "phase", "view"]]
    facts.insert(0, "case", range(1, len(facts) + 1))
    rows = [facts.assign(method=method.name).join(method.cases) for method in comparison.methods]
    table = pd.concat(rows).sort_values("case", kind="stable")
    return table.rename(columns={"hd95": f"hd95_{unit}", "assd": f"assd_{unit}"})


def _page(comparison: Comparison) -> list[str]:
    """The lines of `comparison.md`."""
    table = comparison.table
    lines = ["# Comparison", "", _title(table, comparison.split), "", *_markdown(_HEADER, _rows(table)), ""]
    lines += [f"- {line}" for line in (*_legend(table), *comparison.cases.notes)]
    if len(comparison.groups):
        header = ("Dice by", "group", "images", "patients", *(name for name in _HEADER[1:] if name != "p"))
        lines += ["", "## Groups", "", *_markdown(header, _group_rows(comparison.groups)), ""]
        lines += ["True areas are in thirds of the images. EF is the reference EF, averaged for each patient."]
    for observer, table in comparison.observers.groupby("observer", sort=False) if len(comparison.observers) else ():
        first = table.iloc[0]
        text = f"{_count(first)}, traced by observer {observer} too."
        lines += ["", "## Observers", "", text, "", *_markdown(_HEADER, _rows(table))]
    lines += ["", "## Images", "", "![The Dice of each image](figures/differences.png)", ""]
    return [*lines, "![The images in which the Dice differs most](figures/disagreements.png)"]


def _count(first: pd.Series) -> str:
    return f"{counted(first['cases'], 'image')} of {counted(first['patients'], 'patient')}"


def _title(table: pd.DataFrame, split: str) -> str:
    first = table.iloc[0]
    return f"{split}: {_count(first)}, compared with {first['method']}"


def _legend(table: pd.DataFrame) -> list[str]:
    unit = table.loc[table["measure"] == "hd95", "unit"].iloc[0]
    patients = int(table["patients"].iloc[0])
    few = [f"Note: {few_patients_note(patients)}."] if patients < FEW_PATIENTS else []
    correction = ", with Holm's correction for the number of methods" if table["method"].nunique() > 2 else ""
    return [
        f"Distances and the tolerance of NSD are in {unit} of the original frames.",
        "Intervals are those of a bootstrap over patients, paired for differences. p is that of Wilcoxon's signed-rank"
        f" test of the patients' mean differences{correction}.",
        *few,
    ]


def _rows(table: pd.DataFrame) -> list[list[str]]:
    """The cells of `_HEADER`."""
    rows = []
    for row in table.itertuples():
        measure = MEASURES[row.measure]
        unit = f", {row.unit}" if row.unit else ""
        counted = f" ({row.cases} videos)" if row.measure == "ef_error" else ""
        rows.append([f"{measure.title}{unit}{counted}", *_cells(row, measure.digits, p=_p_value(row.p_holm))])
    return rows


def _group_rows(groups: pd.DataFrame) -> list[list[str]]:
    digits = MEASURES["dice"].digits
    return [[row.by, row.group, str(row.cases), str(row.patients), *_cells(row, digits)] for row in groups.itertuples()]


def _cells(row: Any, digits: int, p: str | None = None) -> list[str]:
    """The cells of `_HEADER` from the method on; without `p` if it is None."""
    cells = [row.method, f"{row.mean:.{digits}f}", f"{row.low:.{digits}f} to {row.high:.{digits}f}"]
    compared = [] if p is None else [p]
    if math.isnan(row.difference):
        return [*cells, "", "", *("" for _ in compared), "", "", ""]
    interval = f"{row.difference_low:+.{digits}f} to {row.difference_high:+.{digits}f}"
    counts = [f"{count:.0f}" for count in (row.better, row.equal, row.worse)]
    return [*cells, f"{row.difference:+.{digits}f}", interval, *compared, *counts]


def _p_value(p: float) -> str:
    return "" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines]


def _write(table: pd.DataFrame, path: Path) -> None:
    replace_file(path, partial(table.to_csv, index=False, float_format="%.6g"))
