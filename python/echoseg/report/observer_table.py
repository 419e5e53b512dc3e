"""The table of the differences between observers, and between the model and observers."""

from __future__ import annotations

from typing import Any

from echoseg.report.measure_rows import MEASURES, number, with_interval


def observer_table(metrics: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Format the entry ``observers`` of a split.

    Args:
        metrics: The entry of the split in ``metrics.json``.

    Returns:
        The titles of the columns, and a row for each pair of the model and an observer or of two observers, in which
        each mean is followed by its 95 % interval. Both are empty if no image was traced by several observers.
    """
    entries = metrics.get("observers", [])
    known = [name for name in MEASURES if any(name in entry for entry in entries)]
    rows = []
    for entry in entries:
        row = [f"{entry['first']} and {entry['second']}", str(entry["images"])]
        for name in known:
            row.append(with_interval(entry.get(name), entry["ci95"].get(name), f".{MEASURES[name][1]}f"))
        ef = entry.get("ef", {})
        row += [number(ef.get("mae"), ".2f"), with_interval(ef.get("bias"), ef.get("limits"), "+.2f")]
        rows.append(row)
    titles = [MEASURES[name][0] for name in known]
    header = ["observers", "images", *titles, "EF difference, points", "EF bias (limits of agreement)"]
    return (header, rows) if rows else ([], [])
