"""Reads damaged tables of an EchoNet folder, and compares the result with a simple reference implementation.

Each input is a small valid folder whose `FileList.csv` or `VolumeTracings.csv` was changed one to three times. Allowed
outcomes are a data set, or a `DataError` of one line. The reference implementation parses the same bytes with
`str.split` and `float`. It checks for a data set that

- each row is used, or there is a fault for it or a neighbouring row: no row is dropped silently;
- the coordinates equal those in the lines of the tracing, and no line is missing;
- the location of a fault leads to the cell that it quotes;
- a tracing is used if neither its own lines nor the neighbouring ones were changed.

Run `python tests/stress/tables.py --count 20000`. It prints the outcomes, and exits with 1 if a check failed.
"""

from __future__ import annotations

import argparse
import ast
import itertools
import os
import random
import re
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from _folders import write_folder
from echoseg.datasets.echonet import read_echonet
from echoseg.datasets.recording import Dataset, Recording, Tracing
from echoseg.errors import DataError
from stress._difficult_texts import BYTES, CELLS

LIST, TRACINGS = "FileList.csv", "VolumeTracings.csv"
MAX_SECONDS, MAX_MEMORY = 30, 3 << 30  # for one input; for the process, in addition to that at the start
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
SUFFIXES = (".avi", ".mp4", ".mov", ".mkv", ".wmv", ".webm")

Random = random.Random
Mutation = Callable[[Random, bytes], bytes]


def _range(rng: Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + int(2 ** rng.uniform(0, 7)))


def _flip(rng: Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 8)) if data else 0):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def _delete(rng: Random, data: bytes) -> bytes:
    start, stop = _range(rng, data)
    return data[:start] + data[stop:]


def _repeat(rng: Random, data: bytes) -> bytes:
    start, stop = _range(rng, data)
    return data[:stop] + data[start:stop] * rng.choice((1, 2, 50)) + data[stop:]


def _insert(rng: Random, data: bytes) -> bytes:
    start, _ = _range(rng, data)
    return data[:start] + rng.choice([*BYTES, rng.randbytes(rng.randrange(1, 9))]) + data[start:]


def _lines(change: Callable[[Random, list[bytes]], None]) -> Mutation:
    def mutate(rng: Random, data: bytes) -> bytes:
        lines = data.split(b"\n")
        change(rng, lines)
        return b"\n".join(lines)

    return mutate


def _cells(change: Callable[[Random, list[bytes]], None], *, all_lines: bool = False) -> Mutation:
    """Change the cells of one line, or of all lines in the same way."""

    def change_lines(rng: Random, lines: list[bytes]) -> None:
        seed = rng.random()
        for i in range(len(lines)) if all_lines else [rng.randrange(len(lines))]:
            cells = lines[i].split(b",")
            change(Random(seed) if all_lines else rng, cells)
            lines[i] = b",".join(cells)

    return _lines(change_lines)


def _swap(rng: Random, parts: list[bytes]) -> None:
    i, j = rng.randrange(len(parts)), rng.randrange(len(parts))
    parts[i], parts[j] = parts[j], parts[i]


def _drop(rng: Random, parts: list[bytes]) -> None:
    del parts[rng.randrange(len(parts))]


def _double(rng: Random, parts: list[bytes]) -> None:
    i = rng.randrange(len(parts))
    parts.insert(rng.choice((i, rng.randrange(len(parts) + 1))), parts[i])


def _replace(rng: Random, parts: list[bytes]) -> None:
    parts[rng.randrange(len(parts))] = rng.choice(CELLS).encode("utf-8", "surrogatepass")


def _blank(rng: Random, parts: list[bytes]) -> None:
    parts.insert(rng.randrange(len(parts) + 1), rng.choice((b"", b" ", b",", b" , ,,", b'""')))


def _shuffle(rng: Random, parts: list[bytes]) -> None:
    rest = parts[1:]
    rng.shuffle(rest)
    parts[1:] = rest


def _end_lines(rng: Random, data: bytes) -> bytes:
    ends = rng.choice(([b"\r\n"], [b"\r"], [b"\r\n", b"\r", b"\n"], [b"\n\r"], [b"\n", b"\n\n"]))
    return b"".join(line + rng.choice(ends) for line in data.split(b"\n"))


