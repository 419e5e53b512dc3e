"""A simple reference implementation of the reader of EchoNet tables; used by `tables.py`."""

from __future__ import annotations

import ast
import csv
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

import numpy as np

from echoseg.datasets.recording import Dataset, Recording, Tracing
from echoseg.io.file_types import SUFFIXES

LIST, TRACINGS = "FileList.csv", "VolumeTracings.csv"
NEEDED = (({"filename"},), ({"filename", "x1", "y1", "x2", "y2", "frame"}, {"filename", "x", "y", "frame"}))
BLANK = " \t\v\f,;|\x1f"
QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")


class Table:
    """A table as the reference implementation reads it: rows by line number, cells by column name."""

    def __init__(self, data: bytes) -> None:
        lines = re.split(r"\r\n|\r|\n", _decode(data).replace("\0", "\1"))
        first = next((i for i, line in enumerate(lines) if line.strip(BLANK + "\n")), len(lines))
        declared = re.fullmatch(r'"?sep=(.)"?[ ,;|\t]*', lines[first], re.IGNORECASE) if first < len(lines) else None
        first += declared is not None
        header = lines[first] if first < len(lines) else ""
        delimiters = [declared[1]] if declared else [",", ";", "\t", "|"]
        named = {one: [_plain(cell) for cell in _split(header, one)] for one in delimiters}
        fitting = [
            one for one in delimiters if any(names <= set(named[one]) for names in itertools.chain(*NEEDED[::-1]))
        ]
        self.delimiter = fitting[0] if fitting else delimiters[0]
        self.columns = named[self.delimiter]
        self.rows: dict[int, list[str]] = {}
        position = first + 1
        while position < len(lines):
            cells, used = self._record(lines[position : position + 20])
            if any(cell.strip(BLANK) for cell in cells):
                self.rows[position + 1] = cells
            position += used

    def _record(self, lines: list[str]) -> tuple[list[str], int]:
        """The cells of the record that starts in the first line, and the number of its lines."""
        for count in range(1, len(lines) + 1) if '"' in lines[0] else ():
            text = "\n".join(lines[:count])
            if text.count('"') % 2 == 0:
                cells = _split(text, self.delimiter)
                if count == 1 or len(cells) == len(self.columns):
                    return [cell.replace("\n", " ") for cell in cells], count
        return lines[0].replace('"', "").split(self.delimiter), 1

    def cell(self, row: int, column: str) -> str:
        index = self.columns.index(column.lower())
        return self.rows[row][index] if index < len(self.rows[row]) else ""


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _split(text: str, delimiter: str) -> list[str]:
    if '"' not in text:
        return text.split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter, skipinitialspace=True), [""])
    except csv.Error:
        return text.replace('"', "").split(delimiter)


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


def _stem(cell: str) -> str:
    cell = unicodedata.normalize("NFC", cell.strip())
    parts = re.split(r"[/\\]", cell)
    if parts[0] and ":" not in parts[0] and ".." not in parts:
        cell = parts[-1]
    return next((cell[: -len(suffix)] for suffix in SUFFIXES if cell.lower().endswith(suffix)), cell)


def _frame(cell: str) -> str | float:
    """The cell as a number if possible: 2 and 00002 are the same frame."""
    try:
        return float(cell)
    except ValueError:
        return cell.strip()


