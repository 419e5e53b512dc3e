"""Reads a table of tracings: rows of chords or points, each with the name of its video and the number of its frame.

The header determines the kind: chords `FileName,X1,Y1,X2,Y2,Frame` (EchoNet-Dynamic) or points `FileName,X,Y,Frame`
(EchoNet-Pediatric). With a column `Observer`, a frame may be traced once by each observer.
"""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from echoseg.datasets.recording import MINIMUM_ROWS, Fault, Tracing
from echoseg.geometry.chords import are_arranged, arrange_chords
from echoseg.geometry.contour import contour_area, order_contour
from echoseg.io.file_types import SUFFIXES
from echoseg.utils.table import EXTRA, Table, quote, read_numbers, read_table

TRACINGS = "VolumeTracings.csv"
_OBSERVER = "Observer"
EXTRA_CELLS = "more cells than the header has columns"

_COORDINATES = {"chords": ("X1", "Y1", "X2", "Y2"), "points": ("X", "Y")}
_MAX_NUMBER = 2.0**20  # the largest coordinate that the kernels accept
_MAX_NAME_BYTES = 255  # limit of most file systems

Problems = dict[int, list[tuple[str, str]]]
"""Row → what is wrong with it: column and reason."""


def make_fault(file: str, row: int, problems: Sequence[tuple[str, str]]) -> Fault:
    """All problems of a row as one fault, in the column of the first problem."""
    (column, reason), *others = problems
    more = [f"{other}: {reason}" if other else reason for other, reason in others]
    return Fault(file, row, "; ".join((reason, *more)), column)


def stem_of(cell: str) -> str:
    """The name of a video in a table: without the folders before it, and without the suffix of a file type.

    Other dots in the name are kept. Characters that Unicode can write in several ways are written in the composed way.
    """
    name = unicodedata.normalize("NFC", cell.strip())
    parts = re.split(r"[/\\]", name)
    if parts[0] and ":" not in parts[0] and ".." not in parts:  # a path inside the folder
        name = parts[-1]
    suffix = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def check_name(name: str) -> str:
    """Describe why a name is unusable for a file in the folder; "" if it is usable."""
    if not name:
        return "is empty"
    if name in (".", "..") or any(separator in name for separator in "/\\:"):
        return "is a path outside the folder; give a plain file name"
    if not name.isprintable():
        return "contains control characters; give a plain file name"
    return "" if len(name.encode()) <= _MAX_NAME_BYTES else "is too long for a file name"


@dataclass
class _RowGroup:
    """Consecutive rows with the same FileName, Frame and Observer cell: one tracing, if there is no fault.

    Attributes:
        name: The video's name without suffix.
        start: Position of the first row.
        stop: Position after the last row.
        row: Line number of the first row.
        frame: The frame number; -1 if it is invalid.
        observer: Who traced; "" without such a column.
        faults: What is wrong with the rows.
        is_fragment: Whether FileName or Frame is invalid and the group is too short to be a tracing, so that its rows
            may belong to a neighbouring group.
        repeated: Further groups with the same name, frame and observer, which are parts of this one.
        is_part: Whether this is such a further group.
    """

    name: str
    start: int
    stop: int
    row: int
    frame: int = -1
    observer: str = ""
    faults: Sequence[Fault] = ()
    is_fragment: bool = False
    repeated: list[_RowGroup] = field(default_factory=list)
    is_part: bool = False


@dataclass
class VideoTracings:
    """The tracings of one video in the tracing file.

    Attributes:
        row: Line number of the first row.
        tracings: The usable tracings, in the file's order.
        faults: What is wrong with the others; the keys are the faults, each once and in order.
    """

    row: int
    tracings: list[Tracing] = field(default_factory=list)
    faults: dict[Fault, None] = field(default_factory=dict)


class TracingTable(NamedTuple):
    """The content of a table of tracings.

    Attributes:
        kind: "chords" or "points".
        videos: The tracings and faults of each video, by its name without suffix.
        nameless: The faults of rows without a usable video name. Each row is part of a tracing or covered by a fault.
        rearranged: The number of tracings whose rows were brought into order; see `geometry.chords.arrange_chords`.
        observers: The observers in the order of the table.
    """

    kind: str
    videos: dict[str, VideoTracings]
    nameless: list[Fault]
    rearranged: int
    observers: tuple[str, ...]


