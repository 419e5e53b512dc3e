"""The tables of a paper: data, results, agreement and settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from echoseg.manuscript.facts import SPLIT_TITLES, RunFacts
from echoseg.manuscript.formats import Table
from echoseg.manuscript.measures import (
    AGREEMENT,
    COMPARED,
    MEASURES,
    QUANTITIES,
    UNKNOWN,
    agreements_of,
    show,
    with_interval,
)
from echoseg.report.run_summary import last_part
from echoseg.training.config import SHIPPED
from echoseg.training.splits import NO_TEST

HIDDEN = "not shown"
"""Stands for a value that may contain a name."""
FEW_VIDEOS = 10
"""With fewer videos, R² is left out: it says nothing."""


def make_tables(facts: RunFacts, splits: Sequence[str]) -> list[Table]:
    """The tables of a run; those without a row are left out.

    Args:
        facts: The facts of the run.
        splits: The splits whose results are shown.
    """
    tables = [data_table(facts), results_table(facts, splits), agreement_table(facts, splits), settings_table(facts)]
    return [table for table in tables if table.rows]


def data_table(facts: RunFacts) -> Table:
    """The numbers of patients and traced images in each split."""
    counts = {split: [facts.count(split, what) for what in ("patients", "images")] for split in SPLIT_TITLES}
    rows = [[SPLIT_TITLES[split], *(show(n, "d") for n in row)] for split, row in counts.items() if any(row)]
    caption = "Patients and traced images in each split."
    if facts.run.config.folds is not None:
        caption = f"Patients and traced images; each patient was tested once, in {facts.run.config.folds} folds."
    return Table("data", caption, ["split", "patients", "images"], rows)


def results_table(facts: RunFacts, splits: Sequence[str]) -> Table:
    """The measures of each split, with intervals."""
    metrics = [facts.run.metrics[split] for split in splits]
    rows = [[what, *(show(values[what], "d") for values in metrics)] for what in ("patients", "images")]
    rows += [
        [measure.title, *(with_interval(values, name, measure.form) for values in metrics)]
        for name, measure in MEASURES.items()
    ]
    shown = [row for row in rows if set(row[1:]) - {UNKNOWN}] if metrics else []
    caption = "Segmentation. In parentheses: 95 % confidence intervals over patients."
    if other := [split for split in splits if split in facts.elsewhere]:
        caption += f" Not of the training's data set: {', '.join(other)}."
    return Table("results", caption, ["", *splits], shown)


def agreement_table(facts: RunFacts, splits: Sequence[str]) -> Table:
    """The agreement of EF and volumes with the reference."""
    rows = []
    for split in splits:
        for (quantity, suffix), entry in agreements_of(facts.run.metrics[split]).items():
            values: dict[str, Any] = dict(entry)
            if entry["videos"] < FEW_VIDEOS:
                values["r2"] = None
            cells = [with_interval(values, name, measure.form) for name, measure in AGREEMENT.items()]
            rows.append([split, QUANTITIES[quantity], COMPARED[suffix], *cells])
    keep = [0, 1, 2] + [
        3 + i for i, name in enumerate(AGREEMENT) if name != "missing" or any(row[3 + i] != "0" for row in rows)
    ]
    head = ["split", "quantity", "computed from", *(measure.title for measure in AGREEMENT.values())]
    caption = (
        "Agreement of ejection fraction (EF) and of end-diastolic and end-systolic volume (EDV, ESV) with the values"
        " that the data set lists or, where it lists none, with those of the tracings."
    )
    return Table("agreement", caption, [head[i] for i in keep], [[row[i] for i in keep] for row in rows])


def settings_table(facts: RunFacts) -> Table:
    """The settings of the training that have a value."""
    config = facts.run.config
    settings = {**dataclasses.asdict(config), "data": facts.run.data}
    if not facts.names:  # paths, an expression for the names of the data, and what may be a patient's name
        hidden = {"corrections", "patients"}
        hidden |= {"init"} if config.init != SHIPPED else set()
        hidden |= {"test_fold"} if config.test_fold is not None and _is_name(config.test_fold) else set()
        settings |= {name: HIDDEN for name in hidden if settings[name]}
    rows = [[f"`{name}`", _text(value)] for name, value in settings.items() if value is not None]
    return Table("settings", "Settings of the training.", ["setting", "value"], rows, widths=(0.35, 0.55))


def _is_name(fold: str) -> bool:
    """Whether a test fold may be a patient."""
    return fold != NO_TEST and not (fold.isdigit() and len(fold) < 3)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    parts = value if isinstance(value, (list, tuple)) else [value]
    return " ".join(last_part(str(part)) for part in parts)