def _encode(rng: Random, data: bytes) -> bytes:
    text = data.decode("utf-8", "replace").replace("a", rng.choice("aé"))
    return text.encode(
        rng.choice(("utf-16", "utf-16-le", "utf-8-sig", "latin-1", "utf-7", "cp1252", "utf-32")), "replace"
    )


def _enlarge(rng: Random, data: bytes) -> bytes:
    """Add a cell of 10^6 characters, or 10^5 columns, to a line."""
    line = rng.choice((0, rng.randrange(data.count(b"\n") + 1)))
    more = rng.choice((b"x" * 10**6, b"1" * 10**6, b"," * 10**5, b",EF" * 10**5, b'"' * 10**6, b"\r" * 10**5))
    lines = data.split(b"\n")
    lines[line] = rng.choice((more + lines[line], lines[line] + more))
    return b"\n".join(lines)


def _replace_separators(rng: Random, data: bytes) -> bytes:
    old, new = rng.choice(
        ((b",", b";"), (b",", b"\t"), (b".", b","), (b".", b""), (b"\n", b""), (b",", b", "), (b"a", b"A"))
    )
    return data.replace(old, new)


MUTATIONS: dict[str, tuple[int, Mutation]] = {
    "flip bits": (8, _flip),
    "delete bytes": (8, _delete),
    "repeat bytes": (4, _repeat),
    "insert bytes": (12, _insert),
    "replace cell": (24, _cells(_replace)),
    "delete cell": (4, _cells(_drop)),
    "double cell": (4, _cells(_double)),
    "swap cells": (4, _cells(_swap)),
    "replace column": (3, _cells(_replace, all_lines=True)),
    "delete column": (3, _cells(_drop, all_lines=True)),
    "double column": (3, _cells(_double, all_lines=True)),
    "swap columns": (3, _cells(_swap, all_lines=True)),
    "delete row": (4, _lines(_drop)),
    "double row": (4, _lines(_double)),
    "swap rows": (4, _lines(_swap)),
    "blank row": (4, _lines(_blank)),
    "shuffle rows": (1, _lines(_shuffle)),
    "end lines": (3, _end_lines),
    "encode": (3, _encode),
    "replace separators": (2, _replace_separators),
    "truncate": (2, lambda rng, data: data[: rng.randrange(len(data) + 1)]),
    "header only": (1, lambda rng, data: data.split(b"\n")[0] + b"\n"),
    "twice": (1, lambda rng, data: data + data),
    "garbage": (1, lambda rng, data: rng.randbytes(rng.randrange(2000))),
    "empty": (1, lambda rng, data: b""),
    "enlarge": (1, _enlarge),
}
"""Name → relative frequency, and the function that changes a table."""


def mutants(count: int, seed: int, tables: dict[str, bytes]) -> Iterator[tuple[list[str], dict[str, bytes]]]:
    """Apply random mutations; yields their names and the changed tables."""
    rng = Random(seed)
    names = list(MUTATIONS)
    weights = [weight for weight, _ in MUTATIONS.values()]
    for _ in range(count):
        mutated, applied = dict(tables), []
        for name in rng.choices(names, weights, k=rng.choice((1, 1, 2, 3))):
            table = rng.choice((LIST, TRACINGS, TRACINGS))
            mutated[table] = MUTATIONS[name][1](rng, mutated[table])
            applied.append(f"{name} of {table}")
        yield applied, mutated


class Table:
    """A table as the reference implementation reads it: rows by line number, cells by column name."""

    def __init__(self, data: bytes) -> None:
        data = data.removeprefix(b"\xef\xbb\xbf").replace(b'"', b"").replace(b"\0", b"\1")
        lines = [line.decode("utf-8", "replace").split(",") for line in re.split(rb"\r\n|\r|\n", data)]
        filled = [i for i, line in enumerate(lines, start=1) if "".join(line).strip(" \t\v\f")]
        self.columns = [re.sub(r"\s", "", cell).lower() for cell in lines[filled[0] - 1]] if filled else []
        self.rows = {i: lines[i - 1] for i in filled[1:]}

    def cell(self, row: int, column: str) -> str:
        index = self.columns.index(column.lower())
        return self.rows[row][index] if index < len(self.rows[row]) else ""


