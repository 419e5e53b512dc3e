"""Reads volumes (NIfTI, Analyze, MetaImage, NRRD) as stacks of slices in radiological orientation.

The slice axis is the axis with the largest spacing; among equal ones, the last. In axial slices the patient's left is
on the right and anterior is up. In coronal and sagittal slices superior is up; in sagittal slices anterior is on the
left. A single image, a sequence of time points, and a file without an affine keep the stored orientation: x to the
right, y downwards, as in ultrasound.

`open_volume` and `read_voxels` decode in the calling process. For untrusted files use `reading`.
"""

from __future__ import annotations

import gzip
import io
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from echoseg.errors import DataError
from echoseg.io import metaimage, nrrd
from echoseg.io.file_types import VOLUME_SUFFIXES

_OTHER_FORMATS = {".mhd": metaimage, ".mha": metaimage, ".nrrd": nrrd, ".nhdr": nrrd}
_NIFTI_CLASSES = {348: nibabel.Nifti1Image, 540: nibabel.Nifti2Image}  # by the size of the header
_WINDOW = (0.5, 99.5)  # percentiles of a volume that map to black and white
_MAX_EXTENSION_BYTES = 1 << 24  # nibabel reads the header extensions at once
_MILLIMETRES = {"meter": 1000.0, "micron": 0.001}
_DAMAGE = (ImageFileError, HeaderDataError, OSError, EOFError, zlib.error, ValueError, OverflowError, KeyError)


