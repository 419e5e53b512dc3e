"""Reader of EchoNet folders: `FileList.csv`, `VolumeTracings.csv` and `Videos/`.

Two kinds, told apart by the tracings' header: chords `FileName,X1,Y1,X2,Y2,Frame` (EchoNet-Dynamic) and point
lists `FileName,X,Y,Frame` (EchoNet-Pediatric). The file list's frame sizes and counts are not read: six videos of
EchoNet-Dynamic are listed as 768×1024, and only the decoded frames tell the truth.

Sources: https://echonet.github.io/dynamic/, https://echonet.github.io/pediatric/
"""

from __future__ import annotations

import itertools
import math
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from echoseg.datasets.recording import MINIMUM_ROWS, Dataset, Fault, Recording, Tracing
from echoseg.errors import DataError
from echoseg.geometry.contour import contour_area, order_contour
from echoseg.io.table import EXTRA, read_numbers, read_table, shown

FILE_LIST = "FileList.csv"
TRACINGS = "VolumeTracings.csv"
VIDEOS = "Videos"

_COORDINATES = {"chords": ("X1", "Y1", "X2", "Y2"), "points": ("X", "Y")}
_LIMIT = 2.0**20  # what the kernels accept
_NUMBERS, _OPTIONAL = ("FPS", "EF", "ESV", "EDV"), ("Split", "PatientId", "Patient")
_OVERLONG = "more cells than the header has columns"
_LONGEST = 255  # bytes of a file's name
VIEWS = ("A4C", "PSAX")  # EchoNet-Pediatric's folders
_ENDINGS = (".avi", ".mp4", ".mov", ".mkv", ".wmv", ".webm")


def looks_like(folder: Path) -> bool:
    """Whether a folder has one of the two tables."""
    return any((folder / name).is_file() for name in (FILE_LIST, TRACINGS))


def files_of(folder: Path) -> list[Path]:
    """Every file that matters."""
    return [path for pattern in ("*.csv", f"{VIDEOS}/*") for path in sorted(folder.glob(pattern))]


def read_echonet(folder: str | Path) -> Dataset:
    """Read the tables of an EchoNet folder; no video is opened.

    What cannot be used (a bad cell, too few rows, a missing video, a video without tracing, …) is left out and named
    among the faults.

    Args:
        folder: Holds `FileList.csv`, `VolumeTracings.csv` and `Videos/`.

    Returns:
        The recordings that have at least one usable tracing, and the faults.

    Raises:
        DataError: The folder, a table or a column is missing, a table is empty, or nothing usable is left.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give one that holds {FILE_LIST}, {TRACINGS} and {VIDEOS}/")
    view = folder.name if folder.name in VIEWS else ""
    listed, list_faults = _read_list(folder)
    kind, traced, trace_faults = read_tracings(folder / TRACINGS)
    recordings = []
    for recording in listed:
        mine = traced.pop(recording.name, None)
        trace_faults += mine.faults if mine else []
        if recording.row in list_faults:
            continue
        if mine is None:
            reason = f"{recording.name} has no rows in {TRACINGS}"
            list_faults[recording.row] = Fault(FILE_LIST, recording.row, reason, "FileName")
        elif mine.tracings:
            tracings = tuple(sorted(mine.tracings, key=lambda tracing: tracing.frame))
            recordings.append(Recording(**{**recording.__dict__, "tracings": tracings, "view": view}))
    for name, stray in traced.items():
        trace_faults.append(Fault(TRACINGS, stray.row, f"{name} is not in {FILE_LIST}", "FileName"))
    trace_faults = list(dict.fromkeys(trace_faults))  # a torn row may cost two tracings
    faults = (*sorted(list_faults.values(), key=_by_row), *sorted(trace_faults, key=_by_row))
    if not recordings:
        raise DataError(f"{folder}: nothing usable in it; {faults[0]} (fault 1 of {len(faults)})")
    return Dataset(folder=folder, kind=kind, recordings=tuple(recordings), faults=faults)


def _by_row(fault: Fault) -> int:
    return fault.row or 0


def _read_list(folder: Path) -> tuple[list[Recording], dict[int, Fault]]:
    """Every named row of the file list as a recording without tracings, and the faults by row."""
    table = read_table(folder / FILE_LIST, ("FileName",), optional=(*_NUMBERS, *_OPTIONAL))
    blank = pd.Series("", index=table.index)
    complaints: Complaints = defaultdict(list)
    facts = {}
    for column in _NUMBERS:
        cells = table.get(column, blank)
        facts[column.lower()], bad = read_numbers(cells, blank=True)
        for row, cell in cells[bad].items():
            complaints[row].append((column, f"{shown(cell)} is not a number"))
    for row in table.index[table[EXTRA].str.strip() != ""]:
        complaints[row].append(("", _OVERLONG))
    splits = table.get("Split", blank).str.strip().tolist()
    patients = table.get("PatientId", table.get("Patient", blank)).str.strip().tolist()

    videos = _find_videos(folder / VIDEOS)
    listed: list[Recording] = []
    first: dict[str, int] = {}
    for i, (row, cell) in enumerate(table["FileName"].items()):
        name = stem_of(cell)
        if reason := why_unsafe(name):
            complaints[row].append(("FileName", f"{shown(cell)} {reason}"))
            continue
        if name in first:
            complaints[row].append(("FileName", f"{name} is listed twice (first in row {first[name]})"))
            continue
        first[name] = row
        path = folder / VIDEOS / videos.get(name, name)
        if name not in videos:
            complaints[row].append(("FileName", f"video {VIDEOS}/{name}.avi is missing"))
        elif path.is_symlink() and _leads_out(path, folder):
            complaints[row].append(
                ("FileName", f"{VIDEOS}/{path.name} is a link that leaves the folder; copy the file")
            )
        mine: dict[str, Any] = {fact: float(values[i]) for fact, values in facts.items()}
        who = patients[i] or name
        listed.append(Recording(name=name, path=path, patient=who, split=splits[i], row=row, tracings=(), **mine))
    return listed, {row: fault_of(FILE_LIST, row, told) for row, told in complaints.items()}


Complaints = dict[int, list[tuple[str, str]]]
"""Row → what is wrong with it: column and reason."""


def fault_of(file: str, row: int, told: Sequence[tuple[str, str]]) -> Fault:
    """All that is wrong with a row, at the place of the first of it."""
    (column, reason), *more = told
    rest = [f"{other}: {reason}" if other else reason for other, reason in more]
    return Fault(file, row, "; ".join((reason, *rest)), column)


def _find_videos(folder: Path) -> dict[str, str]:
    """Name without ending → file name; where several endings compete, the first of `_ENDINGS` wins."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; put the videos there")
    files = [path for path in folder.iterdir() if path.suffix.lower() in _ENDINGS]
    files.sort(key=lambda path: (-_ENDINGS.index(path.suffix.lower()), path.name))
    # as UTF-8, like the tables, whatever the locale takes names for
    return {os.fsencode(path.stem).decode("utf-8", "surrogateescape"): path.name for path in files}


