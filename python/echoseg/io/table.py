"""CSV as text with true line numbers: what every check of a cell builds on.

Cells never hold commas, quotes or line breaks in the formats read here, so a quote is noise and one line is one row.
That keeps line numbers right even where a stray quote would make a general CSV reader swallow half the file.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from echoseg.errors import DataError

EXTRA = "(extra)"
"""The column that holds what a line has beyond its header; "" where all is well."""

_BLANK = b" \t\v\f,"
_BLANK_LINES = re.compile(rb"(?:[\s,]*[\r\n])?")
_UNKNOWN = ("", "nan", "na", "n/a", "none")
_SHOWN = 60  # signs of a cell
_FREE, _A_BYTE = 2**20, 8  # cells that a table may have anyhow, and more of them for each byte


def read_table(path: Path, *needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a CSV file as text.

    Args:
        path: The file; UTF-8 with or without a byte-order mark, lines ended by LF, CRLF or CR.
        needed: Sets of columns; the file must have all of at least one set. Case and spaces do not count.
        optional: Columns that are read where they are there.

    Returns:
        One row a line that is not blank, all cells str; the columns that are there of `needed` and `optional`, so
        spelt, and `EXTRA`; the index is the line number, counted from 1.

    Raises:
        DataError: The file is missing, unreadable, empty or UTF-16, has no row, lacks a column, or has a header that is
            out of all proportion to its rows.
    """
    data = _read_bytes(path)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path}: is UTF-16 text; save it as CSV in UTF-8")
    # pandas ends a cell at NUL, some versions silently; another control character says the same and survives.
    data = data.removeprefix(b"\xef\xbb\xbf").replace(b'"', b"").replace(b"\0", b"\1")

    blank = _BLANK_LINES.match(data)
    head = blank.end() if blank else 0
    header, body = _cut_line(data[head:])
    head_row = len(data[:head].splitlines()) + 1
    names = [re.sub(r"\s", "", cell).lower() for cell in header.decode("utf-8", "replace").split(",")]
    columns = _name_columns(path, head_row, header, names, needed, optional)
    chosen = {place: name for place, name in enumerate(columns) if name}
    body = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = body.removesuffix(b"\n").split(b"\n")
    if len(columns) * len(lines) > _FREE + _A_BYTE * len(body):
        raise DataError(f"{path}:{head_row}: {len(columns)} columns, which hardly a row fills; mend the header")
    # The line of commas in front gives every line as many cells as the header has; further ones are dropped. Read in
    # one piece: pandas 2 looks for that width in every piece anew.
    cells = pd.read_csv(
        io.BytesIO(b"," * len(columns) + b"\n" + body),
        header=None,
        names=range(len(columns) + 1),
        usecols=list(chosen),
        dtype=str,
        na_filter=False,
        skip_blank_lines=False,
        quoting=3,
        encoding_errors="replace",
        low_memory=False,
    ).iloc[1:]
    cells = cells.set_axis(list(chosen.values()), axis=1).assign(
        **{EXTRA: [_beyond(line, len(columns)) for line in lines]}
    )
    cells.index = pd.RangeIndex(head_row + 1, head_row + 1 + len(cells))
    cells = cells[[bool(line.strip(_BLANK)) for line in lines]]
    if cells.empty:
        raise DataError(f"{path}: has a header but no rows; nothing to read")
    return cells


def _beyond(line: bytes, columns: int) -> str:
    """What stands in a line's cells beyond so many."""
    return line.split(b",", columns)[-1].decode("utf-8", "replace").strip(" ,") if line.count(b",") >= columns else ""


def read_numbers(cells: pd.Series, *, blank: bool = False) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Turn text into numbers.

    Args:
        cells: Text.
        blank: Whether a cell may say nothing (empty, nan, na, n/a, none) and then counts as nan.

    Returns:
        The values, float64, and where a cell is not a finite number (nor, with `blank`, empty).
    """
    values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64)
    bad = ~np.isfinite(values)
    if blank and bad.any():
        bad[bad] = [cell.strip().lower() not in _UNKNOWN for cell in cells[bad]]
    return values, bad


def shown(cell: str) -> str:
    """A cell as messages quote it: not more of it than is needed to find it."""
    return repr(cell if len(cell) <= _SHOWN else cell[:_SHOWN] + "…")


def _read_bytes(path: Path) -> bytes:
    if path.exists() and not path.is_file() and not path.is_dir():  # a pipe would be waited for, a device never ends
        raise DataError(f"{path}: is no plain file; put one there")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: missing; give a folder that holds it") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the file and its rights") from None


def _cut_line(data: bytes) -> tuple[bytes, bytes]:
    """The first line and the rest."""
    first, *rest = re.split(rb"\r\n|\r|\n", data, maxsplit=1)
    return first, rest[0] if rest else b""


def _name_columns(
    path: Path,
    row: int,
    header: bytes,
    names: list[str],
    needed: tuple[tuple[str, ...], ...],
    optional: tuple[str, ...],
) -> list[str]:
    """Names as in `needed` and `optional`, "" for all others; complains where none of the sets is there or a name that
    is meant stands twice."""
    found = header.decode("utf-8", "replace").strip()
    if not found:
        raise DataError(f"{path}: is empty; it needs the columns {', '.join(needed[0])}")
    if not any({name.lower() for name in columns} <= set(names) for columns in needed):
        wanted = " or ".join(",".join(columns) for columns in needed)
        lacking = [name for name in needed[0] if name.lower() not in names]
        raise DataError(f"{path}:{row}: no column {', '.join(lacking)}; found {found[:200]}; needed {wanted}")
    spelling = {name.lower(): name for columns in (*needed, optional) for name in columns}
    for name in spelling:
        if names.count(name) > 1:
            raise DataError(f"{path}:{row}:{spelling[name]}: the column stands twice; keep one")
    return [spelling.get(name, "") for name in names]
