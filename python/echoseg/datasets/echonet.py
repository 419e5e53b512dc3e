"""Reader of EchoNet folders: `FileList.csv`, `VolumeTracings.csv` and `Videos/`.

The frame sizes and counts in the file list are not used, because some are
wrong: six videos of EchoNet-Dynamic are listed as 768×1024.

Sources: https://echonet.github.io/dynamic/, https://echonet.github.io/pediatric/
"""

from __future__ import annotations

import dataclasses
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from echoseg.datasets.patients import BY_NAME, patients_of_names
from echoseg.datasets.recording import Dataset, Fault, Recording, observers_note, split_observers, unread_faults
from echoseg.datasets.structure import LEFT_VENTRICLE, structure_name
from echoseg.datasets.tracings import (
    EXTRA_CELLS,
    TRACINGS,
    Problems,
    VideoTracings,
    check_name,
    make_fault,
    read_tracings,
    stem_of,
)
from echoseg.errors import DataError
from echoseg.io.clip import plausible_rate
from echoseg.io.file_types import SUFFIXES
from echoseg.io.reading import is_clip
from echoseg.utils.table import EXTRA, quote, read_numbers, read_table
from echoseg.utils.words import counted

FILE_LIST = "FileList.csv"
VIDEOS = "Videos"

VIEWS = ("A4C", "PSAX")
"""The folders of EchoNet-Pediatric."""

_UNITS = {"FPS": ("fps", "hz"), "EF": ("%",), "ESV": ("ml",), "EDV": ("ml",)}
_PATIENTS = ("PatientId", "Patient", "PatientNumber", "PatientName", "SubjectId", "Subject", "MRN")
_TEXTS = {"ImageQuality": "quality", "Sex": "sex"}
_SIZES = ("FrameHeight", "FrameWidth", "NumberOfFrames")  # known, but not used


def matches(folder: Path) -> bool:
    """Whether a folder contains one of the two tables."""
    return any((folder / name).is_file() for name in (FILE_LIST, TRACINGS))


def files_of(folder: Path) -> list[Path]:
    """List the tables and the videos."""
    return [path for pattern in ("*.csv", f"{VIDEOS}/*") for path in sorted(folder.glob(pattern))]