def _leads_out(link: Path, folder: Path) -> bool:
    """Whether a link's file lies elsewhere; `Videos/` itself may be a link to where the videos lie."""
    file = Path(os.path.realpath(link))
    return not any(file.is_relative_to(os.path.realpath(home)) for home in (folder, link.parent))


def stem_of(cell: str) -> str:
    """A file name without its ending; dots inside the name stay."""
    name = cell.strip()
    for ending in _ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def why_unsafe(name: str) -> str:
    """Why a name cannot be one of a file in the folder; "" if it can."""
    if not name:
        return "is empty"
    if name in (".", "..") or any(sign in name for sign in "/\\:"):
        return "leaves the folder; give a plain file name"
    if not name.isprintable():
        return "holds control characters; give a plain file name"
    return "" if len(name.encode()) <= _LONGEST else "is too long for a file's name"


@dataclass
class _Run:
    """Neighbouring rows with the same FileName and Frame cell: one tracing, if all is well."""

    name: str
    start: int
    stop: int
    row: int
    frame: int = -1
    faults: Sequence[Fault] = ()
    torn: bool = False  # whose rows these are cannot be known


@dataclass
class VideoTracings:
    """What the tracing file says of one video."""

    row: int
    tracings: list[Tracing] = field(default_factory=list)
    faults: dict[Fault, None] = field(default_factory=dict)  # each once, in order


def read_tracings(path: Path) -> tuple[str, dict[str, VideoTracings], list[Fault]]:
    """Read a table of tracings alone.

    Args:
        path: As `VolumeTracings.csv`.

    Returns:
        The kind, "chords" or "points"; what is known of each video by its name without an ending; and the faults of
        rows that name no video. Every row stands in a tracing or beside a fault that says why not.

    Raises:
        DataError: The table or a column is missing, or the table is empty.
    """
    table = read_table(path, *(("FileName", *names, "Frame") for names in _COORDINATES.values()))
    kind = "chords" if set(_COORDINATES["chords"]) <= set(table.columns) else "points"
    coordinates, damage = _check_cells(table, _COORDINATES[kind])
    runs = _find_runs(table, kind, damage)
    _spread_tears(runs)
    _reject_scattered(runs)

    traced: dict[str, VideoTracings] = {}
    nameless: list[Fault] = []
    for run in runs:
        if why_unsafe(run.name):
            nameless += run.faults
            continue
        mine = traced.setdefault(run.name, VideoTracings(run.row))
        shape = coordinates[run.start : run.stop]
        faults = run.faults or _check_shape(run, shape, kind)
        mine.faults |= dict.fromkeys(faults)
        if not faults:
            mine.tracings.append(Tracing(frame=run.frame, coordinates=shape, row=run.row))
    return kind, traced, nameless


