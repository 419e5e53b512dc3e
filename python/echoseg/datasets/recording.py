"""The data classes that every reader returns: recordings with their tracings, and faults."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from echoseg.datasets.structure import LEFT_VENTRICLE
from echoseg.errors import printable
from echoseg.io.file_types import SUFFIXES, unread_reason

UNNAMED = "unnamed"
"""The name of an observer without one, in results."""
MINIMUM_ROWS = {"chords": 4, "points": 3}
"""Kind of tracing → minimum number of rows: the long axis and three chords, or three points."""


@dataclass(frozen=True)
class Fault:
    """A part of a data set that cannot be used, and why.

    Attributes:
        file: The file, relative to the data set's folder.
        row: The line in that file, where the header is line 1; None if the file has no lines, for example a video.
        reason: Why the part cannot be used.
        column: The name of the column; "" if the fault is not in a single cell.
    """

    file: str
    row: int | None
    reason: str
    column: str = ""

    def __str__(self) -> str:
        return printable(f"{format_location(self.file, self.row, self.column)}: {self.reason}")


def unread_faults(folder: Path, files: Iterable[Path], read: tuple[str, ...]) -> list[Fault]:
    """A fault for each file whose type is not read; none for tables, texts and hidden files.

    Args:
        folder: The data set's folder.
        files: The files, below the folder.
        read: The suffixes that the format reads.
    """
    faults = []
    for path in sorted(files):
        name, reason = path.name.lower(), unread_reason(path)
        if not name.startswith(".") and name.endswith(SUFFIXES) and not name.endswith(read):
            reason = "is a video or DICOM file, which is not read in this format; save its frames as PNG or .nii.gz"
        if reason and path.is_file():
            faults.append(Fault(path.relative_to(folder).as_posix(), None, reason))
    return faults


def format_location(file: str, row: int | None, column: str = "") -> str:
    """A location in the format of compilers: FILE, FILE:ROW or FILE:ROW:COLUMN."""
    return ":".join((file, *([] if row is None else [str(row)]), *([column] if column else [])))


def describe_faults(faults: Sequence[Fault], limit: int = 5) -> str:
    """Describe the number of faults and the first of them, one per line; "" without faults.

    Args:
        faults: The faults of a data set.
        limit: The number of faults to describe.
    """
    if not faults:
        return ""
    lines = [f"left out: {len(faults)}", *(f"  {fault}" for fault in faults[:limit])]
    if len(faults) > limit:
        lines.append(f"  and {len(faults) - limit} more; 'echoseg check DATA --out FOLDER' lists all of them")
    return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Tracing:
    """An expert's tracing of one frame.

    Attributes:
        frame: Frame number in the recording, from 0.
        coordinates: (R, 4) float32 chords `x1, y1, x2, y2` with the long axis in row 0, or (P, 2) float32 points;
            pixels. (0, 2) for a blank: a slice on which the expert saw nothing to trace.
        row: The first line of the tracing in the tracing file; 0 if it comes from a mask.
        phase: "ED" or "ES" if the data set states it, else "".
        file: The tracing file, relative to the data set's folder.
        pieces: Share of the mask's pixels in other pieces than that of the contour.
        holes: Share of the pixels in the contour that the mask leaves out.
        turned: Number of chords of which the ends were exchanged, so that all have the same direction.
        observer: Who traced; "" if unknown.
    """

    frame: int
    coordinates: NDArray[np.float32]
    row: int
    phase: str = ""
    file: str = "VolumeTracings.csv"
    pieces: float = 0.0
    holes: float = 0.0
    turned: int = 0
    observer: str = ""


@dataclass(frozen=True, eq=False)
class Recording:
    """A video, stack of slices or image, with its tracings.

    Attributes:
        name: The name in the file list without suffix; unique in the data set.
        path: The file.
        patient: The patient's identifier; `name` if unknown.
        tracings: The tracings, sorted by frame, one for each frame.
        split: The raw Split cell of the data set; "" if it has none.
        fps: Frames per second; nan if unknown.
        ef: Ejection fraction in percent; nan if unknown.
        esv: End-systolic volume in ml; nan if unknown.
        edv: End-diastolic volume in ml; nan if unknown.
        row: The line in the file list; 0 if there is no list.
        spacing: (row, column) mm per pixel; nan if unknown.
        thickness: Distance between slices in mm; nan if the frames are time points.
        view: "A4C", "A2C", "PSAX" or "SAX"; "" if unknown.
        quality: Of the images, as the data set names it; "" if unknown.
        sex: Of the patient, as the data set names it; "" if unknown.
        age: Of the patient in years; nan if unknown.
        others: The tracings of the same frames by other observers.
    """

    name: str
    path: Path
    patient: str
    tracings: tuple[Tracing, ...]
    split: str = ""
    fps: float = math.nan
    ef: float = math.nan
    esv: float = math.nan
    edv: float = math.nan
    row: int = 0
    spacing: tuple[float, float] = (math.nan, math.nan)
    thickness: float = math.nan
    view: str = ""
    quality: str = ""
    sex: str = ""
    age: float = math.nan
    others: tuple[Tracing, ...] = ()


def split_observers(
    tracings: Iterable[Tracing], observers: Sequence[str]
) -> tuple[tuple[Tracing, ...], tuple[Tracing, ...]]:
    """Separate the tracing of each frame that trains a network from those of other observers.

    Args:
        tracings: The tracings of a recording, at most one of each frame by each observer.
        observers: The observers; a frame's tracing is that of the first of them who has traced it.

    Returns:
        The tracings, one for each frame, sorted by frame; and the others, sorted by frame and observer. Other observers
        who saw nothing to trace are left out.
    """
    ordered = sorted(tracings, key=lambda tracing: (tracing.frame, observers.index(tracing.observer)))
    first: dict[int, Tracing] = {}
    for tracing in ordered:
        first.setdefault(tracing.frame, tracing)
    others = (tracing for tracing in ordered if first[tracing.frame] is not tracing and len(tracing.coordinates))
    return tuple(first.values()), tuple(others)


def observers_note(recordings: Iterable[Recording], observers: Sequence[str]) -> str:
    """A note on who traced how many frames that several observers traced; "" if there are none.

    Args:
        recordings: The recordings.
        observers: The observers; the first one's tracings train.
    """
    frames = sum(len({tracing.frame for tracing in recording.others}) for recording in recordings)
    if not frames:
        return ""
    listed = ", ".join(observer or UNNAMED for observer in observers)
    return f"{frames} frames are traced by several observers ({listed}); of each, the tracing of the first one is used"


@dataclass(frozen=True, eq=False)
class Dataset:
    """The recordings of a data set.

    Attributes:
        folder: The folder that was read.
        kind: "chords" or "points": the kind of the tracings' coordinates.
        recordings: The recordings with at least one usable tracing, in the order of the file list.
        faults: What was left out, and why.
        empty: Number of frames of sequences without a tracing, which are left out but are not a fault.
        notes: What was decided in reading the files and a user should know, a line each.
        structure: The name of what is traced.
        patients: How the patients were found, such as "by the folder".
        label: Which label of the masks is the structure, and who says so; "" for tracings.
    """

    folder: Path
    kind: str
    recordings: tuple[Recording, ...]
    faults: tuple[Fault, ...]
    empty: int = 0
    notes: tuple[str, ...] = ()
    structure: str = LEFT_VENTRICLE
    patients: str = "by the file's name"
    label: str = ""
