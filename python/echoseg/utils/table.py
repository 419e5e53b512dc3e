"""Reads tables as text with exact line numbers.

The delimiter is a comma, semicolon, tab or vertical bar; cells may be quoted. Most tables have no quotes and are parsed
by pandas at once. In others, each line with a quote is parsed by Python's csv, and a quote that is never closed is
ignored, so that it does not merge the rest of the table into one cell.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from echoseg.errors import DataError

EXTRA = "(extra)"
"""The column for text beyond the last header column; "" if a line has none."""

_DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR = "\x1f"  # between the cells of tables with quotes
_BLANK = b" \t\v\f,;|\x1f"
_BLANK_LINES = re.compile(rb"(?:[\s,;|]*[\r\n])?")
_DELIMITER_LINE = re.compile(rb'"?sep=(.)"?[ ,;|\t]*(?:\r\n|\r|\n)', re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+\s*")
_UNKNOWN = ("", "nan", "na", "n/a", "n.a.", "none", "null", "-")
_MAX_QUOTE = 60  # characters of a cell in a message
_MAX_LINES = 20  # of a quoted cell
_MIN_CELLS, _CELLS_PER_BYTE = 2**20, 8  # a table may have this many cells in any case, and this many more per byte


@dataclass(frozen=True, eq=False)
class Table:
    """A table as text.

    Attributes:
        cells: One row per line that is not blank, all cells str. The columns are those that were asked for and exist,
            and `EXTRA`. The index is the line number, from 1.
        decimal: What may stand for the decimal point beside the point itself: "," if the cells are not separated by
            commas, else "".
        unused: The header's other columns, in its spelling.
    """

    cells: pd.DataFrame
    decimal: str = ""
    unused: tuple[str, ...] = ()


def read_table(path: Path, *needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> Table:
    """Read a CSV file as text.

    The encoding is UTF-8, UTF-16 with a byte-order mark, or else Windows-1252. Line endings are LF, CRLF or CR.

    Args:
        path: The file.
        needed: Sets of columns; the file must have all columns of at least one set. Case, spaces, hyphens and
            underscores are ignored.
        optional: Columns that are read if they exist.

    Raises:
        DataError: The file is missing, unreadable or empty, has no rows, lacks a column, or has far more columns than
            its rows fill.
    """
    # pandas ends a cell at NUL, some versions silently; another control character is kept and is equally invalid
    data = _to_utf8(path, _read_bytes(path)).replace(b"\0", b"\1")
    blank = _BLANK_LINES.match(data)
    head = blank.end() if blank else 0
    declared = _DELIMITER_LINE.match(data, head)
    head = declared.end() if declared else head
    header, body = _cut_line(data[head:])
    head_row = len(data[:head].splitlines()) + 1
    delimiters = (declared[1].decode("utf-8", "replace"),) if declared else _DELIMITERS
    delimiter, raw_names = _split_header(header.decode(), needed, delimiters)
    columns = _name_columns(path, head_row, header, raw_names, needed, optional)
    unused = tuple(raw for raw, name in zip(raw_names, columns, strict=True) if raw and not name)
    body = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    separator = delimiter
    if b'"' in body:
        body, separator = _without_quotes(body, delimiter, len(columns)), _SEPARATOR
    cells = _parse(path, head_row, body, columns, separator)
    if cells.empty:
        raise DataError(f"{path}: has a header but no rows; add rows")
    return Table(cells, "" if delimiter == "," else ",", unused)


def _parse(path: Path, head_row: int, body: bytes, columns: list[str], separator: str) -> pd.DataFrame:
    """The cells of the named columns, and `EXTRA`."""
    chosen = {place: name for place, name in enumerate(columns) if name}
    lines = body.removesuffix(b"\n").split(b"\n")
    if len(columns) * len(lines) > _MIN_CELLS + _CELLS_PER_BYTE * len(body):
        raise DataError(f"{path}:{head_row}: {len(columns)} columns, far more than the rows fill; fix the header")
    # The added first line of separators sets the number of cells per line; further cells are dropped.
    # low_memory=False: pandas 2 would determine that number for each chunk separately.
    mark = separator.encode()
    cells = pd.read_csv(
        io.BytesIO(mark * len(columns) + b"\n" + body),
        header=None,
        names=range(len(columns) + 1),
        usecols=list(chosen),
        dtype=str,
        na_filter=False,
        skip_blank_lines=False,
        sep=separator,
        quoting=csv.QUOTE_NONE,
        encoding_errors="replace",
        low_memory=False,
    ).iloc[1:]
    extra = np.full(len(lines), "", dtype=object)
    for place, line in enumerate(lines):
        if line.count(mark) >= len(columns):
            extra[place] = line.split(mark, len(columns))[-1].strip(_BLANK).decode("utf-8", "replace")
    cells = cells.set_axis(list(chosen.values()), axis=1).assign(**{EXTRA: extra})
    cells.index = pd.RangeIndex(head_row + 1, head_row + 1 + len(cells))
    return cells[[bool(line.strip(_BLANK)) for line in lines]]


def _without_quotes(body: bytes, delimiter: str, columns: int) -> bytes:
    """The same lines with `_SEPARATOR` between the cells and without quotes.

    A quoted cell that contains line breaks becomes one line, followed by blank lines, so that line numbers stay right.
    """
    lines, result, position = body.decode("utf-8", "replace").split("\n"), [], 0
    while position < len(lines):
        cells, used = _split_record(lines[position : position + _MAX_LINES], delimiter, columns)
        result += [_SEPARATOR.join(cells).replace("\n", " "), *[""] * (used - 1)]
        position += used
    return "\n".join(result).encode()


def _split_record(lines: list[str], delimiter: str, columns: int) -> tuple[list[str], int]:
    """The cells of the record that starts in the first line, and the number of its lines."""
    if '"' not in lines[0]:
        return lines[0].split(delimiter), 1
    for count in range(1, len(lines) + 1):
        text = "\n".join(lines[:count])
        if text.count('"') % 2 == 0:
            record = _split_cells(text, delimiter)
            if count == 1 or len(record) == columns:
                return record, count
    return lines[0].replace('"', "").split(delimiter), 1


def _split_cells(text: str, delimiter: str) -> list[str]:
    """The cells of one record, in which quotes are closed or else ignored."""
    if '"' not in text:
        return text.split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter, skipinitialspace=True), [""])
    except csv.Error:  # a cell longer than the limit of csv
        return text.replace('"', "").split(delimiter)


def read_numbers(
    cells: pd.Series, *, blank: bool = False, decimal: str = "", units: Sequence[str] = ()
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Convert text to numbers.

    Args:
        cells: Text.
        blank: Whether a cell may be blank (empty, nan, na, n/a, n.a., none, null, -); its value is then nan.
        decimal: "," if a comma may stand for the decimal point; not in columns that also contain points, since the
            comma may separate thousands there.
        units: What may follow a number, in lower case, as in "43 %".

    Returns:
        values: (N,) float64.
        bad: (N,) bool, where a cell is neither a finite number nor, with `blank`, blank.
    """
    values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64)
    bad = ~np.isfinite(values)
    if not bad.any():
        return values, bad
    values, texts = values.copy(), cells[bad].str.strip()
    for unit in units:
        texts = texts.where(~texts.str.lower().str.endswith(unit), texts.str[: -len(unit)].str.strip())
    if decimal and not cells.str.contains(r"\.\d").any():
        is_decimal = [bool(_DECIMAL_COMMA.fullmatch(text)) for text in texts]
        texts = texts.where(~np.array(is_decimal), texts.str.replace(decimal, ".", regex=False))
    values[bad] = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=np.float64)
    still_bad = ~np.isfinite(values)
    if blank and still_bad.any():
        still_bad[still_bad] = [cell.strip().lower() not in _UNKNOWN for cell in cells[still_bad]]
    return values, still_bad


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


