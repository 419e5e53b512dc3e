"""Reader of MetaImage pairs: a text header `.mhd` and its voxels in a `.raw` or `.zraw` file beside it.

Source: https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

from __future__ import annotations

import math
import re
import zlib
from pathlib import Path

import numpy as np

from echoseg.errors import DataError

DEFLATE = 1032
"""Times larger at most is what zlib and gzip unpack."""

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
    """Read the text.

    Returns:
        Shape and spacing (mm), in the file's order of axes, x first; the (4, 4) affine from voxels to millimetres
        towards right, anterior and superior, as NIfTI has it; the fields themselves.

    Raises:
        DataError: The file cannot be read, or says something impossible.
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
            raise ValueError("a shape of no image or volume")
        sizes = fields.get("ElementSpacing", fields.get("ElementSize", "1 " * count)).split()
        spacing = tuple(float(word) for word in sizes)
        turn = np.array(fields.get("TransformMatrix", "").split() or np.eye(count).ravel(), dtype=float)
        turn = turn.reshape(count, count).T  # the file says where each axis points, one after the other
        start = next((fields[key] for key in ("Offset", "Position", "Origin") if key in fields), "0 " * count).split()
        corner = np.array(start, dtype=float)
        if len(spacing) != count or len(corner) != count or not np.isfinite([*spacing, *corner, *turn.ravel()]).all():
            raise ValueError("no place in space")
    except (KeyError, ValueError):
        raise DataError(f"{path}: is no sound MetaImage header; it needs lines such as DimSize = 256 256 10") from None
    if not re.fullmatch(r"-1|\d{1,18}", fields.get("HeaderSize", "0")):
        raise DataError(f"{path}: HeaderSize is {fields['HeaderSize']!r}; it must be a number of bytes, or -1")
    if fields.get("ElementNumberOfChannels", "1") != "1":
        raise DataError(f"{path}: is in colour; save it in grey")
    if fields.get("ElementType") not in _TYPES:
        raise DataError(f"{path}: unknown ElementType {fields.get('ElementType')!r}; known: {', '.join(_TYPES)}")
    affine = np.eye(4)
    space = min(count, 3)
    affine[:space, :space], affine[:space, 3] = (turn * spacing)[:space, :space], corner[:space]
    return shape, spacing, np.diag([-1.0, -1, 1, 1]) @ affine, fields


def read_voxels(path: Path, shape: tuple[int, ...], fields: dict[str, str]) -> np.ndarray:
    """Read the voxels that a header speaks of; axes in the file's order, x first.

    Raises:
        DataError: The voxels are not one file beside the header, or fewer than it promises.
    """
    name = fields.get("ElementDataFile", "")
    if not name or Path(name).name != name or name in ("LOCAL", "LIST", ".."):
        raise DataError(f"{path}: ElementDataFile is {name!r}; it must name one file in the same folder")
    order = ">" if "true" in (fields.get(key, "").lower() for key in _BIG_ENDIAN) else "<"
    kind = np.dtype(order + _TYPES[fields["ElementType"]])
    needed = math.prod(shape) * kind.itemsize
    packed = fields.get("CompressedData", "").lower() == "true"
    voxels = path.parent / name
    try:
        if not voxels.is_file():  # a pipe would be waited for
            raise DataError(f"{path}: {name} is no file in the same folder; put it there")
        size, skip = voxels.stat().st_size, int(fields.get("HeaderSize", "0"))
        if needed > size * (DEFLATE if packed else 1):
            raise DataError(f"{path}: {name} has {size} bytes for the {needed} promised; replace the file")
        with voxels.open("rb") as file:
            if packed:
                data = zlib.decompressobj().decompress(file.read(), needed)
            else:
                file.seek(size - needed if skip == -1 else max(0, skip))
                data = file.read(needed)
    except (OSError, OverflowError, zlib.error) as error:
        cause = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: its voxels in {name} cannot be read ({cause}); replace the file") from None
    if len(data) < needed:
        raise DataError(f"{path}: {name} holds {len(data)} bytes of the {needed} promised; replace the file")
    return np.frombuffer(data, dtype=kind, count=math.prod(shape)).reshape(shape, order="F")


_BIG_ENDIAN = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
