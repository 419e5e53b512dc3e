"""Reads volumes (NIfTI, Analyze, MetaImage, NRRD) as stacks of slices in radiological orientation.

The slice axis is the axis with the largest spacing; among equal ones, the last; or the axis with by far the fewest
voxels, if no spacing is twice as large. A slice never has fewer pixels than there are slices, or time points: otherwise
the axes are in another order. In axial slices the patient's left is on the right and anterior is up. In coronal and
sagittal slices superior is up; in sagittal slices anterior is on the left. A single image, a sequence of time points,
and a file without an affine keep the stored orientation: x to the right, y downwards, as in ultrasound.

`open_volume` and `read_voxels` decode in the calling process. For untrusted files use `reading`.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import math
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from echoseg.errors import DataError
from echoseg.io import metaimage, nrrd
from echoseg.io.affine import affine_zooms, contradiction, header_affine
from echoseg.io.axes import Axis3, check_order, decide_axis3, described_axis3
from echoseg.io.file_types import VOLUME_SUFFIXES
from echoseg.io.siblings import Sibling, decide_by_siblings

_OTHER_FORMATS = {".mhd": metaimage, ".mha": metaimage, ".nrrd": nrrd, ".nhdr": nrrd}
_NIFTI_CLASSES = {348: nibabel.Nifti1Image, 540: nibabel.Nifti2Image}  # by the size of the header
_GZIP = b"\x1f\x8b"
_WINDOW = (0.5, 99.5)  # percentiles of a volume that map to black and white
_MAX_EXTENSION_BYTES = 1 << 24  # nibabel reads the header extensions at once
_MILLIMETRES = {"meter": 1000.0, "micron": 0.001}
_SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}
_MIN_SIDE, _MAX_SIDE = 0.005, 50.0  # mm, of a pixel
_MIN_FPS, _MAX_FPS = 5, 500  # of a film of the heart
_MOVED = "axis 3 ({}) would be slices of fewer pixels than there are slices; axis {} is taken for them"
_DAMAGE = (ImageFileError, HeaderDataError, OSError, EOFError, zlib.error, ValueError, OverflowError, KeyError)


class _Header(NamedTuple):
    """What a file's header says: its shape, spacing and affine in mm, the frame rate, and a note for the user."""

    shape: tuple[int, ...]
    zooms: tuple[float, ...]
    affine: NDArray[np.float64] | None
    fps: float = math.nan
    note: str = ""
    is_nifti: bool = False


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
        time_points: The number of time points of a stack. Its frames are the slices of the first time point, then those
            of the second, and so on. 1 for any other volume, a sequence of single images included.
        fps: Time points per second; nan if unknown.
        note: What had to be chosen when the header was read, for the user; "" if nothing.
    """

    path: Path
    shape: tuple[int, int, int]
    spacing: tuple[float, float]
    thickness: float
    axes: tuple[int, int, int]
    flipped: tuple[int, ...]
    affine: NDArray[np.float64] | None
    time_points: int = 1
    fps: float = math.nan
    note: str = ""

    @property
    def file_shape(self) -> tuple[int, ...]:
        """The shape in the file's axis order; the time points of a stack are the fourth axis."""
        frames, height, width = self.shape
        sizes = (frames // self.time_points, height, width)
        times = () if self.time_points == 1 else (self.time_points,)
        return (*(sizes[self.axes.index(axis)] for axis in range(3)), *times)

    def arrange(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """Reorder voxels from the file's axis order to (T, H, W).

        Raises:
            ValueError: The number of voxels differs from this volume's.
        """
        voxels = np.flip(voxels.reshape(self.file_shape), self.flipped)
        if self.time_points == 1:
            return voxels.transpose(self.axes)
        return voxels.transpose(3, *self.axes).reshape(self.shape)

    def restore(self, frames: NDArray[Any]) -> NDArray[Any]:
        """Reorder (T, H, W) to the file's axis order, to which the affine refers; the inverse of `arrange`."""
        if self.time_points == 1:
            return np.flip(frames.transpose(np.argsort(self.axes)), self.flipped)
        stacks = frames.reshape(self.time_points, -1, *self.shape[1:])
        return np.flip(stacks.transpose(*(np.argsort(self.axes) + 1), 0), self.flipped)


def is_volume(path: Path) -> bool:
    """Whether a file name has the suffix of a supported volume format."""
    return path.name.lower().endswith(VOLUME_SUFFIXES)


def open_volume(path: Path, axis3: str | None = None) -> Volume:
    """Read the header of a volume.

    Args:
        path: The file.
        axis3: "time" or "slices": what the third axis is, of a file with three; None takes it from a `dataset.json`, or
            decides by `axes.decide_axis3` and `siblings.decide_by_siblings`. Of four axes, the third are slices and the
            fourth is time.

    Raises:
        DataError: The file is missing, damaged or a colour image, or its axes are in another order.
    """
    header = _read_header(path)
    shape, affine = list(_squeezed(header.shape)), header.affine
    if len(shape) > 4 or not shape or 0 in shape:
        raise DataError(f"{path}: has the shape {header.shape}; give one volume or one image sequence per file")
    zooms = affine_zooms(affine, header.zooms)
    axis3 = axis3 or described_axis3(path)
    time_points, decision = 1, Axis3(False)
    if len(shape) == 4 and shape[2] == 1:
        shape, decision = [*shape[:2], shape[3]], Axis3(True)
    elif len(shape) == 4:
        shape, time_points = shape[:3], shape[3]
    elif len(shape) == 3:
        decision = decide_axis3(path, shape, zooms, affine, axis3)
        if decision.is_open:
            decision = decide_by_siblings(path, shape, decision, _read_sibling)
    is_sequence = decision.is_time
    columns, rows, frames = [*shape, 1, 1][:3]
    sides = [*zooms, math.nan, math.nan]
    said = 2 if axis3 == "slices" and len(shape) == 3 and time_points == 1 else None
    volume = arranged_volume(
        path, (columns, rows, frames), (sides[0], sides[1], sides[2]), affine, is_sequence=is_sequence, slices=said
    )
    slices, height, width = volume.shape
    if axis3 is None or time_points > 1:
        check_order(path, (height, width), slices, time_points, is_time=is_sequence)
    fps = header.fps if is_sequence or time_points > 1 else math.nan
    if is_sequence and len(header.shape) == 3 and 1 / _MAX_FPS <= zooms[2] <= 1 / _MIN_FPS:
        fps = 1 / zooms[2]
    spatial = slice(2 if is_sequence or frames == 1 else 3)
    doubt = "" if affine is None or not header.is_nifti else contradiction(zooms[spatial], header.zooms[spatial])
    is_moved = axis3 is None and not is_sequence and frames > columns * rows
    moved = _MOVED.format(frames, volume.axes[0] + 1) if is_moved else ""
    notes = "; ".join(filter(None, (header.note, doubt, decision.note, moved)))
    all_shape = (slices * time_points, height, width)
    return replace(volume, shape=all_shape, time_points=time_points, fps=fps, note=notes)


def _read_sibling(path: Path) -> Sibling:
    header = _read_header(path)
    shape, zooms = _squeezed(header.shape), affine_zooms(header.affine, header.zooms)
    axis3 = Axis3(False) if len(shape) != 3 else decide_axis3(path, shape, zooms, header.affine, None)
    return Sibling(shape, axis3)


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without the axes after the third that have one entry."""
    return (*shape[:3], *(side for side in shape[3:] if side != 1))


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
        axes, flipped = _find_axes(shape, zooms, affine, slices)
    sizes = [float(zooms[axis]) if zooms[axis] > 0 and math.isfinite(zooms[axis]) else math.nan for axis in axes]
    frames, height, width = (shape[axis] for axis in axes)
    thickness = math.nan if is_sequence or frames == 1 else sizes[0]
    if affine is not None and math.isfinite(thickness):
        thickness = _slice_distance(affine, axes) or thickness
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
        raise DataError(f"{path}: {_describe_failure(path, error)}") from None


def check_colours(path: Path, voxels: NDArray[Any]) -> None:
    """Check that the last axis does not hold the colours of a grey image.

    Raises:
        DataError: It has 3 or 4 images, of which the first three are equal.
    """
    number, axis = voxels.shape[-1], voxels.ndim
    if axis > 2 and number in (3, 4) and voxels.any() and all((voxels[..., 0] == voxels[..., k]).all() for k in (1, 2)):
        raise DataError(
            f"{path}: the {number} images along its axis {axis} are equal, as the colours of a grey image are; save it"
            " in grey"
        )


def load_nifti(path: Path) -> Any:
    """Open a NIfTI or Analyze file with nibabel; its content says whether it is compressed, not its name."""
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
        return file.read(2) == _GZIP


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


def _slice_distance(affine: NDArray[np.float64], axes: tuple[int, int, int]) -> float:
    """The distance between the planes of slices, mm; shorter than their spacing if they are shifted; 0 if unknown."""
    step, column, row = (affine[:3, axis] for axis in axes)
    normal, length = np.cross(column, row), float(np.linalg.norm(step))
    if not normal.any():
        return length
    distance = float(abs(step @ normal) / np.linalg.norm(normal))
    return length if math.isclose(distance, length, rel_tol=1e-4) else distance


def _find_axes(
    shape: tuple[int, ...], zooms: tuple[float, ...], affine: NDArray[np.float64], slices: int | None
) -> tuple[tuple[int, int, int], tuple[int, ...]]:
    """The axes of the file that are slices, rows and columns, and those that must be reversed."""
    orientation = io_orientation(affine)
    if not np.isfinite(orientation).all():  # an axis of zero length
        return (2, 1, 0), ()
    towards = ornt_transform(orientation, axcodes2ornt("LPS"))  # for each axis: left, posterior or superior
    if slices is None:
        possible = [axis for axis in range(3) if shape[axis] ** 2 <= math.prod(shape)] or [2]
        slices = max(possible, key=lambda axis: (round(zooms[axis], 3), axis))
        fewest = min(range(3), key=lambda axis: (shape[axis], -axis))
        if 4 * shape[fewest] <= min(shape[:fewest] + shape[fewest + 1 :]) and zooms[slices] < 2 * zooms[fewest]:
            slices = fewest  # otherwise a slice would be a narrow strip
    columns, rows = sorted((axis for axis in range(3) if axis != slices), key=lambda axis: towards[axis, 0])
    if towards[rows, 0] == 2:
        towards[rows, 1] *= -1
    return (slices, rows, columns), tuple(axis for axis in range(3) if towards[axis, 1] < 0)


def _read_header(path: Path) -> _Header:
    """Read a header; checks that the file is large enough for the declared shape."""
    if other := _OTHER_FORMATS.get(path.suffix.lower()):
        read = _Header(*other.read_header(path)[:3])
        interval = read.zooms[3] if len(read.zooms) > 3 else 0.0
        return read._replace(fps=1 / interval if 1 / _MAX_FPS <= interval <= 1 / _MIN_FPS else math.nan)
    try:
        image = load_nifti(path)
        header, shape = image.header, tuple(int(side) for side in image.shape)
        zooms = tuple(float(zoom) for zoom in header.get_zooms())
        is_nifti = isinstance(header, nibabel.Nifti1Header)  # Analyze has neither units nor an orientation
        length, time = header.get_xyzt_units() if is_nifti else ("unknown", "unknown")
        found, note = header_affine(header) if is_nifti else (None, "")
        kind, start = header.get_data_dtype(), int(image.dataobj.offset)
    except _DAMAGE as error:
        raise DataError(f"{path}: {_describe_failure(path, error)}") from None
    if kind.names:
        raise DataError(f"{path}: is a colour image; save it in grey")
    if kind.kind not in "iuf":
        raise DataError(f"{path}: contains {kind}, not grey values; save it in grey")
    if is_nifti and header.get_intent()[0] in ("vector", "rgb vector", "rgba vector"):
        raise DataError(f"{path}: contains vectors or colours, not grey values; save it in grey")
    if start > _MAX_EXTENSION_BYTES:
        raise DataError(f"{path}: has {start} bytes before the voxels; save it without header extensions")
    voxels = Path(image.file_map["image"].filename or path)
    if not voxels.is_file():  # the second file of a pair; opening a pipe would block
        raise DataError(f"{path}: {voxels.name} is missing in the same folder; put it there")
    size = voxels.stat().st_size
    if math.prod(shape) * kind.itemsize > size * (metaimage.MAX_DEFLATE_RATIO if _is_gzip(voxels) else 1):
        raise DataError(f"{path}: declares {shape} voxels, too many for {size} bytes; replace the file")
    unit = _MILLIMETRES.get(length, 1.0)
    side = float(max(affine_zooms(found, zooms)[:2], default=1.0))
    if unit != 1 and not _MIN_SIDE <= side * unit <= _MAX_SIDE:
        doubt = f"the unit of the header, {length}, gives pixels of {side * unit:g} mm; {side:g} mm is used"
        unit, note = 1.0, "; ".join(filter(None, (note, doubt)))
    affine = None if found is None else found * np.array([[unit], [unit], [unit], [1.0]])
    fps = _SECONDS.get(time, 0.0) * zooms[3] if len(zooms) > 3 else 0.0
    fps = 1 / fps if 1 / _MAX_FPS <= fps <= 1 / _MIN_FPS else math.nan
    return _Header(shape, (*(zoom * unit for zoom in zooms[:3]), *zooms[3:]), affine, fps, note, True)


def _describe_failure(path: Path, error: Exception) -> str:
    """Why nibabel cannot read a file, and the cure."""
    if _is_gzip(path):
        with contextlib.suppress(OSError, EOFError, zlib.error), gzip.open(path) as file:
            if file.read(2) == _GZIP:
                return "is compressed by gzip twice; unpack it once"
    cause = " ".join(str(error).split(" from /")[0].split())[:200] or type(error).__name__  # without the path
    if isinstance(error, ImageFileError):
        return "is no NIfTI or Analyze file by its content; rename it if it is of another type, or convert it"
    if isinstance(error, HeaderDataError):
        return f"has a header that is not supported ({cause}); save it again, with voxels of 8 or 16 bits"
    if isinstance(error, OSError | EOFError | zlib.error):
        return f"is damaged or cut off ({cause}); copy it again, or replace the file"
    return f"has an invalid header ({cause}); save it again"