def _to_utf8(path: Path, data: bytes) -> bytes:
    """The same text in UTF-8 without a byte-order mark."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16").encode("utf-8", "replace")
        except UnicodeDecodeError:
            raise DataError(f"{path}: is damaged UTF-16 text; save it as CSV in UTF-8") from None
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace").encode()
    return data


def _cut_line(data: bytes) -> tuple[bytes, bytes]:
    """The first line and the rest."""
    first, *rest = re.split(rb"\r\n|\r|\n", data, maxsplit=1)
    return first, rest[0] if rest else b""


def _split_header(
    header: str, needed: tuple[tuple[str, ...], ...], delimiters: tuple[str, ...]
) -> tuple[str, list[str]]:
    """The delimiter with which the header has the needed columns, or else the most frequent one, and the names."""
    splits = {one: _split_cells(header, one) for one in delimiters}
    for delimiter, names in splits.items():
        found = {_plain_name(name) for name in names}
        if any({_plain_name(name) for name in columns} <= found for columns in needed):
            return delimiter, [name.strip() for name in names]
    delimiter = max(delimiters, key=lambda one: len(splits[one]))
    return delimiter, [name.strip() for name in splits[delimiter]]


def _plain_name(name: str) -> str:
    """A column's name in lower case without spaces, hyphens and underscores."""
    return re.sub(r"[\s_-]", "", name).lower()


def _name_columns(
    path: Path,
    row: int,
    header: bytes,
    raw_names: list[str],
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
    names = [_plain_name(name) for name in raw_names]
    if not any({_plain_name(name) for name in columns} <= set(names) for columns in needed):
        alternatives = " or ".join(",".join(columns) for columns in needed)
        missing = [name for name in needed[0] if _plain_name(name) not in names]
        raise DataError(
            f"{path}:{row}: no column {', '.join(missing)}; found {found[:200]}; needed {alternatives}; fix the header"
        )
    spelling = {_plain_name(name): name for columns in (*needed, optional) for name in columns}
    for name in spelling:
        if names.count(name) > 1:
            raise DataError(f"{path}:{row}:{spelling[name]}: the column appears twice; keep one")
    return [spelling.get(name, "") for name in names]
