"""Damage the tables of an EchoNet folder in every way we can think of, and look at what is read.

Each input is a small valid folder whose `FileList.csv` or `VolumeTracings.csv` was mutated one to three times. Allowed
is a data set, or a `DataError` of one line. Of a data set an oracle, which parses the same bytes with `str.split` and
`float`, wants that

- every row is used, or beside a fault that says why not: nothing is dropped in silence;
- what is used is what stands in the lines that it names, and all of it;
- a fault's FILE:LINE:COLUMN leads to the cell that it quotes;
- a tracing is used if neither its own nor its neighbours' lines were touched.

Run it: `python tests/stress/tables.py --count 20000`. It prints what was tried and found, and exits with 1 if anything
failed.
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
from echoseg.datasets.recording import Dataset
from echoseg.errors import DataError
from stress._nasty import BYTES, CELLS

LIST, TRACINGS = "FileList.csv", "VolumeTracings.csv"
SECONDS, MEMORY = 30, 3 << 30  # of one input, and of the process beyond what it has at the start
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
ENDINGS = (".avi", ".mp4", ".mov", ".mkv", ".wmv", ".webm")

Random = random.Random
Mutation = Callable[[Random, bytes], bytes]


def _spans(find: Random, data: bytes) -> tuple[int, int]:
    start = find.randrange(len(data) + 1)
    return start, min(len(data), start + int(2 ** find.uniform(0, 7)))


def _flip(find: Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(find.choice((1, 1, 1, 8)) if data else 0):
        out[find.randrange(len(out))] ^= 1 << find.randrange(8)
    return bytes(out)


def _delete(find: Random, data: bytes) -> bytes:
    start, stop = _spans(find, data)
    return data[:start] + data[stop:]


def _repeat(find: Random, data: bytes) -> bytes:
    start, stop = _spans(find, data)
    return data[:stop] + data[start:stop] * find.choice((1, 2, 50)) + data[stop:]


def _insert(find: Random, data: bytes) -> bytes:
    start, _ = _spans(find, data)
    return data[:start] + find.choice([*BYTES, find.randbytes(find.randrange(1, 9))]) + data[start:]


def _lines(change: Callable[[Random, list[bytes]], None]) -> Mutation:
    def mutate(find: Random, data: bytes) -> bytes:
        lines = data.split(b"\n")
        change(find, lines)
        return b"\n".join(lines)

    return mutate


def _cells(change: Callable[[Random, list[bytes]], None], *, every: bool = False) -> Mutation:
    """Change the cells of one line, or of every line alike."""

    def lines(find: Random, lines: list[bytes]) -> None:
        seed = find.random()
        for i in range(len(lines)) if every else [find.randrange(len(lines))]:
            cells = lines[i].split(b",")
            change(Random(seed) if every else find, cells)
            lines[i] = b",".join(cells)

    return _lines(lines)


def _swap(find: Random, parts: list[bytes]) -> None:
    i, j = find.randrange(len(parts)), find.randrange(len(parts))
    parts[i], parts[j] = parts[j], parts[i]


def _drop(find: Random, parts: list[bytes]) -> None:
    del parts[find.randrange(len(parts))]


def _double(find: Random, parts: list[bytes]) -> None:
    i = find.randrange(len(parts))
    parts.insert(find.choice((i, find.randrange(len(parts) + 1))), parts[i])


def _replace(find: Random, parts: list[bytes]) -> None:
    parts[find.randrange(len(parts))] = find.choice(CELLS).encode("utf-8", "surrogatepass")


def _blank(find: Random, parts: list[bytes]) -> None:
    parts.insert(find.randrange(len(parts) + 1), find.choice((b"", b" ", b",", b" , ,,", b'""')))


def _shuffle(find: Random, parts: list[bytes]) -> None:
    rest = parts[1:]
    find.shuffle(rest)
    parts[1:] = rest


def _end_lines(find: Random, data: bytes) -> bytes:
    ends = find.choice(([b"\r\n"], [b"\r"], [b"\r\n", b"\r", b"\n"], [b"\n\r"], [b"\n", b"\n\n"]))
    return b"".join(line + find.choice(ends) for line in data.split(b"\n"))


def _encode(find: Random, data: bytes) -> bytes:
    text = data.decode("utf-8", "replace").replace("a", find.choice("aé"))
    return text.encode(
        find.choice(("utf-16", "utf-16-le", "utf-8-sig", "latin-1", "utf-7", "cp1252", "utf-32")), "replace"
    )


def _swell(find: Random, data: bytes) -> bytes:
    """Cells of 10^6 signs, or 10^5 columns, in the header or below."""
    line = find.choice((0, find.randrange(data.count(b"\n") + 1)))
    more = find.choice((b"x" * 10**6, b"1" * 10**6, b"," * 10**5, b",EF" * 10**5, b'"' * 10**6, b"\r" * 10**5))
    lines = data.split(b"\n")
    lines[line] = find.choice((more + lines[line], lines[line] + more))
    return b"\n".join(lines)


def _shift_marks(find: Random, data: bytes) -> bytes:
    old, new = find.choice(
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
    "replace column": (3, _cells(_replace, every=True)),
    "delete column": (3, _cells(_drop, every=True)),
    "double column": (3, _cells(_double, every=True)),
    "swap columns": (3, _cells(_swap, every=True)),
    "delete row": (4, _lines(_drop)),
    "double row": (4, _lines(_double)),
    "swap rows": (4, _lines(_swap)),
    "blank row": (4, _lines(_blank)),
    "shuffle rows": (1, _lines(_shuffle)),
    "end lines": (3, _end_lines),
    "encode": (3, _encode),
    "other marks": (2, _shift_marks),
    "truncate": (2, lambda find, data: data[: find.randrange(len(data) + 1)]),
    "header only": (1, lambda find, data: data.split(b"\n")[0] + b"\n"),
    "twice": (1, lambda find, data: data + data),
    "garbage": (1, lambda find, data: find.randbytes(find.randrange(2000))),
    "empty": (1, lambda find, data: b""),
    "swell": (1, _swell),
}
"""Name → how often, against the others, and what is done to the bytes of a table."""


def mutants(count: int, seed: int, tables: dict[str, bytes]) -> Iterator[tuple[list[str], dict[str, bytes]]]:
    """Names of mutations, and the tables after them."""
    find = Random(seed)
    names = list(MUTATIONS)
    weights = [often for often, _ in MUTATIONS.values()]
    for _ in range(count):
        mutated, done = dict(tables), []
        for name in find.choices(names, weights, k=find.choice((1, 1, 2, 3))):
            table = find.choice((LIST, TRACINGS, TRACINGS))
            mutated[table] = MUTATIONS[name][1](find, mutated[table])
            done.append(f"{name} of {table}")
        yield done, mutated


class Table:
    """A table as the oracle reads it: rows by line, cells by column."""

    def __init__(self, data: bytes) -> None:
        data = data.removeprefix(b"\xef\xbb\xbf").replace(b'"', b"").replace(b"\0", b"\1")
        lines = [line.decode("utf-8", "replace").split(",") for line in re.split(rb"\r\n|\r|\n", data)]
        filled = [i for i, line in enumerate(lines, start=1) if "".join(line).strip(" \t\v\f")]
        self.columns = [re.sub(r"\s", "", cell).lower() for cell in lines[filled[0] - 1]] if filled else []
        self.rows = {i: lines[i - 1] for i in filled[1:]}

    def cell(self, row: int, column: str) -> str:
        place = self.columns.index(column.lower())
        return self.rows[row][place] if place < len(self.rows[row]) else ""


def _stem(cell: str) -> str:
    cell = cell.strip()
    return next((cell[: -len(ending)] for ending in ENDINGS if cell.lower().endswith(ending)), cell)


def _frame(cell: str) -> str | float:
    """A number where it is one: 2 and 00002 are one frame."""
    try:
        return float(cell)
    except ValueError:
        return cell.strip()


def complaints(dataset: Dataset, listed: Table, traced: Table) -> Iterator[str]:
    """What is wrong with a data set, by the oracle."""
    names = {row: _stem(listed.cell(row, "FileName")) for row in listed.rows}
    keys = {row: (_stem(traced.cell(row, "FileName")), _frame(traced.cell(row, "Frame"))) for row in traced.rows}
    order = list(keys)
    faulty = {file: {fault.row for fault in dataset.faults if fault.file == file} for file in (LIST, TRACINGS)}
    ends = [name for name in ("X1", "Y1", "X2", "Y2", "X", "Y") if name.lower() in traced.columns]
    ends = ends[:4] if dataset.kind == "chords" else ["X", "Y"]

    def torn(place: int) -> bool:
        """Whether a row of no usable frame stands there, with too few of its like to be a tracing."""
        name, frame = keys[order[place]] if 0 <= place < len(order) else ("", 0.0)
        near = [keys[row] for row in order[max(0, place - 3) : place + 4]]
        return isinstance(frame, str) and not frame.lower().startswith("no ") and near.count((name, frame)) < least

    least = 4 if dataset.kind == "chords" else 3
    used: set[int] = set()
    for recording in dataset.recordings:
        if names.get(recording.row) != recording.name:
            yield f"{recording.name} does not stand in row {recording.row} of the list"
        for tracing in recording.tracings:
            first = order.index(tracing.row)
            rows = order[first : first + len(tracing.coordinates)]
            used.update(rows)
            if len({keys[row] for row in rows}) != 1 or keys[rows[0]][0] != recording.name:
                yield f"rows {rows} are no tracing of {recording.name}"
            elif keys[rows[0]][1] != tracing.frame:
                yield f"row {rows[0]} is of frame {keys[rows[0]][1]}, not {tracing.frame}"
            elif any(
                torn(place) and keys[order[place]][0] == recording.name for place in (first - 1, first + len(rows))
            ):
                yield f"rows {rows} stand beside a row that may belong to them"
            elif any(cell.strip() for row in rows for cell in traced.rows[row][len(traced.columns) :]):
                yield f"rows {rows} have cells beyond the last column"
            elif sum(key == keys[rows[0]] for key in keys.values()) != len(rows):
                yield f"frame {tracing.frame} of {recording.name} lacks rows"
            else:
                said = np.array([[float(traced.cell(row, end)) for end in ends] for row in rows])
                if not np.allclose(said, tracing.coordinates, rtol=1e-6, atol=1e-6):
                    yield f"rows {rows} hold other numbers"

    group: dict[tuple[str, str | float], list[int]] = {}
    for place, row in enumerate(order):
        group.setdefault(keys[row], []).append(place)
    changes = [keys[a] != keys[b] for a, b in itertools.pairwise(order)]
    runs = np.cumsum([0, *changes]).tolist()
    guilty = {runs[place] for place, row in enumerate(order) if row in faulty[TRACINGS]}
    spoilt = {names[row] for row in faulty[LIST] if row in names}
    strays = {name for name in {key[0] for key in keys.values()} if name not in names.values()}
    told = {
        name
        for name in strays
        if min(order[places[0]] for key, places in group.items() if key[0] == name) in faulty[TRACINGS]
    }
    for key, places in group.items():
        if not used.isdisjoint(order[place] for place in places) or key[0] in spoilt | told:
            continue
        near = {runs[place] + step for place in places for step in (-1, 0, 1)}
        if near.isdisjoint(guilty):
            yield f"rows {[order[place] for place in places][:5]} … are dropped without a word"
    traced_names = {key[0] for key in keys.values()}
    recorded = {recording.row for recording in dataset.recordings}
    for row, name in names.items():
        if row not in recorded and row not in faulty[LIST] and name not in traced_names:
            yield f"row {row} of the list is dropped without a word"

    for fault in dataset.faults:
        table = {LIST: listed, TRACINGS: traced}[fault.file]
        if fault.row not in table.rows:
            yield f"{fault} names a row that is none"
        quoted = fault.column and _QUOTED.match(fault.reason)
        if quoted and len(quoted[0]) < 50:
            stands = table.cell(fault.row, fault.column).strip()
            if stands != ast.literal_eval(quoted[0]).strip():
                yield f"{fault} quotes another cell than {stands!r}"


def untouched(dataset: Dataset, listed: Table, traced: Table, whole: tuple[Table, Table]) -> Iterator[str]:
    """Tracings that should be there, since neither their lines nor those beside them were changed."""
    if (listed.columns, traced.columns) != tuple(table.columns for table in whole):
        return
    there = {(recording.name, tracing.frame) for recording in dataset.recordings for tracing in recording.tracings}
    entries = Counter(_stem(row[0]) for row in listed.rows.values())
    good = {
        _stem(row[0]) for row in whole[0].rows.values() if row in listed.rows.values() and entries[_stem(row[0])] == 1
    }
    lines, originals = (["edge"], *traced.rows.values(), ["edge"]), (["edge"], *whole[1].rows.values(), ["edge"])
    for start in range(1, len(originals) - 1, 10):
        name, frame = _stem(originals[start][0]), float(originals[start][5])
        piece = originals[start - 1 : start + 11]
        places = [i for i in range(len(lines)) if lines[i : i + len(piece)] == piece]
        again = sum(_stem(line[0]) == name and "".join(line[5:6]) != "" and _frame(line[5]) == frame for line in lines)
        if name in good and len(places) == 1 and again == 10 and (name, frame) not in there:
            yield f"frame {frame} of {name} is lost though nothing near it was touched"


def try_one(folder: Path, tables: dict[str, bytes], whole: tuple[Table, Table]) -> tuple[str, list[str]]:
    """What came of one input, and what is wrong with that."""
    for name, data in tables.items():
        (folder / name).write_bytes(data)
    signal.alarm(SECONDS)
    try:
        dataset = read_echonet(folder)
    except DataError as error:
        text = str(error)
        fair = text.isprintable() and text.startswith(str(folder)) and len(text) < 2000
        return "refused", [] if fair else [f"unfit for a terminal: {text[:300]!r}"]
    except Exception as error:
        return "broken", [f"{type(error).__name__}: {str(error)[:300]}"]
    finally:
        signal.alarm(0)
    listed, traced = Table(tables[LIST]), Table(tables[TRACINGS])
    wrong = [*complaints(dataset, listed, traced), *untouched(dataset, listed, traced, whole)]
    wrong += [f"unfit for a terminal: {fault!r}" for fault in map(str, dataset.faults) if not fault.isprintable()]
    return "read with faults" if dataset.faults else "read", wrong


def sweep(count: int, seed: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Try mutants in a folder; returns how many came to what, and what failed."""
    write_folder(folder)
    tables = {name: (folder / name).read_bytes() for name in (LIST, TRACINGS)}
    whole = Table(tables[LIST]), Table(tables[TRACINGS])
    outcomes: Counter[str] = Counter()
    failures = []
    before = signal.signal(signal.SIGALRM, _on_alarm)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for number, (done, mutated) in enumerate(mutants(count, seed, tables)):
                outcome, wrong = try_one(folder, mutated, whole)
                outcomes[outcome] += 1
                failures += [f"input {number} ({', '.join(done)}): {each}" for each in wrong]
    finally:
        signal.signal(signal.SIGALRM, before)
    return outcomes, failures


def _on_alarm(number: int, frame: object) -> None:
    raise TimeoutError(f"no answer within {SECONDS} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    held = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        outcomes, failures = sweep(arguments.count, arguments.seed, Path(place) / "data")
    for failure in failures[:20]:
        print(failure)
    told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    print(f"{arguments.count} mutated tables in {time.monotonic() - began:.0f} s: {told}")
    print(f"{len(failures)} failures (an unexpected error, a row dropped or read wrongly, a place that leads nowhere)")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
