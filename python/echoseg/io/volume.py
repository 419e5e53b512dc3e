"""Volumes (NIfTI, MetaImage) as stacks of slices, each seen as a viewer shows it.

Slices lie along the thickest axis; of equally thick ones, along the last. Within a slice the patient's left is on the
right, what is in front is above, and what is superior is above in coronal and sagittal slices, where a sagittal one
has the front on the left. A single image, a sequence of moments, and a file that does not say how it lies, are
taken as they are stored: x to the right, y downwards, as ultrasound comes.

`open_volume` and `read_voxels` decode in the process that calls them. For files of strangers use those of `reading`.
"""

from __future__ import annotations

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
from echoseg.io import metaimage

ENDINGS = (".nii.gz", ".nii", ".mhd")

_GREY = (0.5, 99.5)  # percentiles of a volume that become black and white
_EXTENSIONS = 1 << 24  # bytes at most in front of the voxels, for they are read whole
_MILLIMETRES = {"meter": 1000.0, "micron": 0.001}
_DAMAGE = (ImageFileError, HeaderDataError, OSError, EOFError, zlib.error, ValueError, OverflowError, KeyError)


@dataclass(frozen=True, eq=False)
class Volume:
    """A volume whose voxels are not read yet.

    Attributes:
        path: The file.
        shape: (T, H, W): slices or moments, rows, columns.
        spacing: (row, column) mm a pixel; nan if unknown.
        thickness: mm from one slice to the next; nan if unknown, or where frames are moments in time.
        axes: The file's axes that are frames, rows and columns.
        turned: The file's axes that run the other way.
        affine: (4, 4) from the file's voxels to millimetres; None where it does not say.
    """

    path: Path
    shape: tuple[int, int, int]
    spacing: tuple[float, float]
    thickness: float
    axes: tuple[int, int, int]
    turned: tuple[int, ...]
    affine: NDArray[np.float64] | None

    @property
    def file_shape(self) -> tuple[int, ...]:
        """The sides of the file's three axes."""
        return tuple(self.shape[self.axes.index(axis)] for axis in range(3))

    def arrange(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """Turn a file's voxels to (T, H, W).

        Raises:
            ValueError: They are more or fewer than those of this volume.
        """
        return np.flip(voxels.reshape(self.file_shape), self.turned).transpose(self.axes)

    def restore(self, frames: NDArray[Any]) -> NDArray[Any]:
        """Bring (T, H, W) back to the file's own order of axes, so that its affine fits."""
        return np.flip(frames.transpose(np.argsort(self.axes)), self.turned)


def is_volume(path: Path) -> bool:
    """Whether a file is one of those read here, by its ending."""
    return path.name.lower().endswith(ENDINGS)


def open_volume(path: Path) -> Volume:
    """Read what a volume's header says.

    A file whose name holds "sequence" (CAMUS), and one of four dimensions with a single slice, are moments in time.

    Raises:
        DataError: The file is missing, damaged, in colour, or has several slices at several times.
    """
    shape, zooms, affine = _read_header(path)
    affine = affine if affine is not None and np.isfinite(affine).all() else None
    while len(shape) > 3 and shape[-1] == 1:
        shape, zooms = shape[:-1], zooms[:-1]
    moments = "sequence" in path.name.lower()
    if len(shape) == 4 and shape[2] == 1:
        shape, zooms, moments = (*shape[:2], shape[3]), zooms[:3], True
    if len(shape) > 3 or not shape or 0 in shape:
        raise DataError(f"{path}: has the shape {shape}; give one volume or one image sequence a file")
    shape, zooms = (*shape, 1, 1)[:3], (*zooms, math.nan, math.nan)[:3]
    axes: tuple[int, int, int] = (2, 1, 0)
    turned: tuple[int, ...] = ()
    if affine is not None and not moments and shape[2] > 1:
        axes, turned = _axes(zooms, affine)
    sizes = [float(zooms[axis]) if zooms[axis] > 0 and math.isfinite(zooms[axis]) else math.nan for axis in axes]
    frames, height, width = (shape[axis] for axis in axes)
    thickness = math.nan if moments or frames == 1 else sizes[0]
    return Volume(path, (frames, height, width), (sizes[1], sizes[2]), thickness, axes, turned, affine)


def read_voxels(path: Path) -> NDArray[Any]:
    """The voxels in the file's order of axes, their numbers as the file means them.

    Raises:
        DataError: The file is damaged, or holds less than its header promises.
    """
    if path.suffix.lower() == ".mhd":
        shape, _, _, fields = metaimage.read_header(path)
        return metaimage.read_voxels(path, shape, fields)
    try:
        image: Any = nibabel.load(path)
        return np.asanyarray(image.dataobj)
    except _DAMAGE as error:
        raise DataError(f"{path}: cannot be read as NIfTI ({_one_line(error)}); replace the file") from None


def to_grey(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Bring numbers to grey by one window for all: from the 0.5th to the 99.5th percentile. uint8 stays as it is."""
    if values.dtype == np.uint8:
        return values
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, _GREY) if finite.size else (0.0, 0.0)
    if low == high:  # all but a few are the same
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    scaled = (np.nan_to_num(values.astype(np.float32), nan=low) - low) * (255 / max(high - low, 1e-30))
    return np.rint(scaled.clip(0, 255)).astype(np.uint8)


def _axes(zooms: tuple[float, ...], affine: NDArray[np.float64]) -> tuple[tuple[int, int, int], tuple[int, ...]]:
    """The file's axes that are slices, rows and columns, and which of its axes must be turned round."""
    lies = io_orientation(affine)
    if not np.isfinite(lies).all():  # an axis of no length
        return (2, 1, 0), ()
    towards = ornt_transform(lies, axcodes2ornt("LPS"))  # of each axis: left, posterior, superior
    slices = max(range(3), key=lambda axis: (round(zooms[axis], 3), axis))
    columns, rows = sorted((axis for axis in range(3) if axis != slices), key=lambda axis: towards[axis, 0])
    if towards[rows, 0] == 2:
        towards[rows, 1] *= -1
    return (slices, rows, columns), tuple(axis for axis in range(3) if towards[axis, 1] < 0)


def _read_header(path: Path) -> tuple[tuple[int, ...], tuple[float, ...], NDArray[np.float64] | None]:
    """Shape, millimetres a step, and the affine if there is one; checks that the file may be as large as it says."""
    if path.suffix.lower() == ".mhd":
        return metaimage.read_header(path)[:3]
    try:
        image: Any = nibabel.load(path)
        header, shape = image.header, tuple(int(side) for side in image.shape)
        zooms = [float(zoom) for zoom in header.get_zooms()]
        unit = _MILLIMETRES.get(header.get_xyzt_units()[0], 1.0)
        lies = header["qform_code"] > 0 or header["sform_code"] > 0
        kind, start = header.get_data_dtype(), int(image.dataobj.offset)
    except _DAMAGE as error:
        raise DataError(f"{path}: cannot be read as NIfTI ({_one_line(error)}); replace the file") from None
    if kind.names or kind.kind not in "iuf":
        raise DataError(f"{path}: holds {kind}, not grey values; save it in grey")
    if start > _EXTENSIONS:
        raise DataError(f"{path}: has {start} bytes in front of its voxels; save it without extensions")
    size = path.stat().st_size
    if math.prod(shape) * kind.itemsize > size * (metaimage.DEFLATE if path.suffix.lower() == ".gz" else 1):
        raise DataError(f"{path}: promises {shape} voxels, too many for {size} bytes; replace the file")
    affine = np.diag([unit, unit, unit, 1]) @ image.affine if lies else None
    return shape, tuple(zoom * unit for zoom in zooms), affine


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
