"""What a check of a data set found, for the terminal, as a table and as a page."""

from __future__ import annotations

import base64
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from echoseg.datasets.store import Store
from echoseg.ops import fill_polygons
from echoseg.quality.dataset_check import DatasetCheck
from echoseg.quality.inspection import LEFT_OUT, SUSPICIOUS, Finding
from echoseg.quality.records import split_names
from echoseg.quality.suspect import REASONS
from echoseg.report.html import TEMPLATES
from echoseg.report.overlay import draw_overlay

IN_TERMINAL, ON_PAGE, PICTURES = 20, 300, 6
"""Findings listed of each kind, and findings pictured of each reason."""

_MEANT = {LEFT_OUT: "left out, never trained on", SUSPICIOUS: "suspicious, used all the same"}


def check_text(findings: Sequence[Finding]) -> str:
    """Of each kind, counts by reason and the first findings."""
    if not findings:
        return "nothing left out, nothing suspicious"
    lines = []
    for kind, meaning in _MEANT.items():
        mine = [found for found in findings if found.kind == kind]
        lines += ["", f"{meaning}: {len(mine)}"] if mine else []
        lines += [f"{count:7}  {reason}" for reason, count in Counter(found.reason for found in mine).items()]
        lines += [f"  {found}" for found in mine[:IN_TERMINAL]]
        if len(mine) > IN_TERMINAL:
            lines.append(f"  and {len(mine) - IN_TERMINAL} more; --out writes them all")
    return "\n".join(lines)


def write_check(check: DatasetCheck, folder: Path) -> None:
    """Write what a check found.

    ``check.csv`` has one row for each finding: file, row, column, kind, reason, value and note. ``check.html`` shows
    the same as a page that needs no other file. Where orderings were compared, or landmarks measured, tables and
    figures of these stand beside.

    Args:
        check: of a data set.
        folder: to write to.
    """
    findings, store = check.findings, check.store
    columns = ["file", "row", "column", "kind", "reason", "value", "note"]
    table = pd.DataFrame([vars(found) for found in findings], columns=columns)
    table.astype({"row": "Int64"}).to_csv(folder / "check.csv", index=False, float_format="%.3f")
    kinds = {kind: [found for found in findings if found.kind == kind] for kind in _MEANT}
    text = TEMPLATES.get_template("check.html").render(
        name=check.name,
        splits=_count_splits(store.samples),
        meanings=_MEANT,
        reasons=REASONS,
        kinds={kind: Counter(found.reason for found in mine) for kind, mine in kinds.items()},
        lists={kind: mine[:ON_PAGE] for kind, mine in kinds.items()},
        sheet=list(_sheet(kinds[SUSPICIOUS], store)),
    )
    (folder / "check.html").write_text(text, encoding="utf-8")
    from echoseg.report.results import write_ceiling, write_orderings  # takes seconds to import, torch and all

    if check.orderings is not None:
        write_orderings(check.orderings, check.masks, store.frames, folder)
    if check.ceiling is not None:
        write_ceiling(check.ceiling, folder)


def _count_splits(samples: pd.DataFrame) -> list[dict[str, Any]]:
    """A row a split, and one for all: videos, patients and frames."""
    named = samples.assign(split=split_names(samples))
    groups = [*named.groupby("split"), ("all", named)]
    return [
        {"split": split, "patients": mine["patient"].nunique(), "videos": mine["video"].nunique(), "frames": len(mine)}
        for split, mine in groups
    ]


def _sheet(suspects: Sequence[Finding], store: Store) -> Iterator[dict[str, Any]]:
    """The worst of each reason, with their frames as pictures."""
    pictured = [found for found in suspects if found.images]
    for reason, mine in itertools.groupby(pictured, key=lambda found: found.reason):
        for found in itertools.islice(mine, PICTURES):
            tiles = [{"picture": _picture(store, i), "caption": _caption(store, i)} for i in found.images[:2]]
            yield {"reason": reason, "note": found.note, "tiles": tiles}


def _picture(store: Store, index: int) -> str:
    """A frame with its outline, as a data URL."""
    mask = fill_polygons(store.contour(index)[None], store.size)[0]
    drawn = draw_overlay(np.asarray(store.frames[index]), true=mask)
    encoded = cv2.imencode(".jpg", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()


def _caption(store: Store, index: int) -> str:
    sample = store.samples.loc[index]
    words = (sample["video"], f"frame {sample['frame']}", sample["phase"], sample["split"])
    return ", ".join(word for word in words if word)
