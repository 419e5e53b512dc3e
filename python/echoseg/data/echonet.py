"""Reader of EchoNet folders: `FileList.csv`, `VolumeTracings.csv` and `Videos/`.

Two kinds, told apart by the tracings' header: chords `FileName,X1,Y1,X2,Y2,Frame` (EchoNet-Dynamic) and point
lists `FileName,X,Y,Frame` (EchoNet-Pediatric). The file list's frame sizes and counts are not read: six videos of
EchoNet-Dynamic are listed as 768×1024, and only the decoded frames tell the truth.

Sources: https://echonet.github.io/dynamic/, https://echonet.github.io/pediatric/
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from echoseg.data.table import EXTRA, read_numbers, read_table
from echoseg.data.tracing import MINIMUM_ROWS, Dataset, Fault, Recording, Tracing
from echoseg.errors import DataError
from echoseg.geometry.contour import contour_area, order_contour

FILE_LIST = "FileList.csv"
TRACINGS = "VolumeTracings.csv"
VIDEOS = "Videos"

_COORDINATES = {"chords": ("X1", "Y1", "X2", "Y2"), "points": ("X", "Y")}
_LIMIT = 2.0**20  # what the kernels accept
_OVERLONG = "more cells than the header has columns"
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
        if recording.row in list_faults:
            continue
        if mine is None:
            list_faults[recording.row] = Fault(FILE_LIST, recording.row, f"{recording.name} has no rows in {TRACINGS}")
            continue
        trace_faults += mine.faults
        if mine.tracings:
            tracings = tuple(sorted(mine.tracings, key=lambda tracing: tracing.frame))
            recordings.append(Recording(**{**recording.__dict__, "tracings": tracings, "view": view}))
    for name, stray in traced.items():
        trace_faults.append(Fault(TRACINGS, stray.row, f"{name} is not in {FILE_LIST}"))
    faults = (*sorted(list_faults.values(), key=_by_row), *sorted(trace_faults, key=_by_row))
    if not recordings:
        raise DataError(f"{folder}: nothing usable in it; {faults[0]} (fault 1 of {len(faults)})")
    return Dataset(folder=folder, kind=kind, recordings=tuple(recordings), faults=faults)


def _by_row(fault: Fault) -> int:
    return fault.row or 0


def _read_list(folder: Path) -> tuple[list[Recording], dict[int, Fault]]:
    """Every named row of the file list as a recording without tracings, and the faults by row."""
    table = read_table(folder / FILE_LIST, ("FileName",))
    faults: dict[int, Fault] = {}

    def complain(row: int, reason: str) -> None:
        faults.setdefault(row, Fault(FILE_LIST, row, reason))

    names = [stem_of(cell) for cell in table["FileName"]]
    for row, name, cell in zip(table.index, names, table["FileName"], strict=True):
        if reason := _unsafe(name):
            complain(row, f"FileName {cell!r} {reason}")
    for row in table.index[table[EXTRA].str.strip() != ""]:
        complain(row, _OVERLONG)
    blank = pd.Series("", index=table.index)
    numbers = {}
    for column in ("fps", "ef", "esv", "edv"):
        cells = table.get(column, blank)
        numbers[column], bad = read_numbers(cells, blank=True)
        for row, cell in cells[bad].items():
            complain(row, f"{column.upper()} is {cell!r}, not a number")
    splits = table.get("split", blank).str.strip().tolist()
    patients = table.get("patientid", table.get("patient", blank)).str.strip().tolist()

    videos = _find_videos(folder / VIDEOS)
    listed: list[Recording] = []
    first: dict[str, int] = {}
    for i, (row, name) in enumerate(zip(table.index, names, strict=True)):
        if name in first:
            complain(row, f"{name} is listed twice (first in row {first[name]})")
            continue
        if name not in videos:
            complain(row, f"video {VIDEOS}/{name}.avi is missing")
        first[name] = row
        path = folder / VIDEOS / videos.get(name, name)
        facts: dict[str, Any] = {column: float(values[i]) for column, values in numbers.items()}
        who = patients[i] or name
        listed.append(Recording(name=name, path=path, patient=who, split=splits[i], row=row, tracings=(), **facts))
    return listed, faults


def _find_videos(folder: Path) -> dict[str, str]:
    """Name without ending → file name; where several endings compete, the first of `_ENDINGS` wins."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; put the videos there")
    files = [path for path in folder.iterdir() if path.suffix.lower() in _ENDINGS]
    files.sort(key=lambda path: (-_ENDINGS.index(path.suffix.lower()), path.name))
    return {path.stem: path.name for path in files}


