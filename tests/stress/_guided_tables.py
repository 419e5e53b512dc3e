"""Reads tables made by a coverage-guided fuzzer; needs `pip install atheris`.

The first byte of an input chooses the file: tracings, file list, `dataset.json`, or corrected landmarks. Allowed
outcomes are data that pass the checks of `Reference`, or a `DataError` of one line. The options are those of
libFuzzer: `python tests/stress/_guided_tables.py CORPUS -max_total_time=300 -max_len=4096`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["echoseg.datasets", "echoseg.io"]):
    from echoseg.datasets.decathlon import read_label
    from echoseg.datasets.echonet import read_echonet
    from echoseg.datasets.tracings import read_tracings
    from echoseg.utils.table import read_numbers, read_table

from _folders import write_folder
from echoseg.errors import DataError
from stress._reference_tables import LIST, TRACINGS, Reference, Table


def try_one(folder: Path, valid: dict[str, bytes], data: bytes) -> None:
    """Read one input.

    Raises:
        AssertionError: The data fail a check, or a message is not one line.
    """
    kind, content = data[:1], data[1:]
    try:
        if kind < b"@":
            name = TRACINGS if kind < b"0" else LIST
            tables = {**valid, name: content}
            for table, text in tables.items():
                (folder / table).write_bytes(text)
            reference = Reference(read_echonet(folder), Table(tables[LIST]), Table(tables[TRACINGS]))
            if violations := list(reference.violations()):
                raise AssertionError(violations)
        elif kind < b"P":
            (folder / "dataset.json").write_bytes(content)
            read_label(folder / "dataset.json")
        elif kind < b"`":
            (folder / "points.csv").write_bytes(content)
            read_tracings(folder / "points.csv")
        else:
            (folder / "landmarks.csv").write_bytes(content)
            read_numbers(read_table(folder / "landmarks.csv", ("FileName", "X"))["X"], blank=True)
    except DataError as error:
        if not str(error).isprintable():
            raise AssertionError(str(error)) from None


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = write_folder(Path(temporary) / "data")
        valid = {name: (folder / name).read_bytes() for name in (LIST, TRACINGS)}
        atheris.Setup(sys.argv, lambda data: try_one(folder, valid, data))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
