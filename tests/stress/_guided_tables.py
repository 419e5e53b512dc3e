"""Tables written by a fuzzer that sees which lines of the readers it reached; needs `pip install atheris`.

The first byte of an input chooses the table: of tracings, of videos, `dataset.json` of labels, or corrected landmarks'
columns. What is read must be data or a `DataError` of one line. libFuzzer's options are taken as they are:
`python tests/stress/_guided_tables.py CORPUS -max_total_time=300 -max_len=4096`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["echoseg.io"]):
    from echoseg.iosets.decathlon import read_labels
    from echoseg.iosets.echonet import read_echonet, read_tracings

    from echoseg.io.table import read_numbers, read_table

from _folders import write_folder
from echoseg.errors import DataError
from stress.tables import LIST, TRACINGS, Table, complaints


def one_input(folder: Path, whole: dict[str, bytes], data: bytes) -> None:
    """Read one table; anything but data that the oracle agrees with, or a fair refusal, ends the fuzzer."""
    kind, content = data[:1], data[1:]
    try:
        if kind < b"@":
            name = TRACINGS if kind < b"0" else LIST
            tables = {**whole, name: content}
            for table, text in tables.items():
                (folder / table).write_bytes(text)
            wrong = list(complaints(read_echonet(folder), Table(tables[LIST]), Table(tables[TRACINGS])))
            if wrong:
                raise AssertionError(wrong)
        elif kind < b"P":
            (folder / "dataset.json").write_bytes(content)
            read_labels(folder / "dataset.json")
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
    with tempfile.TemporaryDirectory() as place:
        folder = write_folder(Path(place) / "data")
        whole = {name: (folder / name).read_bytes() for name in (LIST, TRACINGS)}
        atheris.Setup(sys.argv, lambda data: one_input(folder, whole, data))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