def read_tracings(path: Path) -> TracingTable:
    """Read a table of tracings.

    Args:
        path: The table, with the columns of `VolumeTracings.csv`.

    Raises:
        DataError: The table or a column is missing, or the table is empty.
    """
    needed = (("FileName", *names, "Frame") for names in _COORDINATES.values())
    table = read_table(path, *needed, optional=(_OBSERVER,))
    kind = "chords" if set(_COORDINATES["chords"]) <= set(table.cells.columns) else "points"
    coordinates, problems = _check_cells(table, _COORDINATES[kind])
    groups = _group_rows(table, kind, problems)
    _reject_neighbours_of_fragments(groups)
    _unite_repeated(groups, coordinates, kind)
    edges = np.array([*(group.start for group in groups), len(coordinates)])
    in_order = np.diff(edges) >= MINIMUM_ROWS[kind]
    in_order &= are_arranged(coordinates, edges) if kind == "chords" else False

    videos: dict[str, VideoTracings] = {}
    nameless: list[Fault] = []
    rearranged = 0
    for group, is_in_order in zip(groups, in_order.tolist(), strict=True):
        if check_name(group.name):
            nameless += group.faults
            continue
        if group.is_part:
            continue
        video = videos.setdefault(group.name, VideoTracings(group.row))
        rows, faults = coordinates[group.start : group.stop], group.faults
        if group.repeated:
            rows = np.concatenate([rows, *(coordinates[part.start : part.stop] for part in group.repeated)])
        turned = 0
        if not faults and (group.repeated or not is_in_order):
            faults = _check_shape(group, rows, kind)
            if not faults and kind == "chords":
                original, (rows, faults) = rows, _arrange(group, rows)
                rearranged += not faults
                turned = int((~(rows[1:, None] == original).all(axis=2).any(axis=1)).sum())
        video.faults |= dict.fromkeys(faults)
        if not faults:
            video.tracings.append(Tracing(group.frame, rows, group.row, turned=turned, observer=group.observer))
    return TracingTable(kind, videos, nameless, rearranged, tuple(dict.fromkeys(group.observer for group in groups)))


def _check_cells(table: Table, names: Sequence[str]) -> tuple[NDArray[np.float32], Problems]:
    """The coordinates (R, 2 or 4) float32, and the problems of invalid rows by position, sorted."""
    cells = table.cells
    values = np.zeros((len(cells), len(names)), dtype=np.float32)
    problems: Problems = defaultdict(list)
    for column, name in enumerate(names):
        numbers, bad = read_numbers(cells[name], decimal=table.decimal)
        far = ~bad & (np.abs(numbers) > _MAX_NUMBER)
        for i, cell in zip(np.flatnonzero(bad | far).tolist(), cells[name][bad | far], strict=True):
            problem = "not a finite number" if bad[i] else "too large for a pixel coordinate"
            problems[i].append((name, f"{quote(cell)} is {problem}"))
        values[:, column] = np.where(bad | far, 0, numbers)
    for i in np.flatnonzero(cells[EXTRA].str.strip() != "").tolist():
        problems[i].append(("", EXTRA_CELLS))
    values.flags.writeable = False
    return values, dict(sorted(problems.items()))


def _group_rows(table: Table, kind: str, problems: Problems) -> list[_RowGroup]:
    """Split the table where the FileName, Frame or Observer cell changes; groups with an invalid cell get a fault."""
    cells = table.cells
    name_codes, names = pd.factorize(cells["FileName"].str.strip())
    frame_codes, frame_cells = pd.factorize(cells["Frame"].str.strip())
    observers = cells[_OBSERVER].str.strip() if _OBSERVER in cells else pd.Series("", index=cells.index)
    observer_codes, observer_names = pd.factorize(observers)
    numbers, _ = read_numbers(pd.Series(frame_cells), decimal=table.decimal)
    files, frames = names.tolist(), frame_cells.tolist()
    change = np.diff(np.stack([name_codes, frame_codes, observer_codes]), axis=1).any(axis=0)
    edges = [0, *(np.flatnonzero(change) + 1).tolist(), len(cells)]
    invalid = np.fromiter(problems, dtype=np.intp, count=len(problems))
    bounds = np.searchsorted(invalid, edges).tolist()
    rows = cells.index.to_numpy()
    stems = [stem_of(cell) for cell in files]
    bad_names = [check_name(stem) for stem in stems]
    bad_frames = [_check_frame(cell, number) for cell, number in zip(frames, numbers.tolist(), strict=True)]
    groups = []
    for (start, stop), (low, high) in zip(itertools.pairwise(edges), itertools.pairwise(bounds), strict=True):
        file, frame = name_codes[start], frame_codes[start]
        observer = str(observer_names[observer_codes[start]])
        group = _RowGroup(name=stems[file], start=start, stop=stop, row=int(rows[start]), observer=observer)
        key_problems = [("FileName", f"{quote(files[file])} {bad_names[file]}")] if bad_names[file] else []
        key_problems += [("Frame", bad_frames[frame])] if bad_frames[frame] else []
        untraced = _is_untraced(frames[frame])
        by_position = {start: key_problems} if key_problems else {}
        for position in invalid[low:high].tolist() if not untraced else ():
            by_position[position] = [*by_position.get(position, ()), *problems[position]]
        group.faults = [make_fault(TRACINGS, int(rows[i]), found) for i, found in sorted(by_position.items())]
        group.is_fragment = bool(key_problems) and not untraced and stop - start < MINIMUM_ROWS[kind]
        if not key_problems:
            group.frame = int(numbers[frame])
        groups.append(group)
    return groups