def _stem(cell: str) -> str:
    cell = cell.strip()
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
                first = self.rows.index(tracing.row)
                used.update(self.rows[first : first + len(tracing.coordinates)])
                yield from self._check_tracing(recording, tracing, first)
        yield from self._find_dropped(used)
        yield from self._check_locations()

    def _check_tracing(self, recording: Recording, tracing: Tracing, first: int) -> Iterator[str]:
        """Compare a tracing with its rows, which start at position `first`."""
        end = first + len(tracing.coordinates)
        rows = self.rows[first:end]
        key = self.keys[rows[0]]
        neighbours = [i for i in (first - 1, end) if 0 <= i < len(self.rows)]
        if len({self.keys[row] for row in rows}) != 1 or key[0] != recording.name:
            yield f"rows {rows} are not a tracing of {recording.name}"
        elif key[1] != tracing.frame:
            yield f"row {rows[0]} is of frame {key[1]}, not {tracing.frame}"
        elif any(self._is_fragment(i) and self.keys[self.rows[i]][0] == recording.name for i in neighbours):
            yield f"rows {rows} are next to a row that may belong to them"
        elif any(cell.strip() for row in rows for cell in self.traced.rows[row][len(self.traced.columns) :]):
            yield f"rows {rows} have cells beyond the last column"
        elif sum(other == key for other in self.keys.values()) != len(rows):
            yield f"frame {tracing.frame} of {recording.name} lacks rows"
        else:
            columns = ("X1", "Y1", "X2", "Y2") if self.dataset.kind == "chords" else ("X", "Y")
            numbers = np.array([[float(self.traced.cell(row, column)) for column in columns] for row in rows])
            if not np.allclose(numbers, tracing.coordinates, rtol=1e-6, atol=1e-6):
                yield f"rows {rows} contain other numbers"

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
            quoted = fault.column and _QUOTED.match(fault.reason)
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


def try_one(folder: Path, tables: dict[str, bytes], original: tuple[Table, Table]) -> tuple[str, list[str]]:
    """Read one input; returns the outcome and the failed checks."""
    for name, data in tables.items():
        (folder / name).write_bytes(data)
    signal.alarm(MAX_SECONDS)
    try:
        dataset = read_echonet(folder)
    except DataError as error:
        text = str(error)
        valid = text.isprintable() and text.startswith(str(folder)) and len(text) < 2000
        return "refused", [] if valid else [f"invalid message: {text[:300]!r}"]
    except Exception as error:
        return "error", [f"{type(error).__name__}: {str(error)[:300]}"]
    finally:
        signal.alarm(0)
    listed, traced = Table(tables[LIST]), Table(tables[TRACINGS])
    failures = [
        *Reference(dataset, listed, traced).violations(),
        *missing_tracings(dataset, listed, traced, original),
        *(f"invalid message: {fault!r}" for fault in map(str, dataset.faults) if not fault.isprintable()),
    ]
    return "read with faults" if dataset.faults else "read", failures


def run(count: int, seed: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Read a number of inputs; returns the number by outcome, and the failed checks."""
    write_folder(folder)
    tables = {name: (folder / name).read_bytes() for name in (LIST, TRACINGS)}
    original = Table(tables[LIST]), Table(tables[TRACINGS])
    outcomes: Counter[str] = Counter()
    failures = []
    previous = signal.signal(signal.SIGALRM, _on_alarm)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for number, (applied, mutated) in enumerate(mutants(count, seed, tables)):
                outcome, found = try_one(folder, mutated, original)
                outcomes[outcome] += 1
                failures += [f"input {number} ({', '.join(applied)}): {failure}" for failure in found]
    finally:
        signal.signal(signal.SIGALRM, previous)
    return outcomes, failures


def _on_alarm(number: int, frame: object) -> None:
    raise TimeoutError(f"no result within {MAX_SECONDS} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    limit = MAX_MEMORY + os.sysconf("SC_PAGE_SIZE") * int(
        Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]
    )
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        outcomes, failures = run(arguments.count, arguments.seed, Path(temporary) / "data")
    for failure in failures[:20]:
        print(failure)
    summary = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    print(f"{arguments.count} changed tables in {time.monotonic() - started:.0f} s: {summary}")
    print(f"{len(failures)} failures (an unexpected error, a row dropped or read incorrectly, a wrong location)")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
