"""The tables of a paper: data, results, agreement and settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from echoseg.manuscript.facts import SPLIT_TITLES, RunFacts
from echoseg.manuscript.formats import Table
from echoseg.manuscript.measures import minus
from echoseg.report.measure_rows import MEASURE_COLUMNS, agreement_table, count_rows, measure_rows, subgroup_table
from echoseg.report.protocol_table import protocol_notes, protocol_rows
from echoseg.report.run_summary import HIDDEN, last_part
from echoseg.training.config_file import private_settings
from echoseg.utils.words import counted

_UNKNOWN = "–"


def make_tables(facts: RunFacts, splits: Sequence[str]) -> list[Table]:
    """The tables of a run; those without a row are left out.

    Args:
        facts: The facts of the run.
        splits: The splits whose results are shown.
    """
    tables = [data_table(facts)]
    for split in splits:
        tables += [results_of(facts, split), agreement_of(facts, split)]
        tables.append(subgroups_of(facts, split))
        if entry := facts.run.metrics[split].get("protocol"):
            tables.append(protocol_of(entry, split))
    return [table for table in (*tables, settings_table(facts)) if table.rows]


def data_table(facts: RunFacts) -> Table:
    """The numbers of patients and traced images in each split."""
    counts = {split: [facts.count(split, what) for what in ("patients", "images")] for split in SPLIT_TITLES}
    rows = [
        [SPLIT_TITLES[split], *(_UNKNOWN if n is None else str(n) for n in row)]
        for split, row in counts.items()
        if any(row)
    ]
    caption = "Patients and traced images in each split."
    if facts.run.config.folds is not None:
        caption = f"Patients and traced images; each patient was tested once, in {facts.run.config.folds} folds."
    return Table("data", caption, ["split", "patients", "images"], rows)


def results_of(facts: RunFacts, split: str) -> Table:
    """The measures of a split: means and medians with intervals."""
    metrics = facts.run.metrics[split]
    rows = [[minus(cell) or _UNKNOWN for cell in row] for row in measure_rows(metrics)]
    empty = [_UNKNOWN] * (len(MEASURE_COLUMNS) - 1)
    rows += [[title, count, *empty] for title, count in count_rows(metrics).items()]
    keep = [i for i in range(len(rows[0])) if any(row[i] != _UNKNOWN for row in rows)]
    caption = (
        f"Segmentation, split {split}: {counted(metrics['images'], 'image')} of"
        f" {counted(metrics['patients'], 'patient')}. The confidence intervals are over patients."
    )
    if steps := metrics.get("postprocess"):
        caption += f" The predictions were post-processed: {', '.join(f'`{step}`' for step in steps)}."
    if split in facts.elsewhere:
        caption += " The images are not of the training's data set."
    head = ["measure", *MEASURE_COLUMNS]
    return Table(f"results_{split}", caption, [head[i] for i in keep], [[row[i] for i in keep] for row in rows])


def agreement_of(facts: RunFacts, split: str) -> Table:
    """The agreement of EF and volumes of a split with the reference."""
    head, rows = agreement_table(facts.run.metrics[split])
    caption = (
        f"Agreement, split {split}: ejection fraction (EF) in percentage points, end-diastolic and end-systolic volume"
        " (EDV, ESV) in ml, with the values that the data set lists or, where it lists none, with those of the"
        " tracings. In parentheses: 95 % confidence intervals."
    )
    return Table(f"agreement_{split}", caption, head, [[minus(cell) or _UNKNOWN for cell in row] for row in rows])


def subgroups_of(facts: RunFacts, split: str) -> Table:
    """The measures of a split by phase, view and other groups."""
    head, rows = subgroup_table(facts.run.metrics[split])
    caption = f"Subgroups, split {split}. The confidence intervals are over patients."
    return Table(f"subgroups_{split}", caption, head, [[minus(cell) or _UNKNOWN for cell in row] for row in rows])


def protocol_of(entry: dict[str, Any], split: str) -> Table:
    """A split measured by a benchmark's protocol, beside published results."""
    head, rows = protocol_rows(entry)
    computed, differences, sources = protocol_notes(entry).values()
    first = f"Split {split}, measured by the protocol `{entry['name']}`."
    caption = " ".join([first, *computed, *differences, f"Sources: {'; '.join(sources)}."])
    return Table(f"protocol_{split}", caption, head, [[minus(cell) for cell in row] for row in rows])


def settings_table(facts: RunFacts) -> Table:
    """The settings of the training that have a value."""
    config = facts.run.config
    settings = {**dataclasses.asdict(config), "data": facts.run.data}
    if not facts.names:  # paths, an expression for the names of the data, and what may be a patient's name
        settings |= dict.fromkeys(private_settings(config), HIDDEN)
    rows = [[f"`{name}`", _text(value)] for name, value in settings.items() if value is not None]
    return Table("settings", "Settings of the training.", ["setting", "value"], rows, widths=(0.35, 0.55))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    parts = value if isinstance(value, (list, tuple)) else [value]
    return " ".join(last_part(str(part)) for part in parts)
