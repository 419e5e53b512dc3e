"""Reader of MetaImage files: a text header `.mhd`, and the voxels in a `.raw` or `.zraw` file in the same folder.

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


def read_header(path: Path) -> tuple[tuple[int, ...], tuple[float, ...], np.ndarray, dict[str, str]]:
    """Read the text header.

    Returns:
        Shape and spacing (mm) in the file's axis order, x first; the (4, 4) affine from voxels to RAS+ millimetres, as
        in NIfTI; and the fields of the header.

    Raises:
        DataError: The file cannot be read, or its header is invalid or not supported.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            lines = file.read(65536).splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    fields = {key.strip(): value.strip() for key, sign, value in (line.partition("=") for line in lines) if sign}
    try:
        shape = tuple(int(word) for word in fields["DimSize"].split())
        count = len(shape)
        if not 2 <= count <= 4 or int(fields.get("NDims", count)) != count or min(shape) < 1:
            raise ValueError("not an image or volume")
        sizes = fields.get("ElementSpacing", fields.get("ElementSize", "1 " * count)).split()
        spacing = tuple(float(word) for word in sizes)
        rotation = np.array(fields.get("TransformMatrix", "").split() or np.eye(count).ravel(), dtype=float)
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
    name = fields.get("ElementDataFile", "")
    if not name or Path(name).name != name or name in ("LOCAL", "LIST", ".."):
        raise DataError(f"{path}: ElementDataFile is {name!r}; it must name one file in the same folder")
    order = ">" if "true" in (fields.get(key, "").lower() for key in _BIG_ENDIAN) else "<"
    kind = np.dtype(order + _TYPES[fields["ElementType"]])
    needed = math.prod(shape) * kind.itemsize
    compressed = fields.get("CompressedData", "").lower() == "true"
    voxels = path.parent / name
    try:
        if not voxels.is_file():  # opening a pipe would block
            raise DataError(f"{path}: {name} is not a file in the same folder; put it there")
        size, skip = voxels.stat().st_size, int(fields.get("HeaderSize", "0"))
        if needed > size * (MAX_DEFLATE_RATIO if compressed else 1):
            raise DataError(f"{path}: {name} has {size} bytes, the header declares {needed}; replace the file")
        with voxels.open("rb") as file:
            if compressed:
                data = zlib.decompressobj().decompress(file.read(), needed)
            else:
                file.seek(size - needed if skip == -1 else max(0, skip))
                data = file.read(needed)
    except (OSError, OverflowError, zlib.error) as error:
        cause = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: the voxels in {name} cannot be read ({cause}); replace the file") from None
    if len(data) < needed:
        raise DataError(f"{path}: {name} contains {len(data)} of {needed} declared bytes; replace the file")
    return np.frombuffer(data, dtype=kind, count=math.prod(shape)).reshape(shape, order="F")