@dataclass(frozen=True, eq=False)
class Volume:
    """The header of a volume; the voxels are read separately.

    Attributes:
        path: The file.
        shape: (T, H, W): slices or time points, rows, columns.
        spacing: (row, column) mm per pixel; nan if unknown.
        thickness: Distance between slices in mm; nan if unknown, or if the frames are time points.
        axes: The axes of the file that are frames, rows and columns.
        flipped: The axes of the file that are reversed.
        affine: (4, 4) from voxels to RAS+ millimetres; None if the file has none.
    """

    path: Path
    shape: tuple[int, int, int]
    spacing: tuple[float, float]
    thickness: float
    axes: tuple[int, int, int]
    flipped: tuple[int, ...]
    affine: NDArray[np.float64] | None

    @property
    def file_shape(self) -> tuple[int, ...]:
        """The shape in the file's axis order."""
        return tuple(self.shape[self.axes.index(axis)] for axis in range(3))

    def arrange(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """Reorder voxels from the file's axis order to (T, H, W).

        Raises:
            ValueError: The number of voxels differs from this volume's.
        """
        return np.flip(voxels.reshape(self.file_shape), self.flipped).transpose(self.axes)

    def restore(self, frames: NDArray[Any]) -> NDArray[Any]:
        """Reorder (T, H, W) to the file's axis order, to which the affine refers; the inverse of `arrange`."""
        return np.flip(frames.transpose(np.argsort(self.axes)), self.flipped)


def is_volume(path: Path) -> bool:
    """Whether a file name has the suffix of a supported volume format."""
    return path.name.lower().endswith(VOLUME_SUFFIXES)


def open_volume(path: Path) -> Volume:
    """Read the header of a volume.

    The frames are time points if the file name contains "sequence" (CAMUS) or if the file has four dimensions and a
    single slice; otherwise they are slices.

    Raises:
        DataError: The file is missing, damaged, a colour image, or has several slices at several time points.
    """
    shape, zooms, affine = _read_header(path)
    affine = affine if affine is not None and np.isfinite(affine).all() else None
    while len(shape) > 3 and shape[-1] == 1:
        shape, zooms = shape[:-1], zooms[:-1]
    is_sequence = "sequence" in path.name.lower()
    if len(shape) == 4 and shape[2] == 1:
        shape, zooms, is_sequence = (*shape[:2], shape[3]), zooms[:3], True
    if len(shape) > 3 or not shape or 0 in shape:
        raise DataError(f"{path}: has the shape {shape}; give one volume or one image sequence per file")
    columns, rows, frames = (*shape, 1, 1)[:3]
    spacing = (*zooms, math.nan, math.nan)
    return arranged_volume(
        path, (columns, rows, frames), (spacing[0], spacing[1], spacing[2]), affine, is_sequence=is_sequence
    )


def arranged_volume(
    path: Path,
    shape: tuple[int, int, int],
    zooms: tuple[float, float, float],
    affine: NDArray[np.float64] | None,
    *,
    is_sequence: bool,
    slices: int | None = None,
) -> Volume:
    """Find the frames, rows and columns of a volume.

    Args:
        path: The file.
        shape: The shape in the file's axis order: columns, rows and frames, unless the affine gives another order.
        zooms: The spacing along these axes, mm; nan if unknown.
        affine: (4, 4) from voxels to RAS+ millimetres; None if the file has none.
        is_sequence: Whether the frames are time points.
        slices: The axis of the slices; None finds it by the spacing.

    Returns:
        The volume.
    """
    axes: tuple[int, int, int] = (2, 1, 0)
    flipped: tuple[int, ...] = ()
    if affine is not None and not is_sequence and shape[2] > 1:
        axes, flipped = _find_axes(zooms, affine, slices)
    sizes = [float(zooms[axis]) if zooms[axis] > 0 and math.isfinite(zooms[axis]) else math.nan for axis in axes]
    frames, height, width = (shape[axis] for axis in axes)
    thickness = math.nan if is_sequence or frames == 1 else sizes[0]
    return Volume(path, (frames, height, width), (sizes[1], sizes[2]), thickness, axes, flipped, affine)


def read_voxels(path: Path) -> NDArray[Any]:
    """Read the voxels of a volume, scaled as its header declares.

    Returns:
        The values in the file's axis order.

    Raises:
        DataError: The file is damaged, or shorter than its header declares.
    """
    if other := _OTHER_FORMATS.get(path.suffix.lower()):
        shape, _, _, fields = other.read_header(path)
        return other.read_voxels(path, shape, fields)
    try:
        image = load_nifti(path)
        return np.asanyarray(image.dataobj)
    except _DAMAGE as error:
        raise DataError(f"{path}: cannot be read as NIfTI ({_one_line(error)}); replace the file") from None


def load_nifti(path: Path) -> Any:
    """Open a NIfTI or Analyze file with nibabel; whether it is compressed is told by its content, not by its name."""
    if path.suffix.lower() == ".hdr" or _is_gzip(path) == (path.suffix.lower() == ".gz"):
        return nibabel.load(path)
    stream = gzip.GzipFile(path) if _is_gzip(path) else io.BytesIO(path.read_bytes())
    start = stream.read(4)
    stream.seek(0)
    for size, version in _NIFTI_CLASSES.items():
        if start in (size.to_bytes(4, "little"), size.to_bytes(4, "big")):
            return version.from_stream(stream)
    return nibabel.load(path)


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def to_grey(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale values to uint8 with one window for all slices, from the 0.5th to the 99.5th percentile.

    uint8 values are returned unchanged.
    """
    if values.dtype == np.uint8:
        return values
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, _WINDOW) if finite.size else (0.0, 0.0)
    if low == high:  # nearly all values are equal
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    scaled = (np.nan_to_num(values.astype(np.float32), nan=low) - low) * (255 / max(high - low, 1e-30))
    return np.rint(scaled.clip(0, 255)).astype(np.uint8)


def _find_axes(
    zooms: tuple[float, ...], affine: NDArray[np.float64], slices: int | None
) -> tuple[tuple[int, int, int], tuple[int, ...]]:
    """The axes of the file that are slices, rows and columns, and those that must be reversed."""
    orientation = io_orientation(affine)
    if not np.isfinite(orientation).all():  # an axis of zero length
        return (2, 1, 0), ()
    towards = ornt_transform(orientation, axcodes2ornt("LPS"))  # for each axis: left, posterior or superior
    if slices is None:
        slices = max(range(3), key=lambda axis: (round(zooms[axis], 3), axis))
    columns, rows = sorted((axis for axis in range(3) if axis != slices), key=lambda axis: towards[axis, 0])
    if towards[rows, 0] == 2:
        towards[rows, 1] *= -1
    return (slices, rows, columns), tuple(axis for axis in range(3) if towards[axis, 1] < 0)


def _read_header(path: Path) -> tuple[tuple[int, ...], tuple[float, ...], NDArray[np.float64] | None]:
    """Shape, spacing in mm and the affine, if any; checks that the file is large enough for the declared shape."""
    if other := _OTHER_FORMATS.get(path.suffix.lower()):
        return other.read_header(path)[:3]
    try:
        image = load_nifti(path)
        header, shape = image.header, tuple(int(side) for side in image.shape)
        zooms = [float(zoom) for zoom in header.get_zooms()]
        is_nifti = isinstance(header, nibabel.Nifti1Header)  # Analyze has neither units nor an orientation
        unit = _MILLIMETRES.get(header.get_xyzt_units()[0], 1.0) if is_nifti else 1.0
        has_affine = is_nifti and (header["qform_code"] > 0 or header["sform_code"] > 0)
        kind, start = header.get_data_dtype(), int(image.dataobj.offset)
    except _DAMAGE as error:
        raise DataError(f"{path}: cannot be read as NIfTI ({_one_line(error)}); replace the file") from None
    if kind.names or kind.kind not in "iuf":
        raise DataError(f"{path}: contains {kind}, not grey values; save it in grey")
    if start > _MAX_EXTENSION_BYTES:
        raise DataError(f"{path}: has {start} bytes before the voxels; save it without header extensions")
    voxels = Path(image.file_map["image"].filename or path)
    if not voxels.is_file():  # the second file of a pair; opening a pipe would block
        raise DataError(f"{path}: {voxels.name} is missing in the same folder; put it there")
    size = voxels.stat().st_size
    if math.prod(shape) * kind.itemsize > size * (metaimage.MAX_DEFLATE_RATIO if _is_gzip(voxels) else 1):
        raise DataError(f"{path}: declares {shape} voxels, too many for {size} bytes; replace the file")
    affine = np.diag([unit, unit, unit, 1]) @ image.affine if has_affine else None
    return shape, tuple(zoom * unit for zoom in zooms), affine


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
