"""A run beside the published results of a benchmark, as text and as Markdown."""

from __future__ import annotations

from typing import Any

from echoseg.evaluation.protocols import PROTOCOLS
from echoseg.evaluation.published import PUBLISHED, Published
from echoseg.report.tables import text_table


def protocol_rows(entry: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The titles of the columns, and a row for each quantity: this run, its interval, and the published methods.

    Args:
        entry: The result of `echoseg.evaluation.protocols.apply_protocol`.
    """
    published = _published(entry)
    head = ["", "this run", "95 % interval", *(f"{row.method} [{i}]" for i, row in enumerate(published, start=1))]
    rows = []
    for quantity, (title, decimals) in PROTOCOLS[entry["name"]].quantities.items():
        value, ends = (entry["values"][quantity][key] for key in ("value", "ci95"))
        cells = ["" if value is None else f"{value:.{decimals}f}"]
        cells.append(" to ".join(f"{end:.{decimals}f}" for end in ends or ()))
        rows.append([title, *cells, *(row.values.get(quantity, "") for row in published)])
    return head, rows


def protocol_notes(entry: dict[str, Any]) -> dict[str, list[str]]:
    """What was computed, what differs from the published figures, and the sources: by title, a sentence each."""
    return {
        "What is computed": list(PROTOCOLS[entry["name"]].definition),
        "What differs from the published figures": entry["differences"],
        "Sources": [f"[{i}] {row.method}: {row.source}" for i, row in enumerate(_published(entry), start=1)],
    }


def protocol_text(entry: dict[str, Any]) -> str:
    """The table and the notes for the terminal."""
    parts = [f"protocol: {PROTOCOLS[entry['name']].title}", text_table(*protocol_rows(entry))]
    for title, lines in protocol_notes(entry).items():
        parts += [f"\n{title}", *(f"- {line}" for line in lines)]
    return "\n".join(parts)


def protocol_markdown(entry: dict[str, Any]) -> str:
    """The table and the notes as a Markdown page."""
    head, rows = protocol_rows(entry)
    table = [" | ".join(row) for row in (head, ["---", *["---:"] * (len(head) - 1)], *rows)]
    parts = [f"# {PROTOCOLS[entry['name']].title}", "\n".join(f"| {row} |" for row in table)]
    for title, lines in protocol_notes(entry).items():
        parts += [f"## {title}", "\n".join(f"- {line}" for line in lines)]
    return "\n\n".join(parts) + "\n"


def _published(entry: dict[str, Any]) -> list[Published]:
    return [row for row in PUBLISHED if row.protocol == entry["name"]]
