"""The tables of the report page that can be sorted: images, videos and stacks."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd

from echoseg.report.measure_rows import MEASURES
from echoseg.report.run_summary import RunSummary

IDENTIFYING = ("video", "frame", "patient")  # columns from which a case may be identified
_UNKNOWN = "–"
_IMAGE_COLUMNS: dict[str, tuple[str, int | None]] = {
    "video": ("video", None),
    "frame": ("frame", 0),
    "patient": ("patient", None),
    "phase": ("phase", None),
    "view": ("view", None),
    "quality": ("image quality", None),
    **{name: (title.removeprefix("foreground "), min(places, 3)) for name, (title, places) in MEASURES.items()},
    "area_px": ("area, px", 0),
    "true_area_px": ("true area, px", 0),
    "review": ("marked for review", None),
}
"""Column of ``images_SPLIT.csv`` → its title and number of decimals; None for text."""
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


def image_table(images: pd.DataFrame, failures: pd.Series, file: str, names: bool) -> Table:
    """The table of all cases, the smallest Dice first.

    Args:
        images: The content of ``images_SPLIT.csv``.
        failures: bool, which images are marked.
        file: The name of that file.
        names: Show the columns from which a case may be identified.
    """
    return _table(images.sort_values("dice", kind="stable"), file, _IMAGE_COLUMNS, names, failures)


def volume_tables(run: RunSummary, split: str, names: bool) -> dict[str, Table]:
    """The tables of volumes of a split by title; volumes in ml and in cubic pixels have tables of their own.

    Raises:
        DataError: A file of the run is damaged.
    """
    tables = {}
    for title, name in _VOLUME_TABLES.items():
        file = f"{name}_{split}.csv"
        table = run.table(file)
        if table is None or not len(table):
            continue
        units = table["unit"].fillna("") if "unit" in table else pd.Series("ml", index=table.index)
        for unit in sorted(set(units)):
            of_unit = f"{title}, volumes in {unit.replace('px3', 'px³')}" if unit else f"{title} without a result"
            tables[of_unit] = _table(table[units == unit], file, _volume_columns(unit, name), names)
    return tables


def _volume_columns(unit: str, table: str) -> dict[str, tuple[str, int | None]]:
    """Column of a table in `_VOLUME_TABLES` → its title and number of decimals; None for text."""
    columns: dict[str, tuple[str, int | None]] = {
        "video": ("video", None),
        "patient": ("patient", None),
        "view": ("view", None),
        "phase": ("phase", None),
        "slices": ("slices", 0),
        "dice": ("Dice of its slices" if table == "stacks" else "Dice of its traced frames", 3),
        "volume_dice": ("Dice of its volume", 3),
        "volume_ml": ("predicted volume, ml", 1),
        "true_volume_ml": ("traced volume, ml", 1),
    }
    for quantity in ("ef", "edv", "esv"):
        for prefix, source in (("", "predicted"), ("true_", "traced"), ("listed_", "listed")):
            unit_of_column = "%" if quantity == "ef" else "ml" if source == "listed" else unit.replace("px3", "px³")
            columns[prefix + quantity] = (f"{quantity.upper()}, {source}, {unit_of_column}", 1)
    columns |= {"ef_low": ("EF, 90 % interval from, %", 1), "ef_high": ("EF, 90 % interval to, %", 1)}
    return columns | {"ef_area_length": ("EF by area–length, %", 1), "beats": ("beats", 0)}


def _table(
    data: pd.DataFrame,
    file: str,
    columns: dict[str, tuple[str, int | None]],
    names: bool,
    marked: pd.Series | None = None,
) -> Table:
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
    poor = [False] * len(data) if marked is None else marked.loc[data.index].tolist()
    number = "case" if file.startswith("images") else "row"
    return Table(file, [number, *(title for title, _ in shown.values())], rows, poor)


def _cell(value: Any, decimals: int | None) -> Cell:
    if pd.isna(value):
        return Cell(_UNKNOWN, "")
    if decimals is None:
        text = value if isinstance(value, str) else {0: "", 1: "yes"}.get(value, str(value))
        return Cell(text, text)
    return Cell(f"{value:.{decimals}f}", float(value))