class Reference:
    """Checks a data set against its tables.

    Attributes:
        keys: Video and frame of each row of the tracings, by line number.
        rows: The line numbers of the tracings, in order.
    """

    def __init__(self, dataset: Dataset, listed: Table, traced: Table) -> None:
        self.dataset, self.listed, self.traced = dataset, listed, traced
        self.names = {row: _stem(listed.cell(row, "FileName")) for row in listed.rows}
        self.keys = {
            row: (_stem(traced.cell(row, "FileName")), _frame(traced.cell(row, "Frame"))) for row in traced.rows
        }
        self.rows = list(self.keys)
        self.faulty = {file: {fault.row for fault in dataset.faults if fault.file == file} for file in (LIST, TRACINGS)}

    def violations(self) -> Iterator[str]:
        """Descriptions of everything that is wrong with the data set."""
        used: set[int] = set()
        for recording in self.dataset.recordings:
            if self.names.get(recording.row) != recording.name:
                yield f"{recording.name} is not in row {recording.row} of the list"
            for tracing in recording.tracings:
                used.update(self._rows_like(tracing.row))
                yield from self._check_tracing(recording, tracing)
        yield from self._find_dropped(used)
        yield from self._check_locations()

    def _rows_like(self, row: int) -> list[int]:
        """The rows with the video and frame of a row."""
        return [other for other, key in self.keys.items() if key == self.keys[row]]

    def _check_tracing(self, recording: Recording, tracing: Tracing) -> Iterator[str]:
        """Compare a tracing with all rows of its video and frame; rows may be repeated, turned and in any order."""
        rows, key = self._rows_like(tracing.row), self.keys[tracing.row]
        places = [self.rows.index(row) for row in rows]
        neighbours = {i + step for i in places for step in (-1, 1)} - set(places)
        if key[0].casefold() != recording.name.casefold() or tracing.row != rows[0]:
            yield f"rows {rows} are not a tracing of {recording.name}"
        elif key[1] != tracing.frame:
            yield f"row {rows[0]} is of frame {key[1]}, not {tracing.frame}"
        elif any(
            self._is_fragment(i) and self.keys[self.rows[i]][0] == recording.name
            for i in neighbours
            if 0 <= i < len(self.rows)
        ):
            yield f"rows {rows} are next to a row that may belong to them"
        elif any(cell.strip() for row in rows for cell in self.traced.rows[row][len(self.traced.columns) :]):
            yield f"rows {rows} have cells beyond the last column"
        else:
            columns = ("X1", "Y1", "X2", "Y2") if self.dataset.kind == "chords" else ("X", "Y")
            numbers = np.array([[self._number(row, column) for column in columns] for row in rows])
            turned = numbers[:, [2, 3, 0, 1]] if self.dataset.kind == "chords" else numbers
            distance = np.minimum(
                *(np.abs(one[:, None] - tracing.coordinates[None]).max(axis=2) for one in (numbers, turned))
            )
            close = distance <= 1e-6 * (1 + np.abs(tracing.coordinates).max())
            if not (close.any(axis=0).all() and close.any(axis=1).all()):
                yield f"rows {rows} contain other numbers"

    def _number(self, row: int, column: str) -> float:
        cell = self.traced.cell(row, column)
        return float(cell if self.traced.delimiter == "," else cell.replace(",", "."))

    def _is_fragment(self, i: int) -> bool:
        """Whether the row at position `i` has no frame number, and too few neighbours with its key to be a tracing."""
        minimum = 4 if self.dataset.kind == "chords" else 3
        name, frame = self.keys[self.rows[i]]
        nearby = [self.keys[row] for row in self.rows[max(0, i - 3) : i + 4]]
        return isinstance(frame, str) and not frame.lower().startswith("no ") and nearby.count((name, frame)) < minimum

    def _find_dropped(self, used: set[int]) -> Iterator[str]:
        """Rows that are neither used nor explained by a fault."""
        positions: dict[tuple[str, str | float], list[int]] = {}
        for i, row in enumerate(self.rows):
            positions.setdefault(self.keys[row], []).append(i)
        changes = [self.keys[a] != self.keys[b] for a, b in itertools.pairwise(self.rows)]
        groups = np.cumsum([0, *changes]).tolist()
        faulty_groups = {groups[i] for i, row in enumerate(self.rows) if row in self.faulty[TRACINGS]}
        left_out = {self.names[row] for row in self.faulty[LIST] if row in self.names}
        traced_names = {key[0] for key in self.keys.values()}
        for name in traced_names - set(self.names.values()):
            first = min(self.rows[where[0]] for key, where in positions.items() if key[0] == name)
            left_out |= {name} if first in self.faulty[TRACINGS] else set()
        for key, where in positions.items():
            if not used.isdisjoint(self.rows[i] for i in where) or key[0] in left_out:
                continue
            nearby = {groups[i] + step for i in where for step in (-1, 0, 1)}
            if nearby.isdisjoint(faulty_groups):
                yield f"rows {[self.rows[i] for i in where][:5]} … are dropped silently"
        recorded = {recording.row for recording in self.dataset.recordings}
        for row, name in self.names.items():
            if row not in recorded and row not in self.faulty[LIST] and name not in traced_names:
                yield f"row {row} of the list is dropped silently"

    def _check_locations(self) -> Iterator[str]:
        """Faults whose location does not exist, or has another cell than the quoted one."""
        for fault in self.dataset.faults:
            table = {LIST: self.listed, TRACINGS: self.traced}[fault.file]
            if fault.row not in table.rows:
                yield f"{fault} names a row that does not exist"
            quoted = fault.column and QUOTED.match(fault.reason)
            if quoted and len(quoted[0]) < 50:
                cell = table.cell(fault.row, fault.column).strip()
                if cell != ast.literal_eval(quoted[0]).strip():
                    yield f"{fault} quotes another cell than {cell!r}"


def missing_tracings(dataset: Dataset, listed: Table, traced: Table, original: tuple[Table, Table]) -> Iterator[str]:
    """Tracings that are not used although neither their own lines nor the neighbouring ones were changed."""
    if (listed.columns, traced.columns) != tuple(table.columns for table in original):
        return
    used = {(recording.name, tracing.frame) for recording in dataset.recordings for tracing in recording.tracings}
    entries = Counter(_stem(row[0]) for row in listed.rows.values())
    unchanged = {
        _stem(row[0])
        for row in original[0].rows.values()
        if row in listed.rows.values() and entries[_stem(row[0])] == 1
    }
    lines, originals = (["end"], *traced.rows.values(), ["end"]), (["end"], *original[1].rows.values(), ["end"])
    for start in range(1, len(originals) - 1, 10):
        name, frame = _stem(originals[start][0]), float(originals[start][5])
        part = originals[start - 1 : start + 11]
        positions = [i for i in range(len(lines)) if lines[i : i + len(part)] == part]
        rows = sum(_stem(line[0]) == name and "".join(line[5:6]) != "" and _frame(line[5]) == frame for line in lines)
        if name in unchanged and len(positions) == 1 and rows == 10 and (name, frame) not in used:
            yield f"frame {frame} of {name} is missing although no line near it was changed"