def _check_cells(table: pd.DataFrame, names: Sequence[str]) -> tuple[NDArray[np.float32], Complaints]:
    """The coordinates (R, 2 or 4), and what is wrong with damaged rows, by position, in order."""
    values = np.zeros((len(table), len(names)), dtype=np.float32)
    damage: Complaints = defaultdict(list)
    for column, name in enumerate(names):
        numbers, bad = read_numbers(table[name])
        far = ~bad & (np.abs(numbers) > _LIMIT)
        for i, cell in zip(np.flatnonzero(bad | far).tolist(), table[name][bad | far], strict=True):
            problem = "not a finite number" if bad[i] else "too far out to be a pixel"
            damage[i].append((name, f"{shown(cell)} is {problem}"))
        values[:, column] = np.where(bad | far, 0, numbers)
    for i in np.flatnonzero(table[EXTRA].str.strip() != "").tolist():
        damage[i].append(("", _OVERLONG))
    values.flags.writeable = False
    return values, dict(sorted(damage.items()))


def _find_runs(table: pd.DataFrame, kind: str, damage: Complaints) -> list[_Run]:
    """Cut the table where the FileName or the Frame cell changes; fault the runs that hold a bad cell."""
    name_codes, names = pd.factorize(table["FileName"].str.strip())
    frame_codes, frame_cells = pd.factorize(table["Frame"].str.strip())
    numbers, _ = read_numbers(pd.Series(frame_cells))
    files, frames = names.tolist(), frame_cells.tolist()
    change = (np.diff(name_codes) != 0) | (np.diff(frame_codes) != 0)
    edges = [0, *(np.flatnonzero(change) + 1).tolist(), len(table)]
    damaged = np.fromiter(damage, dtype=np.intp, count=len(damage))
    bounds = np.searchsorted(damaged, edges).tolist()
    rows = table.index.to_numpy()
    stems = [stem_of(cell) for cell in files]
    bad_names = [why_unsafe(stem) for stem in stems]
    bad_frames = [_bad_frame(cell, number) for cell, number in zip(frames, numbers.tolist(), strict=True)]
    runs = []
    for (start, stop), (low, high) in zip(itertools.pairwise(edges), itertools.pairwise(bounds), strict=True):
        file, frame = name_codes[start], frame_codes[start]
        run = _Run(name=stems[file], start=start, stop=stop, row=int(rows[start]))
        key = [("FileName", f"{shown(files[file])} {bad_names[file]}")] if bad_names[file] else []
        key += [("Frame", bad_frames[frame])] if bad_frames[frame] else []
        untraced = _is_untraced(frames[frame])
        told = {start: key} if key else {}
        for position in damaged[low:high].tolist() if not untraced else ():
            told[position] = [*told.get(position, ()), *damage[position]]
        run.faults = [fault_of(TRACINGS, int(rows[position]), mine) for position, mine in sorted(told.items())]
        run.torn = bool(key) and not untraced and stop - start < MINIMUM_ROWS[kind]
        if not key:
            run.frame = int(numbers[frame])
        runs.append(run)
    return runs


def _is_untraced(frame: str) -> bool:
    """EchoNet-Pediatric's "No Systolic" and "No Diastolic"."""
    return frame.lower().startswith("no ")


def _bad_frame(cell: str, number: float) -> str:
    """Why a cell is no frame's number; "" if it is one."""
    if _is_untraced(cell):
        return f"{shown(cell)}: nothing is traced"
    if not math.isfinite(number) or number % 1:
        return f"{shown(cell)} is not a frame number"
    return "" if 0 <= number < _LIMIT else f"{shown(cell)}: frames count from 0 to the video's last"


def _spread_tears(runs: list[_Run]) -> None:
    """Reject the tracings on either side of a torn run.

    A run without a good key that is too short to be a tracing is a damaged piece of a neighbour, which without it would
    be an outline with a bite out of it, or one whose first chord is taken for the long axis.
    """
    for i, run in enumerate(runs):
        if run.torn:
            for neighbour in runs[i - 1 : i] + runs[i + 1 : i + 2]:
                if not neighbour.faults and (neighbour.name == run.name or why_unsafe(run.name)):
                    neighbour.faults = run.faults


def _reject_scattered(runs: list[_Run]) -> None:
    """Reject tracings whose rows do not stand together: traced twice or shuffled, either way without an order."""
    together: dict[tuple[str, int], _Run] = {}
    for run in runs:
        other = together.setdefault((run.name, run.frame), run)
        if run.frame < 0 or other is run:
            continue
        if not other.faults:
            reason = f"frame {run.frame} of {run.name} is traced twice or its rows are shuffled (also row {other.row})"
            other.faults = [Fault(TRACINGS, run.row, reason)]
        run.faults = [*run.faults, other.faults[0]]


def _check_shape(run: _Run, coordinates: NDArray[np.float32], kind: str) -> list[Fault]:
    """What is wrong with a tracing whose cells are all good."""
    if len(coordinates) < MINIMUM_ROWS[kind]:
        need = "the long axis and 3 chords" if kind == "chords" else "3 points"
        reason = f"frame {run.frame} of {run.name} has {len(coordinates)} rows; it needs {need}"
    elif contour_area(order_contour(coordinates)) == 0:
        reason = f"frame {run.frame} of {run.name}: its contour has no area"
    else:
        return []
    return [Fault(TRACINGS, run.row, reason)]
