"""Reader of NRRD files: a text header and the voxels, in one file `.nrrd`, or in two, `.nhdr` and the file it names.

Source: https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from echoseg.errors import DataError
from echoseg.io.metaimage import read_data

_TYPES = {
    "i1": "signed char, int8, int8_t",
    "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t",
    "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float",
    "f8": "double",
}
_DTYPES = {name: code for code, names in _TYPES.items() for name in names.split(", ")}
_TO_RAS = {"right-anterior-superior": (1, 1), "left-anterior-superior": (-1, 1), "left-posterior-superior": (-1, -1)}
_TO_RAS |= {"ras": (1, 1), "las": (-1, 1), "lps": (-1, -1)}
_MILLIMETRES = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001, "µm": 0.001, "": 1.0}
_COLOURS = ("color", "vector", "complex", "point", "normal", "quaternion", "matrix", "gradient")
_VECTOR = r"none|\([^)]*\)"
_MAX_HEADER = 1 << 16


def read_header(path: Path) -> tuple[tuple[int, ...], tuple[float, ...], np.ndarray | None, dict[str, str]]:
    """Read the text header.

    Returns:
        Shape and spacing (mm; nan if unknown) of the axes in space, then of the axis of time, if there is one; the
        (4, 4) affine from voxels to RAS+ millimetres, or None if the header has none; and the fields of the header. An
        image sequence has the shape (x, y, 1, t).

    Raises:
        DataError: The file cannot be read, or its header is invalid or not supported.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_MAX_HEADER)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    end = re.search(rb"\r?\n\r?\n", head)
    text = head[: end.start() if end else len(head)].decode("utf-8", "replace")
    lines = (re.match(r"([^#:=]+):(?!=)(.*)", line) for line in text.splitlines()[1:])
    fields = {line[1].strip().lower(): line[2].strip() for line in lines if line}
    fields.setdefault("data file", fields.get("datafile", ""))
    if not fields["data file"] and end:
        fields |= {"data file": path.name, "start": str(end.end())}
    try:
        sizes = tuple(int(word) for word in fields["sizes"].split())
        if not head.startswith(b"NRRD000") or len(sizes) != int(fields["dimension"]) or min(sizes) < 1:
            raise ValueError("not an image")
        order = _axes(path, fields, len(sizes))
        shape = tuple(sizes[axis] for axis in order)
        vectors = _vectors(fields, order)
        spacing = tuple(np.linalg.norm(vectors, axis=1)) if vectors is not None else _spacings(fields, order)
        affine = None if vectors is None or vectors.shape != (3, 3) else _affine(fields, vectors)
    except DataError:
        raise
    except (KeyError, ValueError, IndexError):
        raise DataError(f"{path}: invalid NRRD header; it needs lines such as sizes: 256 256 10") from None
    if fields.get("type", "").lower() not in _DTYPES:
        raise DataError(f"{path}: has the type {fields.get('type')!r}; save it as numbers, such as short or float")
    fields["order"] = " ".join(map(str, order))
    spacing = (*spacing, *[math.nan] * (len(shape) - len(spacing)))
    if len(shape) == 3 and _is_time(fields, order[2]):
        shape, spacing = (*shape[:2], 1, shape[2]), (*spacing[:2], math.nan, spacing[2])
    return shape, tuple(float(value) for value in spacing), affine, fields


def read_voxels(path: Path, shape: tuple[int, ...], fields: dict[str, str]) -> np.ndarray:
    """Read the voxels that a header refers to.

    Args:
        path: The header.
        shape: The shape that `read_header` returned.
        fields: The fields that `read_header` returned.

    Returns:
        The voxels, with the axes in the order of `shape`.

    Raises:
        DataError: The voxels are not in one file beside the header, are encoded in a way that is not supported, or the
            file is shorter than the header declares.
    """
    encoding, skip = fields.get("encoding", "").lower(), fields.get("byte skip", "0")
    if (
        encoding not in ("raw", "gz", "gzip")
        or fields.get("line skip", "0") != "0"
        or not re.fullmatch(r"-1|\d{1,18}", skip)
    ):
        raise DataError(f"{path}: has the encoding {encoding!r}, or skips lines; save it with the encoding raw or gzip")
    kind = np.dtype(("<" if fields.get("endian", "little") == "little" else ">") + _DTYPES[fields["type"].lower()])
    start = int(skip) if skip == "-1" else int(skip) + int(fields.get("start", "0"))
    data = read_data(path, fields["data file"], math.prod(shape) * kind.itemsize, start, compressed=encoding != "raw")
    order = [int(axis) for axis in fields["order"].split()]
    sizes = [int(word) for word in fields["sizes"].split()]
    return np.frombuffer(data, kind).reshape(sizes, order="F").transpose(order).reshape(shape)


def _axes(path: Path, fields: dict[str, str], count: int) -> list[int]:
    """The axes in space, then that of time."""
    kinds = fields.get("kinds", "").lower().split()
    if any(word in kind for kind in kinds for word in _COLOURS):
        raise DataError(f"{path}: is a colour image, or has vectors as values; save it in grey")
    if not 2 <= count <= 4:
        raise DataError(f"{path}: has {count} axes; give one volume or one image sequence per file")
    order = sorted(range(count), key=lambda axis: _is_time(fields, axis))
    if _is_time(fields, order[-2]):
        raise DataError(f"{path}: has several axes that are not in space; give one volume or one image sequence")
    return order


def _is_time(fields: dict[str, str], axis: int) -> bool:
    """Whether an axis is not in space."""
    kinds, vectors = fields.get("kinds", "").lower().split(), re.findall(_VECTOR, fields.get("space directions", ""))
    return vectors[axis : axis + 1] == ["none"] or kinds[axis : axis + 1] in (["list"], ["time"])


def _vectors(fields: dict[str, str], order: list[int]) -> np.ndarray | None:
    """(axes in space, dimensions of space): the step along each axis, in mm; None if the header has none."""
    found = re.findall(_VECTOR, fields.get("space directions", ""))
    units = set(re.findall(r'"([^"]*)"', fields.get("space units", "")))
    if not found or len(units) > 1 or not units <= set(_MILLIMETRES):
        return None
    steps = [found[axis].strip("()").split(",") for axis in order if found[axis] != "none"]
    vectors = np.array(steps, dtype=float) * _MILLIMETRES[units.pop() if units else "mm"]
    if not np.isfinite(vectors).all():
        raise ValueError("invalid directions")
    return vectors


def _spacings(fields: dict[str, str], order: list[int]) -> tuple[float, ...]:
    words, units = fields.get("spacings", "").split(), re.findall(r'"([^"]*)"', fields.get("units", ""))
    if len(words) != len(order):
        return ()
    factors = {**_MILLIMETRES, "ms": 0.001, "s": 1.0, "sec": 1.0} if len(units) == len(words) else {}
    return tuple(float(words[axis]) * (factors.get(units[axis], math.nan) if factors else 1.0) for axis in order)


def _affine(fields: dict[str, str], vectors: np.ndarray) -> np.ndarray | None:
    """From voxels to RAS+ millimetres; None where the header does not say how its space lies in the patient."""
    signs = _TO_RAS.get(fields.get("space", "").lower().removesuffix("-time"))
    if signs is None:
        return None
    units = re.findall(r'"([^"]*)"', fields.get("space units", ""))
    words = fields.get("space origin", "(0,0,0)").strip("()").split(",")
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = vectors.T, np.array(words, dtype=float) * _MILLIMETRES[units[0] if units else "mm"]
    return np.diag([*signs, 1.0, 1.0]) @ affine