def stem_of(cell: str) -> str:
    """A file name without its ending; dots inside the name stay."""
    name = cell.strip()
    for ending in _ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def _unsafe(name: str) -> str:
    """Why a name cannot be one of a file in the folder; "" if it can."""
    if not name:
        return "is empty"
    if name in (".", "..") or any(sign in name for sign in "/\\:"):
        return "leaves the folder; give a plain file name"
    return "" if name.isprintable() else "holds control characters; give a plain file name"


@dataclass
class _Run:
    """Neighbouring rows with the same FileName and Frame cell: one tracing, if all is well."""

    name: str
    start: int
    stop: int
    row: int
    frame: int = -1
    fault: Fault | None = None
    torn: bool = False  # whose rows these are cannot be known


@dataclass
class Traced:
    """What the tracing file says of one video."""

    row: int
    tracings: list[Tracing] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def read_tracings(path: Path) -> tuple[str, dict[str, Traced], list[Fault]]:
    """Read a table of tracings alone.

    Args:
        path: As `VolumeTracings.csv`.

    Returns:
        The kind, "chords" or "points"; what is known of each video by its name without an ending; and the faults of
        rows that name no video.

    Raises:
        DataError: The table or a column is missing, or the table is empty.
    """
    table = read_table(path, *(("FileName", *names, "Frame") for names in _COORDINATES.values()))
    kind = "chords" if set(_COORDINATES["chords"]) <= set(table.columns) else "points"
    coordinates, damage = _check_cells(table, _COORDINATES[kind])
    runs = _find_runs(table, kind)
    damaged = np.fromiter(damage, dtype=np.intp, count=len(damage))
    for run in runs:
        inside = damaged[np.searchsorted(damaged, run.start) : np.searchsorted(damaged, run.stop)]
        if run.fault is None and inside.size:
            run.fault = Fault(TRACINGS, int(table.index[inside[0]]), damage[int(inside[0])])
    _spread_tears(runs, kind)
    _reject_scattered(runs)

    traced: dict[str, Traced] = {}
    nameless: list[Fault] = []
    for run in runs:
        if _unsafe(run.name):
            nameless += [run.fault] if run.fault else []
            continue
        mine = traced.setdefault(run.name, Traced(run.row))
        shape = coordinates[run.start : run.stop]
        fault = run.fault or _check_shape(run, shape, kind)
        if fault is None:
            mine.tracings.append(Tracing(frame=run.frame, coordinates=shape, row=run.row))
        elif fault not in mine.faults:
            mine.faults.append(fault)
    return kind, traced, nameless


def _check_cells(table: pd.DataFrame, names: Sequence[str]) -> tuple[NDArray[np.float32], dict[int, str]]:
    """The coordinates (R, 2 or 4), and position → reason for every damaged row, in order."""
    values = np.zeros((len(table), len(names)), dtype=np.float32)
    damage: dict[int, str] = {}
    for column, name in enumerate(names):
        numbers, bad = read_numbers(table[name])
        far = ~bad & (np.abs(numbers) > _LIMIT)
        for i in np.flatnonzero(bad | far):
            problem = "not a finite number" if bad[i] else "too far out to be a pixel"
            damage.setdefault(int(i), f"{name} is {table[name].iloc[i]!r}, {problem}")
        values[:, column] = np.where(bad | far, 0, numbers)
    for i in np.flatnonzero(table[EXTRA].str.strip() != ""):
        damage.setdefault(int(i), _OVERLONG)
    values.flags.writeable = False
    return values, dict(sorted(damage.items()))