def _is_untraced(frame: str) -> bool:
    """Whether a Frame cell is EchoNet-Pediatric's "No Systolic" or "No Diastolic"."""
    return frame.lower().startswith("no ")


def _check_frame(cell: str, number: float) -> str:
    """Describe why a Frame cell is unusable; "" if it is a frame number."""
    if _is_untraced(cell):
        return f"{quote(cell)}: nothing is traced"
    if not math.isfinite(number) or number % 1:
        return f"{quote(cell)} is not a frame number"
    return "" if 0 <= number < _MAX_NUMBER else f"{quote(cell)}: frame numbers start at 0 and end at the video's last"


def _reject_neighbours_of_fragments(groups: list[_RowGroup]) -> None:
    """Reject the tracings on both sides of a fragment.

    The rows of a fragment may belong to either neighbour. Without them, that neighbour would miss a part of its
    contour, or its first chord would be used as the long axis.
    """
    for i, group in enumerate(groups):
        if group.is_fragment:
            for neighbour in groups[i - 1 : i] + groups[i + 1 : i + 2]:
                if not neighbour.faults and (neighbour.name == group.name or check_name(group.name)):
                    neighbour.faults = group.faults


def _unite_repeated(groups: list[_RowGroup], coordinates: NDArray[np.float32], kind: str) -> None:
    """Unite the groups of rows with the same name, frame and observer.

    The rows of a chord tracing have an order of their own, so that they may stand anywhere in the table. Points are
    used if the same rows stand there twice; otherwise their order is unknown, and the frame is rejected.
    """
    first: dict[tuple[str, int, str], _RowGroup] = {}
    for group in groups:
        other = first.setdefault((group.name, group.frame, group.observer), group)
        if group.frame < 0 or other is group:
            continue
        same = np.array_equal(coordinates[other.start : other.stop], coordinates[group.start : group.stop])
        if not other.faults and not group.faults and (same or kind == "chords"):
            other.repeated += [group] if kind == "chords" else []
            group.is_part = True
            continue
        if not other.faults:
            frame = f"frame {group.frame} of {group.name}"
            reason = f"{frame} is traced twice or its rows are shuffled (also row {other.row})"
            other.faults = [Fault(TRACINGS, group.row, reason)]
        group.faults = [*group.faults, other.faults[0]]


def _arrange(group: _RowGroup, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], list[Fault]]:
    """The rows of a chord tracing in order, and the faults if there is no order."""
    arranged = arrange_chords(rows)
    if arranged is None:
        others = ", ".join(f"also row {part.row}" for part in group.repeated[:1])
        reason = (
            f"frame {group.frame} of {group.name}: not exactly one row crosses the others, as the long axis does; it "
            f"may be traced twice{f' ({others})' if others else ''}; remove the rows that do not belong to it"
        )
        return rows, [Fault(TRACINGS, group.row, reason)]
    return arranged, _check_shape(group, arranged, "chords")


def _check_shape(group: _RowGroup, coordinates: NDArray[np.float32], kind: str) -> list[Fault]:
    """The faults of a tracing whose cells are valid."""
    if len(coordinates) < MINIMUM_ROWS[kind]:
        needed = "the long axis and 3 chords" if kind == "chords" else "3 points"
        reason = f"frame {group.frame} of {group.name} has {len(coordinates)} rows; it needs {needed}"
    elif contour_area(order_contour(coordinates)) == 0:
        reason = f"frame {group.frame} of {group.name}: its contour has no area"
    else:
        return []
    return [Fault(TRACINGS, group.row, reason)]