def read_echonet(folder: str | Path, structure: str | None = None) -> Dataset:
    """Read the tables of an EchoNet folder; no video is opened.

    What cannot be used is left out and reported as a fault: invalid cells, too few rows, missing videos, videos without
    tracings, and so on.

    Args:
        folder: The folder with `FileList.csv`, `VolumeTracings.csv` and `Videos/`.
        structure: The name of what is traced; None: the left ventricle.

    Returns:
        The recordings with at least one usable tracing, and the faults.

    Raises:
        DataError: The folder, a table or a column is missing, a table is empty, or nothing is usable.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give one that contains {FILE_LIST}, {TRACINGS} and {VIDEOS}/")
    view = folder.name if folder.name in VIEWS else ""
    listed, list_faults, notes, source = _read_list(folder)
    tracings = read_tracings(folder / TRACINGS)
    traced, trace_faults = tracings.videos, tracings.nameless
    recordings = []
    for recording in listed:
        video = _pop_by_name(traced, recording.name)
        trace_faults += video.faults if video else []
        if recording.row in list_faults:
            continue
        if video is None:
            reason = f"{recording.name} has no rows in {TRACINGS}"
            list_faults[recording.row] = Fault(FILE_LIST, recording.row, reason, "FileName")
        elif video.tracings:
            own, others = split_observers(video.tracings, tracings.observers)
            recordings.append(dataclasses.replace(recording, tracings=own, others=others, view=view))
    for name, video in traced.items():
        trace_faults.append(Fault(TRACINGS, video.row, f"{name} is not in {FILE_LIST}", "FileName"))
    trace_faults = list(dict.fromkeys(trace_faults))  # two tracings may have the same fault
    unread = unread_faults(folder, (folder / VIDEOS).iterdir(), SUFFIXES)
    faults = (*sorted(list_faults.values(), key=_by_row), *sorted(trace_faults, key=_by_row), *unread)
    if not recordings:
        raise DataError(f"{folder}: contains nothing usable; {faults[0]} (fault 1 of {len(faults)})")
    if tracings.rearranged:
        notes.append(
            f"{TRACINGS}: the rows of {tracings.rearranged} tracings were repeated, turned or not in order, and were "
            "brought into order"
        )
    if note := observers_note(recordings, tracings.observers):
        notes.append(note)
    name = structure_name(structure or LEFT_VENTRICLE)
    return Dataset(
        folder, tracings.kind, tuple(recordings), faults, structure=name, notes=tuple(notes), patients=source
    )


def _by_row(fault: Fault) -> int:
    return fault.row or 0


def _pop_by_name(traced: dict[str, VideoTracings], name: str) -> VideoTracings | None:
    """Remove and return the tracings of a video; upper and lower case may differ if only one name fits."""
    if name in traced:
        return traced.pop(name)
    others = [other for other in traced if other.casefold() == name.casefold()]
    return traced.pop(others[0]) if len(others) == 1 else None


def _read_list(folder: Path) -> tuple[list[Recording], dict[int, Fault], list[str], str]:
    """The file list as recordings without tracings, the faults by row, notes, and how the patients were found."""
    table = read_table(
        folder / FILE_LIST, ("FileName",), optional=(*_UNITS, "Split", "Age", *_TEXTS, *_PATIENTS, *_SIZES)
    )
    cells = table.cells
    blank = pd.Series("", index=cells.index)
    problems: Problems = defaultdict(list)
    numbers = {}
    for column, units in _UNITS.items():
        texts = cells.get(column, blank)
        numbers[column.lower()], bad = read_numbers(texts, blank=True, decimal=table.decimal, units=units)
        for row, cell in texts[bad].items():
            problems[row].append((column, f"{quote(cell)} is not a number"))
    with_ef = numbers["ef"][np.isfinite(numbers["ef"])]
    are_fractions = with_ef.size and 0 < with_ef.max() <= 1
    if are_fractions:
        numbers["ef"] = 100 * numbers["ef"]
    rates = numbers["fps"]
    numbers["fps"] = np.array([plausible_rate(rate) for rate in rates.tolist()])
    implausible = int((np.isfinite(rates) & np.isnan(numbers["fps"])).sum())
    for row in cells.index[cells[EXTRA].str.strip() != ""]:
        problems[row].append(("", EXTRA_CELLS))
    ages, _ = read_numbers(cells.get("Age", blank), blank=True, decimal=table.decimal)  # unknown where it is no number
    texts = {field_name: cells.get(column, blank).str.strip().tolist() for column, field_name in _TEXTS.items()}
    splits = cells.get("Split", blank).str.strip().tolist()
    patient_columns = [name for name in _PATIENTS if name in cells]
    patients = cells[patient_columns[0]].str.strip().tolist() if patient_columns else [""] * len(cells)
    unused = [*patient_columns[1:], *table.unused]
    notes = [f"{FILE_LIST}: columns that are not used: {', '.join(unused)[:200]}"] if unused else []
    if implausible:
        videos_text = counted(implausible, "video")
        notes.append(f"{FILE_LIST}: the FPS of {videos_text} is not between 1 and 1000, and is not used")
    if are_fractions:
        notes.append(f"{FILE_LIST}: no EF is greater than 1, so they are taken for fractions, not percentages")

    videos = _find_videos(folder / VIDEOS)
    listed: list[Recording] = []
    first: dict[str, int] = {}
    for i, (row, cell) in enumerate(cells["FileName"].items()):
        name = stem_of(cell)
        if reason := check_name(name):
            problems[row].append(("FileName", f"{quote(cell)} {reason}"))
            continue
        if name in first:
            problems[row].append(("FileName", f"{name} is listed twice (first in row {first[name]})"))
            continue
        first[name] = row
        video = videos.get(name) or videos.get(name.casefold())
        path = folder / VIDEOS / (video or name)
        if video is None:
            problems[row].append(("FileName", f"{VIDEOS}/ has no video {quote(name)}; copy it there or remove the row"))
        elif path.is_symlink() and _points_outside(path, folder):
            problems[row].append(
                ("FileName", f"{VIDEOS}/{path.name} is a link to a file outside the folder; copy the file")
            )
        values: dict[str, Any] = {field_name: float(column[i]) for field_name, column in numbers.items()}
        values |= {"age": float(ages[i]), **{field_name: column[i] for field_name, column in texts.items()}}
        listed.append(Recording(name, path, patients[i], (), split=splits[i], row=row, **values))
    of_name = patients_of_names({recording.name for recording in listed if not recording.patient})
    listed = [dataclasses.replace(item, patient=item.patient or of_name[item.name]) for item in listed]
    source = f"by the column {patient_columns[0]} of {FILE_LIST}" if patient_columns else BY_NAME
    return listed, {row: make_fault(FILE_LIST, row, found) for row, found in problems.items()}, notes, source


def _find_videos(folder: Path) -> dict[str, str]:
    """Name without suffix → file name, also by the name in lower case if that is unique.

    Of several files with the same name, the suffix that stands first in `SUFFIXES` is used.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; put the videos there")
    videos: dict[str, str] = {}
    others: dict[str, list[str]] = defaultdict(list)
    for path in sorted((path for path in folder.iterdir() if is_clip(path)), key=lambda path: (_rank(path), path.name)):
        # decoded as UTF-8, as the tables are, independent of the locale
        name = os.fsencode(path.name).decode("utf-8", "surrogateescape")
        if videos.setdefault(stem_of(name), path.name) == path.name:
            others[stem_of(name).casefold()].append(path.name)
    return {name: files[0] for name, files in others.items() if len(files) == 1} | videos


def _rank(path: Path) -> int:
    """The place of a file's suffix in `SUFFIXES`."""
    name = path.name.lower()
    return next((place for place, suffix in enumerate(SUFFIXES) if name.endswith(suffix)), len(SUFFIXES))


def _points_outside(link: Path, folder: Path) -> bool:
    """Whether a link's file is outside the data set; `Videos/` itself may be a link to another folder."""
    file = Path(os.path.realpath(link))
    return not any(file.is_relative_to(os.path.realpath(parent)) for parent in (folder, link.parent))
