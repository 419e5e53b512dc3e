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
import os
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from _folders import write_folder
from echoseg.datasets.echonet import read_echonet
from echoseg.errors import DataError
from stress._difficult_texts import BYTES, CELLS
from stress._reference_tables import LIST, TRACINGS, Reference, Table, missing_tracings

MAX_SECONDS, MAX_MEMORY = 30, 3 << 30  # for one input; for the process, in addition to that at the start

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
