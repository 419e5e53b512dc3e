"""The table of the differences between observers, and between the model and observers."""

from __future__ import annotations

from typing import Any

from echoseg.report.measure_rows import MEASURES, number, with_interval

_QUANTITIES = {"edv": ("EDV", "ml"), "esv": ("ESV", "ml"), "ef": ("EF", "points")}


def observer_table(metrics: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Format the entry ``observers`` of a split.

    Args:
        metrics: The entry of the split in ``metrics.json``.

    Returns:
        The titles of the columns, and a row for each pair of the model and an observer or of two observers, in which
        each mean is followed by its 95 % interval; EDV and ESV have columns if they are compared. Both are empty if no
        image was traced by several observers.
    """
    entries = metrics.get("observers", [])
    known = [name for name in MEASURES if any(name in entry for entry in entries)]
    quantities = [name for name in _QUANTITIES if name == "ef" or any(name in entry for entry in entries)]
    rows = []
    for entry in entries:
        row = [f"{entry['first']} and {entry['second']}", str(entry["images"])]
        for name in known:
            row.append(with_interval(entry.get(name), entry["ci95"].get(name), f".{MEASURES[name][1]}f"))
        for name in quantities:
            of_pair = entry.get(name, {})
            row += [
                number(of_pair.get("mae"), ".2f"),
                with_interval(of_pair.get("bias"), of_pair.get("limits"), "+.2f"),
            ]
        rows.append(row)
    header = ["observers", "images", *(MEASURES[name][0] for name in known)]
    for title, unit in (_QUANTITIES[name] for name in quantities):
        header += [f"{title} difference, {unit}", f"{title} bias (limits of agreement)"]
    return (header, rows) if rows else ([], [])
