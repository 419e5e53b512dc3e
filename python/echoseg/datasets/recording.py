"""The record that every reader returns: recordings with their tracings, and what was left out and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from echoseg.errors import printable

MINIMUM_ROWS = {"chords": 4, "points": 3}
"""Fewest rows that make an outline: the long axis and three chords, or three points."""


@dataclass(frozen=True)
class Fault:
    """One thing that could not be used.

    Attributes:
        file: The file as the user knows it, relative to the dataset's folder.
        row: Its line in that file, the header being line 1; None where a line says nothing (a video).
        reason: What is wrong, in a few words.
        column: Its name; "" where no single cell is to blame.
    """

    file: str
    row: int | None
    reason: str
    column: str = ""

    def __str__(self) -> str:
        return printable(f"{place_of(self.file, self.row, self.column)}: {self.reason}")


def place_of(file: str, row: int | None, column: str = "") -> str:
    """Where something stands, as compilers say it: FILE, FILE:ROW or FILE:ROW:COLUMN."""
    return ":".join((file, *([] if row is None else [str(row)]), *([column] if column else [])))


@dataclass(frozen=True, eq=False)
class Tracing:
    """What an expert drew on one frame.

    Attributes:
        frame: Index of the frame in its video, from 0.
        coordinates: (R, 4) chords `x1, y1, x2, y2` with the long axis in row 0, or (P, 2) points; float32, pixels.
        row: The line of the tracing file where it begins; 0 where a mask was drawn.
        phase: "ED" or "ES" where the data set says so, else "".
        file: Where it stands, relative to the dataset's folder.
    """

    frame: int
    coordinates: NDArray[np.float32]
    row: int
    phase: str = ""
    file: str = "VolumeTracings.csv"


@dataclass(frozen=True, eq=False)
class Recording:
    """One video, stack of slices or picture, and its tracings.

    Attributes:
        name: As in the file list, without an ending; none stands twice.
        path: The file.
        patient: Whom it shows; the name itself where nobody says.
        tracings: By frame.
        split: As the data set says it, raw; "" if it does not.
        fps: Frames a second; nan if unknown.
        ef: Ejection fraction, percent; nan if unknown.
        esv: End-systolic volume, ml; nan if unknown.
        edv: End-diastolic volume, ml; nan if unknown.
        row: Its line in the file list; 0 where there is no list.
        spacing: (row, column) mm a pixel; nan if unknown.
        thickness: mm from one slice to the next; nan where frames are moments in time.
        view: "A4C", "A2C", "PSAX" or "SAX"; "" if unknown.
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


@dataclass(frozen=True, eq=False)
class Dataset:
    """A folder of recordings as read.

    Attributes:
        folder: Where it lies.
        kind: "chords" or "points": what each tracing's coordinates are.
        recordings: Those with at least one usable tracing, in the file list's order.
        faults: What was left out.
        empty: Frames left out because nothing is drawn on them, which is no fault.
    """

    folder: Path
    kind: str
    recordings: tuple[Recording, ...]
    faults: tuple[Fault, ...]
    empty: int = 0