def _find_runs(table: pd.DataFrame, kind: str) -> list[_Run]:
    """Cut the table where the FileName or the Frame cell changes; fault the runs whose name or frame is no good."""
    files = table["FileName"].str.strip()
    frames = table["Frame"].str.strip()
    numbers, bad = read_numbers(frames)
    name_codes, file_names = pd.factorize(files)
    frame_codes, _ = pd.factorize(frames)
    change = (np.diff(name_codes) != 0) | (np.diff(frame_codes) != 0)
    edges = [0, *(np.flatnonzero(change) + 1).tolist(), len(table)]
    stems = [stem_of(cell) for cell in file_names]
    runs = []
    for start, stop in itertools.pairwise(edges):
        run = _Run(name=stems[name_codes[start]], start=start, stop=stop, row=int(table.index[start]))
        untraced = frames.iloc[start].lower().startswith("no ")
        if reason := _unsafe(run.name):
            run.fault = Fault(TRACINGS, run.row, f"FileName {files.iloc[start]!r} {reason}")
        elif untraced:  # EchoNet-Pediatric's "No Systolic" and "No Diastolic"
            run.fault = Fault(TRACINGS, run.row, f"Frame is {frames.iloc[start]!r}: nothing is traced")
        elif bad[start] or numbers[start] % 1:
            run.fault = Fault(TRACINGS, run.row, f"Frame is {frames.iloc[start]!r}, not a frame number")
        elif not 0 <= numbers[start] < _LIMIT:
            run.fault = Fault(
                TRACINGS, run.row, f"Frame is {frames.iloc[start]}; frames count from 0 to the video's last"
            )
        else:
            run.frame = int(numbers[start])
        run.torn = run.fault is not None and not untraced and stop - start < MINIMUM_ROWS[kind]
        runs.append(run)
    return runs


def _spread_tears(runs: list[_Run], kind: str) -> None:
    """Reject the tracings on either side of a torn run.

    A run without a good key that is too short to be a tracing is a damaged piece of a neighbour, which without it would
    be an outline with a bite out of it, or one whose first chord is taken for the long axis.
    """
    for i, run in enumerate(runs):
        if run.torn:
            for neighbour in runs[i - 1 : i] + runs[i + 1 : i + 2]:
                if neighbour.fault is None and (neighbour.name == run.name or _unsafe(run.name)):
                    neighbour.fault = run.fault


def _reject_scattered(runs: list[_Run]) -> None:
    """Reject tracings whose rows do not stand together: traced twice or shuffled, either way without an order."""
    together: dict[tuple[str, int], _Run] = {}
    for run in runs:
        if run.frame < 0:
            continue
        other = together.setdefault((run.name, run.frame), run)
        if other is not run:
            reason = f"frame {run.frame} of {run.name} is traced twice or its rows are shuffled (also row {other.row})"
            run.fault = other.fault = other.fault or Fault(TRACINGS, run.row, reason)


def _check_shape(run: _Run, coordinates: NDArray[np.float32], kind: str) -> Fault | None:
    """What is wrong with a tracing whose cells are all good."""
    if len(coordinates) < MINIMUM_ROWS[kind]:
        need = "the long axis and 3 chords" if kind == "chords" else "3 points"
        return Fault(TRACINGS, run.row, f"frame {run.frame} of {run.name} has {len(coordinates)} rows; it needs {need}")
    if contour_area(order_contour(coordinates)) == 0:
        return Fault(TRACINGS, run.row, f"frame {run.frame} of {run.name}: its contour has no area")
    return None
