"""Lists what to inspect before training: what is left out, and what is suspicious.

Parts of a data set that are *left out* cannot be used. *Suspicious* parts are used: they may be mistakes, or unusual
anatomy. Each contour is reported once, for the most definite reason. Volumes and phases are not reported if the contour
or the image is suspicious already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pandas as pd

from echoseg.datasets.echonet import FILE_LIST
from echoseg.datasets.recording import Fault, Recording, format_location
from echoseg.datasets.store import Store
from echoseg.errors import printable
from echoseg.quality.contours import find_unusual_contours
from echoseg.quality.duplicates import find_duplicates
from echoseg.quality.listed_volumes import find_inconsistent_volumes
from echoseg.quality.records import find_cut_off_videos, find_split_problems
from echoseg.quality.repairs import find_repairs
from echoseg.quality.shared_faults import find_misplaced
from echoseg.quality.suspect import REASONS, Suspect

LEFT_OUT, SUSPICIOUS = "left out", "suspicious"

FAULT_REASONS = {
    "outside the folder": "invalid name",
    "control characters": "invalid name",
    "too long for a file": "invalid name",
    "'' is empty": "invalid name",
    "is missing": "file missing",
    "has no video": "file missing",
    "is listed twice": "listed twice",
    "has no rows in": "not traced",
    "nothing is traced": "not traced",
    "has no mask": "not traced",
    "has no image": "image missing",
    "without an image": "image missing",
    "has no view": "view missing",
    "lacks ": "file missing",
    "several files": "unclear pair",
    "no subgroup": "not in a split",
    "is not in ": "not listed",
    "a finite number": "invalid cell",
    "not a number": "invalid cell",
    "too large for a pixel": "invalid cell",
    "more cells than": "invalid cell",
    "not a frame number": "invalid frame number",
    "frame numbers start": "invalid frame number",
    "traced twice": "traced twice or shuffled",
    "is beyond": "frame beyond the end",
    "is damaged in": "damaged frame",
    "far outside its": "point far outside the frame",
    "no area": "no area",
    "without area": "no area",
    "it needs": "too few rows",
    "give both the same size": "image and mask differ",
    "its image": "image and mask differ",
    "cannot be read": "unreadable file",
    "is empty": "unreadable file",
    "as a video": "unreadable file",
    "be decoded": "unreadable file",
    "codec is not supported": "unreadable file",
    "to decode": "unreadable file",
    "replace the file": "unreadable file",
    "covers ": "inverted mask",
    "inside its outline is left out": "mask of a wall",
    " masks only ": "unclear label",
    "has no pixel of label": "label missing",
    "between its labels": "labels mixed",
    "mix ": "labels mixed",
    "is an animation": "several frames",
    "save it in grey": "unreadable file",
    "as an image": "unreadable file",
    "is not read": "unreadable file",
}
"""Part of the reason of a `Fault` → the reason of its `Finding`."""

_IN_FILE_LIST = ("patient in two splits", "invalid split", "ESV greater than EDV", "EF inconsistent", "video cut off")


@dataclass(frozen=True)
class Finding:
    """A part of a data set to inspect.

    Attributes:
        kind: `LEFT_OUT` or `SUSPICIOUS`.
        reason: A value of `FAULT_REASONS` or "other"; or a name in `REASONS`.
        file: The file, relative to the data set's folder; the recording's name if the file is unknown.
        row: The line in that file; None if the file has no lines.
        column: The name of the column; "" if the finding is not about a single cell.
        value: The severity, comparable only between findings with the same reason; nan for what is left out.
        note: A description.
        images: Indices of images in the store to inspect.
    """

    kind: str
    reason: str
    file: str
    row: int | None
    column: str
    value: float
    note: str
    images: tuple[int, ...] = ()

    @property
    def location(self) -> str:
        """FILE, FILE:ROW or FILE:ROW:COLUMN."""
        return format_location(self.file, self.row, self.column)

    def __str__(self) -> str:
        return printable(f"{self.location}: {self.note}")


def check_store(store: Store, recordings: Sequence[Recording] = ()) -> list[Finding]:
    """Check all contours, images and records of a data set.

    Args:
        store: The store; its manifest lists what was left out.
        recordings: The recordings that the store was made from; without them, videos that end early are not found.

    Returns:
        What was left out, followed by what is suspicious, in the order of `REASONS` and by decreasing severity.
    """
    contours, duplicates = find_unusual_contours(store), find_duplicates(store)
    reported = {store.samples["video"][i] for suspect in (*contours, *duplicates) for i in suspect.images}
    suspects = [
        *find_split_problems(store),
        *find_misplaced(store),
        *find_repairs(store),
        *duplicates,
        *find_inconsistent_volumes(store, reported),
        *contours,
        *find_cut_off_videos(store, recordings),
    ]
    suspects.sort(key=lambda suspect: (list(REASONS).index(suspect.reason), -suspect.value))
    first = dict(zip(store.samples["video"][::-1], store.samples.index[::-1], strict=True))
    findings = [_from_fault(Fault(**fault)) for fault in store.manifest["faults"]]
    return findings + [_from_suspect(suspect, store.samples, first[suspect.video]) for suspect in suspects]


def _from_fault(fault: Fault) -> Finding:
    reason = next((reason for part, reason in FAULT_REASONS.items() if part in fault.reason), "other")
    return Finding(LEFT_OUT, reason, fault.file, fault.row, fault.column, float("nan"), fault.reason)


def _from_suspect(suspect: Suspect, samples: pd.DataFrame, first: int) -> Finding:
    image = samples.loc[suspect.images[0] if suspect.images else first]
    in_file_list = not suspect.images or suspect.reason in _IN_FILE_LIST
    file, row = image["file"], image["row"]
    if in_file_list:
        row = image["list_row"]
        file = image["path"]
        if row:  # the path is [VIEW/]Videos/NAME; the tracing may be in a table of corrections
            file = (PurePosixPath(file).parents[1] / FILE_LIST).as_posix()
    return Finding(
        SUSPICIOUS,
        suspect.reason,
        file or suspect.video,
        int(row) or None,
        "",
        suspect.value,
        suspect.note,
        suspect.images,
    )
