"""Reader of MetaImage files: a text header `.mhd` and the voxels in a `.raw` or `.zraw` file in the same folder, or
both in one file `.mha`.

Source: https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

from __future__ import annotations

import math
import re
import zlib
from pathlib import Path

import numpy as np

from echoseg.errors import DataError

MAX_DEFLATE_RATIO = 1032
"""The largest ratio of uncompressed to compressed size that zlib and gzip reach."""

_CURE = "copy it again, or correct the header"
_ZLIB_OR_GZIP = 47  # window bits
_BIG_ENDIAN = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_MATRICES = ("TransformMatrix", "Rotation", "Orientation")  # names of the same field


def read_header(path: Path) -> tuple[tuple[int, ...], tuple[float, ...], np.ndarray, dict[str, str]]:
    """Read the text header.

    Returns:
        Shape and spacing (mm) in the file's axis order, x first; the (4, 4) affine from voxels to RAS+ millimetres, as
        in NIfTI; and the fields of the header.

    Raises:
        DataError: The file cannot be read, or its header is invalid or not supported.
    """
    try:
        with path.open("rb") as file:
            head = file.read(65536)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    last = re.search(rb"^[ \t]*ElementDataFile[^\n]*(\n|$)", head, re.MULTILINE)
    lines = head[: last.end() if last else len(head)].decode("utf-8", "replace").splitlines()
    fields = {key.strip(): value.strip() for key, sign, value in (line.partition("=") for line in lines) if sign}
    try:
        shape = tuple(int(word) for word in fields["DimSize"].split())
        count = len(shape)
        if not 2 <= count <= 4 or int(fields.get("NDims", count)) != count or min(shape) < 1:
            raise ValueError("not an image or volume")
        sizes = fields.get("ElementSpacing", fields.get("ElementSize", "1 " * count)).split()
        spacing = tuple(float(word) for word in sizes)
        matrix = next((fields[key] for key in _MATRICES if key in fields), "")
        rotation = np.array(matrix.split() or np.eye(count).ravel(), dtype=float)
        rotation = rotation.reshape(count, count).T  # the file lists the direction of one axis after the other
        words = next((fields[key] for key in ("Offset", "Position", "Origin") if key in fields), "0 " * count).split()
        origin = np.array(words, dtype=float)
        numbers = [*spacing, *origin, *rotation.ravel()]
        if len(spacing) != count or len(origin) != count or not np.isfinite(numbers).all():
            raise ValueError("invalid affine")
    except (KeyError, ValueError):
        raise DataError(f"{path}: invalid MetaImage header; it needs lines such as DimSize = 256 256 10") from None
    if not re.fullmatch(r"-1|\d{1,18}", fields.get("HeaderSize", "0")):
        raise DataError(f"{path}: HeaderSize is {fields['HeaderSize']!r}; it must be a number of bytes, or -1")
    if last and fields["ElementDataFile"].upper() == "LOCAL":  # the voxels follow the header
        fields |= {"ElementDataFile": path.name, "HeaderSize": str(last.end())}
    if fields.get("BinaryData", "").lower() == "false":
        raise DataError(f"{path}: its voxels are written as text; save it in binary form")
    if fields.get("ElementNumberOfChannels", "1") != "1":
        raise DataError(f"{path}: is a colour image; save it in grey")
    if fields.get("ElementType") not in _TYPES:
        raise DataError(f"{path}: unknown ElementType {fields.get('ElementType')!r}; use one of {', '.join(_TYPES)}")
    affine = np.eye(4)
    space = min(count, 3)
    affine[:space, :space], affine[:space, 3] = (rotation * spacing)[:space, :space], origin[:space]
    return shape, spacing, np.diag([-1.0, -1, 1, 1]) @ affine, fields


def read_voxels(path: Path, shape: tuple[int, ...], fields: dict[str, str]) -> np.ndarray:
    """Read the voxels that a header refers to.

    Args:
        path: The header.
        shape: The shape that `read_header` returned.
        fields: The fields that `read_header` returned.

    Returns:
        The voxels in the file's axis order, x first.

    Raises:
        DataError: The voxels are not in one file beside the header, or the file is shorter than the header declares.
    """
    order = ">" if "true" in (fields.get(key, "").lower() for key in _BIG_ENDIAN) else "<"
    kind = np.dtype(order + _TYPES[fields["ElementType"]])
    compressed = fields.get("CompressedData", "").lower() == "true"
    start, needed = int(fields.get("HeaderSize", "0")), math.prod(shape) * kind.itemsize
    data = read_data(path, fields.get("ElementDataFile", ""), needed, start, compressed=compressed)
    return np.frombuffer(data, dtype=kind).reshape(shape, order="F")


def read_data(path: Path, name: str, needed: int, start: int, *, compressed: bool) -> bytes:
    """Read the voxels of a header as bytes.

    Args:
        path: The header.
        name: The file with the voxels, as the header names it.
        needed: The number of bytes that the header declares.
        start: The number of bytes before the voxels; -1: what is before the last `needed` bytes.
        compressed: Whether the voxels are compressed by zlib or gzip.

    Raises:
        DataError: The voxels are not in one file beside the header, or the file is shorter than the header declares.
    """
    voxels = path.parent / name
    if not name or Path(name).name != name or name in ("LIST", ".."):
        raise DataError(f"{path}: its voxels are in {name!r}; they must be in one file in the same folder")
    try:
        if not voxels.is_file():  # opening a pipe would block
            raise DataError(f"{path}: {name} is not a file in the same folder; put it there")
        size = voxels.stat().st_size
        if needed > size * (MAX_DEFLATE_RATIO if compressed else 1):
            raise DataError(f"{path}: {name} has {size} bytes, the header declares {needed}; {_CURE}")
        with voxels.open("rb") as file:
            file.seek(size - needed if start == -1 and not compressed else max(0, start))
            data = (
                zlib.decompressobj(_ZLIB_OR_GZIP).decompress(file.read(), needed) if compressed else file.read(needed)
            )
    except PermissionError as error:
        raise DataError(f"{path}: the voxels in {name} cannot be read ({error.strerror}); allow reading it") from None
    except (OSError, OverflowError, zlib.error) as error:
        cause = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: the voxels in {name} cannot be read ({cause}); replace the file") from None
    if len(data) < needed:
        raise DataError(f"{path}: {name} contains {len(data)} of {needed} declared bytes; {_CURE}")
    return data
