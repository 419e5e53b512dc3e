"""Reads CSV files as text with exact line numbers.

In the formats read here, cells contain no commas, quotes or line breaks. Quotes are therefore ignored and each line is
one row. This keeps line numbers correct where a stray quote would make a general CSV reader merge many lines.
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
"""The column for text beyond the last header column; "" if a line has none."""

_BLANK = b" \t\v\f,"
_BLANK_LINES = re.compile(rb"(?:[\s,]*[\r\n])?")
_UNKNOWN = ("", "nan", "na", "n/a", "none")
_MAX_QUOTE = 60  # characters of a cell in a message
_MIN_CELLS, _CELLS_PER_BYTE = 2**20, 8  # a table may have this many cells in any case, and this many more per byte


def read_table(path: Path, *needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a CSV file as text.

    Args:
        path: The file; UTF-8 with or without a byte-order mark, line endings LF, CRLF or CR.
        needed: Sets of columns; the file must have all columns of at least one set. Case and spaces are ignored.
        optional: Columns that are read if they exist.

    Returns:
        One row per line that is not blank, all cells str. The columns are those of `needed` and `optional` that exist,
        in this spelling, and `EXTRA`. The index is the line number, from 1.

    Raises:
        DataError: The file is missing, unreadable, empty or UTF-16, has no rows, lacks a column, or has far more
            columns than its rows fill.
    """
    data = _read_bytes(path)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path}: is UTF-16 text; save it as CSV in UTF-8")
    # pandas ends a cell at NUL, some versions silently; another control character is kept and is equally invalid
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
    if len(columns) * len(lines) > _MIN_CELLS + _CELLS_PER_BYTE * len(body):
        raise DataError(f"{path}:{head_row}: {len(columns)} columns, far more than the rows fill; fix the header")
    # The added first line of commas sets the number of cells per line; further cells are dropped. low_memory=False:
    # pandas 2 would determine that number for each chunk separately.
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
        **{EXTRA: [_extra_text(line, len(columns)) for line in lines]}
    )
    cells.index = pd.RangeIndex(head_row + 1, head_row + 1 + len(cells))
    cells = cells[[bool(line.strip(_BLANK)) for line in lines]]
    if cells.empty:
        raise DataError(f"{path}: has a header but no rows; add rows")
    return cells


def _extra_text(line: bytes, columns: int) -> str:
    """The text of a line after its first `columns` cells."""
    return line.split(b",", columns)[-1].decode("utf-8", "replace").strip(" ,") if line.count(b",") >= columns else ""


def read_numbers(cells: pd.Series, *, blank: bool = False) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Convert text to numbers.

    Args:
        cells: Text.
        blank: Whether a cell may be blank (empty, nan, na, n/a, none); its value is then nan.

    Returns:
        values: (N,) float64.
        bad: (N,) bool, where a cell is neither a finite number nor, with `blank`, blank.
    """
    values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64)
    bad = ~np.isfinite(values)
    if blank and bad.any():
        bad[bad] = [cell.strip().lower() not in _UNKNOWN for cell in cells[bad]]
    return values, bad


def quote(cell: str) -> str:
    """A cell in quotes for a message, shortened if it is long."""
    return repr(cell if len(cell) <= _MAX_QUOTE else cell[:_MAX_QUOTE] + "…")


def _read_bytes(path: Path) -> bytes:
    if path.exists() and not path.is_file() and not path.is_dir():  # a pipe would block, a device never ends
        raise DataError(f"{path}: is not a regular file; replace it with one")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: missing; give a folder that contains it") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from None


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
    """The header's names in the spelling of `needed` and `optional`, "" for all other columns.

    Raises:
        DataError: The header is empty, lacks columns, or has a column twice.
    """
    found = header.decode("utf-8", "replace").strip()
    if not found:
        raise DataError(f"{path}: is empty; it needs the columns {', '.join(needed[0])}")
    if not any({name.lower() for name in columns} <= set(names) for columns in needed):
        alternatives = " or ".join(",".join(columns) for columns in needed)
        missing = [name for name in needed[0] if name.lower() not in names]
        raise DataError(f"{path}:{row}: no column {', '.join(missing)}; found {found[:200]}; needed {alternatives}")
    spelling = {name.lower(): name for columns in (*needed, optional) for name in columns}
    for name in spelling:
        if names.count(name) > 1:
            raise DataError(f"{path}:{row}:{spelling[name]}: the column appears twice; keep one")
    return [spelling.get(name, "") for name in names]
