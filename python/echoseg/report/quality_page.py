"""What a check of a data set has found: as text, as a table and as an HTML page."""

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
from echoseg.quality.dataset_check import DatasetCheck
from echoseg.quality.inspection import LEFT_OUT, SUSPICIOUS, Finding
from echoseg.quality.records import split_names
from echoseg.quality.suspect import REASONS
from echoseg.report.overlay import draw_overlay
from echoseg.report.tables import ceiling_rows, ordering_rows
from echoseg.report.templating import TEMPLATES

MAX_IN_TEXT, MAX_ON_PAGE = 20, 300  # findings listed of each kind
MAX_EXAMPLES = 6  # findings of each reason that the page shows with images

ORDERINGS = "Foreground Dice of the masks, by the order in which points are joined, against those of 'chords'"
CEILING = "Foreground Dice of perfect landmarks, by the way they are joined; errors of the best way"
_KINDS = {LEFT_OUT: "left out, not used for training", SUSPICIOUS: "suspicious, but used"}


def check_text(findings: Sequence[Finding]) -> str:
    """List findings for the terminal.

    Args:
        findings: The findings of `check_store`.

    Returns:
        For each kind, the number of findings by reason and the first `MAX_IN_TEXT` findings.
    """
    if not findings:
        return "nothing is left out, nothing is suspicious"
    lines = []
    for kind, meaning in _KINDS.items():
        of_kind = [finding for finding in findings if finding.kind == kind]
        lines += ["", f"{meaning}: {len(of_kind)}"] if of_kind else []
        lines += [f"{count:7}  {reason}" for reason, count in Counter(each.reason for each in of_kind).items()]
        lines += [f"  {finding}" for finding in of_kind[:MAX_IN_TEXT]]
        if len(of_kind) > MAX_IN_TEXT:
            lines.append(f"  and {len(of_kind) - MAX_IN_TEXT} more; --out writes all of them to check.csv")
    return "\n".join(lines)


def write_check(check: DatasetCheck, folder: Path) -> None:
    """Write what a check found.

    ``check.csv`` has one row for each finding: file, row, column, kind, reason, value and note. Where orderings were
    compared, or landmarks measured, tables and figures of these stand beside. ``check.html`` shows all of it as a page
    that needs no other file.

    Args:
        check: The check of a data set.
        folder: The folder to write to.
    """
    findings, store = check.findings, check.store
    columns = ["file", "row", "column", "kind", "reason", "value", "note"]
    table = pd.DataFrame([vars(finding) for finding in findings], columns=columns)
    table.astype({"row": "Int64"}).to_csv(folder / "check.csv", index=False, float_format="%.3f")
    by_kind = {kind: [finding for finding in findings if finding.kind == kind] for kind in _KINDS}
    text = TEMPLATES.get_template("check.html").render(
        name=check.name,
        splits=_count_splits(store.samples),
        meanings=_KINDS,
        reasons=REASONS,
        kinds={kind: Counter(finding.reason for finding in of_kind) for kind, of_kind in by_kind.items()},
        lists={kind: of_kind[:MAX_ON_PAGE] for kind, of_kind in by_kind.items()},
        examples=list(_examples(by_kind[SUSPICIOUS], store)),
        comparisons=_write_comparisons(check, folder),
    )
    (folder / "check.html").write_text(text, encoding="utf-8")


def _write_comparisons(check: DatasetCheck, folder: Path) -> list[dict[str, Any]]:
    """Write tables and figures of orderings and landmarks, and return what the page shows of them."""
    shown = []
    if check.orderings is not None or check.ceiling is not None:
        from echoseg.report.charts import png_data_url
        from echoseg.report.results import write_ceiling, write_orderings  # takes seconds to import, torch and all

        if check.orderings is not None:
            write_orderings(check.orderings, check.masks, check.store.frames, folder)
            figure = png_data_url(folder / "orderings.png")
            table = ordering_rows(check.orderings)
            shown.append({"title": "Order of the points", "note": ORDERINGS, "table": table, "figure": figure})
        if check.ceiling is not None:
            write_ceiling(check.ceiling, folder)
            figure = png_data_url(folder / "landmarks.png")
            table = ceiling_rows(check.ceiling)
            shown.append({"title": "Perfect landmarks", "note": CEILING, "table": table, "figure": figure})
    return shown


def _count_splits(samples: pd.DataFrame) -> list[dict[str, Any]]:
    """The number of patients, videos and frames of each split and of all."""
    named = samples.assign(split=split_names(samples))
    groups = [*named.groupby("split"), ("all", named)]
    return [
        {
            "split": split,
            "patients": group["patient"].nunique(),
            "videos": group["video"].nunique(),
            "frames": len(group),
        }
        for split, group in groups
    ]


def _examples(suspicious: Sequence[Finding], store: Store) -> Iterator[dict[str, Any]]:
    """The worst findings of each reason, with images of their frames."""
    with_images = [finding for finding in suspicious if finding.images]
    for reason, of_reason in itertools.groupby(with_images, key=lambda finding: finding.reason):
        for finding in itertools.islice(of_reason, MAX_EXAMPLES):
            tiles = [{"image": _image(store, i), "caption": _caption(store, i)} for i in finding.images[:2]]
            yield {"reason": reason, "note": finding.note, "tiles": tiles}


def _image(store: Store, index: int) -> str:
    """A frame with its contour, as a data URL."""
    drawn = draw_overlay(np.asarray(store.frames[index]), true=store.contour(index))
    encoded = cv2.imencode(".jpg", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()


def _caption(store: Store, index: int) -> str:
    sample = store.samples.loc[index]
    words = (sample["video"], f"frame {sample['frame']}", sample["phase"], sample["split"])
    return ", ".join(word for word in words if word)
