"""What a person should look at before a data set is trained on: all that is left out, and all that looks wrong.

The two are kept apart. What is *left out* cannot be used, and never is. What is *suspicious* is used like everything
else: it may be a mistake, or a rare heart. An outline is named once, for the plainest thing that is wrong with it, and
what follows from a wrong outline or a copied picture (volumes, phases) is not named again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from echoseg.datasets.echonet import FILE_LIST
from echoseg.datasets.recording import Fault, Recording, place_of
from echoseg.datasets.store import Store
from echoseg.errors import printable
from echoseg.quality.contours import find_odd_outlines
from echoseg.quality.duplicates import find_copies
from echoseg.quality.listed_volumes import find_odd_volumes
from echoseg.quality.records import find_cut_videos, find_odd_patients
from echoseg.quality.suspect import REASONS, Suspect

LEFT_OUT, SUSPICIOUS = "left out", "suspicious"

FAULTS = {
    "leaves the folder": "bad name",
    "control characters": "bad name",
    "too long for a file": "bad name",
    "'' is empty": "bad name",
    "is missing": "file missing",
    "is listed twice": "listed twice",
    "has no rows in": "not traced",
    "nothing is traced": "not traced",
    "has no mask": "not traced",
    "has no image": "image missing",
    "without an image": "image missing",
    "has no view": "view missing",
    "lacks ": "file missing",
    "several files": "unclear pair",
    "no subgroup": "in no split",
    "is not in ": "not listed",
    "a finite number": "bad cell",
    "not a number": "bad cell",
    "too far out": "bad cell",
    "more cells than": "bad cell",
    "not a frame number": "bad frame number",
    "frames count from": "bad frame number",
    "traced twice": "traced twice or shuffled",
    "lies beyond": "frame beyond the end",
    "is damaged in": "damaged frame",
    "far outside its": "point far outside the frame",
    "no area": "no area",
    "without area": "no area",
    "it needs": "too few rows",
    "give both one size": "image and mask differ",
    "its image": "image and mask differ",
    "which one is the left": "unclear label",
    "cannot be read": "unreadable file",
    "is empty": "unreadable file",
    "as a video": "unreadable file",
    "be decoded": "unreadable file",
    "none of the ways that are read": "unreadable file",
    "not believed": "unreadable file",
    "to decode": "unreadable file",
    "replace the file": "unreadable file",
    "save it in grey": "unreadable file",
}
"""Words of a reader's fault → the reason that it is counted under."""

_LISTED = ("patient across splits", "split unusable", "ESV above EDV", "EF disagrees", "video cut off")


@dataclass(frozen=True)
class Finding:
    """One thing to look at.

    Attributes:
        kind: `LEFT_OUT` or `SUSPICIOUS`.
        reason: A value of `FAULTS` or "other"; or a name in `REASONS`.
        file: As the user knows it, relative to the data set's folder; a video's name where no file is known.
        row: Its line in that file; None where there is none.
        column: Its name; "" where no single cell is to blame.
        value: How bad, comparable within a reason only; nan of what is left out.
        note: What is wrong, in a few words.
        images: Of the store, to look at.
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
    def place(self) -> str:
        """File, row and column."""
        return place_of(self.file, self.row, self.column)

    def __str__(self) -> str:
        return printable(f"{self.place}: {self.note}")


def check_store(store: Store, recordings: Sequence[Recording] = ()) -> list[Finding]:
    """Look at every outline, picture and record of a data set.

    Args:
        store: With what was left out in its manifest.
        recordings: Those that the store was made from; without them the video files are not looked at.

    Returns:
        What was left out, then what is suspicious in the order of `REASONS`, the worst of each reason first.
    """
    outlines, copies = find_odd_outlines(store), find_copies(store, recordings)
    doubtful = {store.samples["video"][i] for suspect in (*outlines, *copies) for i in suspect.images}
    suspects = [
        *find_odd_patients(store),
        *copies,
        *find_odd_volumes(store, doubtful),
        *outlines,
        *find_cut_videos(store, recordings),
    ]
    suspects.sort(key=lambda suspect: (list(REASONS).index(suspect.reason), -suspect.value))
    known = {recording.name: recording for recording in recordings}
    findings = [_of_fault(Fault(**fault)) for fault in store.manifest["faults"]]
    return findings + [_of_suspect(suspect, store, known.get(suspect.video)) for suspect in suspects]


def _of_fault(fault: Fault) -> Finding:
    reason = next((reason for words, reason in FAULTS.items() if words in fault.reason), "other")
    return Finding(LEFT_OUT, reason, fault.file, fault.row, fault.column, float("nan"), fault.reason)


def _of_suspect(suspect: Suspect, store: Store, recording: Recording | None) -> Finding:
    file, row = suspect.video, 0
    if suspect.images and suspect.reason not in _LISTED:
        frame, row = (int(store.samples[name][suspect.images[0]]) for name in ("frame", "row"))
        if recording:
            file = next(tracing.file for tracing in recording.tracings if tracing.frame == frame)
    elif recording and recording.row:
        file, row = FILE_LIST, recording.row
    return Finding(SUSPICIOUS, suspect.reason, file, row or None, "", suspect.value, suspect.note, suspect.images)
