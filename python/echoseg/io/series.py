"""Reads a folder that holds one DICOM series with a file for each slice, as MR scanners write it.

The files are ordered by `ImagePositionPatient` along the normal of the slices, and the distance of the slices comes
from the positions. The result is the stack that a conversion of the series to NIfTI would give; see `volume`. Where
several files show the same position at different times of the heart beat, the first phase of each position is read. If
all files show the same position, they are the time points of a film.

Names and identifiers of the header are not passed on. These functions decode in the calling process. For untrusted
files use `reading`.

Source: DICOM PS3.3, C.7.6.2 (Image Plane Module).
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from echoseg.errors import DataError
from echoseg.io.clip import MAX_BYTES, Clip
from echoseg.io.dicom_file import count, is_dicom, naming_cause, numbers, raw_frames, rescaling
from echoseg.io.volume import Volume, arranged_volume, to_grey
from echoseg.utils.words import counted

if TYPE_CHECKING:
    from pydicom import Dataset

_TAGS = ["ImageOrientationPatient", "ImagePositionPatient", "NumberOfFrames", "PixelSpacing", "SeriesInstanceUID"]
_TAGS += ["Rows", "Columns", "TriggerTime"]
_SAME_POSITION = 0.01  # mm
_MAX_VARIATION = 0.1  # of the distance between slices, as a share of it
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Slice:
    """The header of a file with one slice. Directions and positions are in the patient's coordinates (LPS), mm.

    Attributes:
        path: The file.
        series: The identifier of the series.
        directions: (2, 3): along a row (to the next column) and along a column (to the next row).
        position: (3,): the centre of the first pixel.
        spacing: (row, column) mm per pixel.
        size: (H, W).
        trigger_time: Milliseconds since the R wave; nan if unknown.
        frame: The number of the frame in a file of several.
    """

    path: Path
    series: str
    directions: NDArray[np.float64]
    position: NDArray[np.float64]
    spacing: tuple[float, float]
    size: tuple[int, int]
    trigger_time: float
    frame: int | None = None

    @property
    def name(self) -> str:
        """What the slice is called in messages."""
        return self.path.name if self.frame is None else f"frame {self.frame + 1}"


@dataclass(frozen=True, eq=False)
class Series:
    """The slices of a series in order, and their geometry.

    Attributes:
        volume: Axes, spacing and affine, with the columns, rows and slices of the files as the axes of the file.
        slices: In the order of the volume's last axis.
        phases: The number of files at each position.
        left_out: Single slices of other series in the folder.
    """

    volume: Volume
    slices: list[Slice]
    phases: int
    left_out: list[Path]

    @property
    def is_film(self) -> bool:
        """Whether the slices are time points of one position."""
        return self.phases > 1 and math.isnan(self.volume.thickness)


def series_files(folder: Path) -> list[Path]:
    """The files of a folder that form a stack: those with a slice of a series that has several slices in the folder."""
    by_series: dict[str, list[Path]] = defaultdict(list)
    for found in _read_headers(folder)[0]:
        by_series[found.series].append(found.path)
    return [path for paths in by_series.values() if len(paths) > 1 for path in paths]


def open_series(folder: Path) -> Series:
    """Read the headers of a series.

    Raises:
        DataError: The folder holds no series or several; a file is damaged; a slice is missing or has another size,
            spacing or direction; or several files show the same position and their trigger times do not tell them
            apart.
    """
    found, others, unreadable = _read_headers(folder)
    if found and unreadable:
        path, cause = next(iter(unreadable.items()))
        raise DataError(f"{folder}: {path.name}: {cause}, or move it into another folder")
    slices = _one_series(folder, found)
    for path, series in others.items():
        if series == slices[0].series:
            raise DataError(
                f"{folder}: {path.name} belongs to the series but has no position, or several frames; export the series"
                " again, or move the file into another folder"
            )
    left_out = [other.path for other in found if other.series != slices[0].series]
    return arrange_slices(folder, slices, left_out)


def arrange_slices(folder: Path, slices: list[Slice], left_out: Sequence[Path] = ()) -> Series:
    """Bring the slices of a series, or of one file, into their order in space.

    Args:
        folder: The folder, or the file, for messages.
        slices: The slices, at least one.
        left_out: See `Series`.

    Raises:
        DataError: A slice is missing or has another size, spacing or direction; or several are at the same position
            and their trigger times do not tell them apart.
    """
    _check_equal(folder, slices)
    positions = _by_position(folder, slices)
    phases = len(positions[0])
    if len(positions) == 1:
        chosen, step = positions[0], np.cross(*slices[0].directions)
    else:
        chosen = [at_position[0] for at_position in positions]
        _check_distances(folder, chosen)
        step = (chosen[-1].position - chosen[0].position) / (len(chosen) - 1)
    (along_row, along_column), spacing = chosen[0].directions, chosen[0].spacing
    affine = np.eye(4)
    affine[:3] = np.stack([along_row * spacing[1], along_column * spacing[0], step, chosen[0].position], axis=1)
    shape = (chosen[0].size[1], chosen[0].size[0], len(chosen))
    zooms = (spacing[1], spacing[0], abs(float(step @ np.cross(along_row, along_column))))
    affine = _LPS_TO_RAS @ affine
    volume = arranged_volume(folder, shape, zooms, affine, is_sequence=len(positions) == 1, slices=2)
    return Series(volume, chosen, phases, list(left_out))


def read_series_voxels(series: Series) -> NDArray[Any]:
    """Read the voxels of a series, rescaled as its headers declare.

    Returns:
        (columns, rows, slices) values.

    Raises:
        DataError: A file is damaged or in colour, or the series is too large.
    """
    folder = series.volume.path
    if math.prod(series.volume.shape) * np.float32().itemsize > MAX_BYTES:
        raise DataError(f"{folder}: its {len(series.slices)} slices need more than {MAX_BYTES >> 30} GiB; split it")
    return np.stack([_read_values(found).T for found in series.slices], axis=-1)


def read_series(folder: Path) -> Clip:
    """Read a series as a clip, with one grey-level window for all slices.

    Raises:
        DataError: See `open_series` and `read_series_voxels`.
    """
    series = open_series(folder)
    return clip_of(series, read_series_voxels(series))


def clip_of(series: Series, voxels: NDArray[Any]) -> Clip:
    """The clip of a series, given its voxels, (columns, rows, slices)."""
    frames = to_grey(series.volume.arrange(voxels))
    fps, notes = math.nan, [f"{path.name} is not part of the stack" for path in series.left_out]
    if series.is_film:
        fps = 1000 / float(np.median(np.diff([found.trigger_time for found in series.slices])))
    elif series.phases > 1:
        place = "a folder" if series.slices[0].frame is None else "a file"
        notes.append(
            f"{series.phases} phases at each of {len(frames)} positions, of which the first after the R wave was read;"
            f" save the images of another phase in {place} of their own to read that"
        )
    return Clip(frames, fps, series.volume.spacing, series.volume.thickness, note="; ".join(notes))


def _read_headers(folder: Path) -> tuple[list[Slice], dict[Path, str], dict[Path, str]]:
    """The slices in a folder, the series of its other DICOM files, such as ultrasound cines, and why others fail."""
    import pydicom

    slices: list[Slice] = []
    others: dict[Path, str] = {}
    unreadable: dict[Path, str] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not is_dicom(path):
            continue
        try:
            with naming_cause(path):
                header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS, force=True)
                found = _slice(path, header)
                series = str(header.get("SeriesInstanceUID") or "")
                if found is None and not series and path.name != "DICOMDIR":
                    raise DataError("its header has neither a position nor a SeriesInstanceUID; export it again")
        except DataError as error:
            unreadable[path] = str(error).removeprefix(f"{path}: ")
            continue
        if found is not None:
            slices.append(found)
        else:
            others[path] = series
    return slices, others, unreadable


def _slice(path: Path, data: Dataset) -> Slice | None:
    orientation, position = numbers(data, "ImageOrientationPatient"), numbers(data, "ImagePositionPatient")
    times, spacing = numbers(data, "TriggerTime"), numbers(data, "PixelSpacing")
    if len(orientation) != 6 or len(position) != 3 or count(data, "NumberOfFrames", 1) != 1:
        return None
    return Slice(
        path,
        str(data.get("SeriesInstanceUID") or ""),
        np.reshape(orientation, (2, 3)),
        np.array(position),
        (spacing[0], spacing[1]) if len(spacing) == 2 else (math.nan, math.nan),
        (count(data, "Rows"), count(data, "Columns")),
        times[0] if times else math.nan,
    )


def _one_series(folder: Path, slices: list[Slice]) -> list[Slice]:
    first_files: dict[str, Path] = {}
    counts: dict[str, int] = defaultdict(int)
    for found in slices:
        first_files.setdefault(found.series, found.path)
        counts[found.series] += 1
    several = [series for series, count in counts.items() if count > 1]
    if not several:
        raise DataError(
            f"{folder}: cannot be read as a DICOM series (several files with a slice each); give files or another"
            " folder"
        )
    if len(several) > 1:
        parts = [f"{counted(counts[series], 'file')} such as {first_files[series].name}" for series in several]
        raise DataError(
            f"{folder}: holds slices of {len(several)} series ({', '.join(parts)}); move each into a folder of its own"
        )
    return [found for found in slices if found.series == several[0]]


def _check_equal(folder: Path, slices: Sequence[Slice]) -> None:
    """Check that all slices have the size, the spacing and the directions of the first one, and that they are valid."""
    first = slices[0]
    lengths = np.linalg.norm(first.directions, axis=1)
    if not (abs(lengths - 1) < 1e-2).all() or not abs(float(first.directions[0] @ first.directions[1])) < 1e-2:
        raise DataError(f"{folder}: {first.name} has an invalid ImageOrientationPatient; export the series again")
    if not all(0 < value < math.inf for value in first.spacing):
        raise DataError(f"{folder}: {first.name} has no valid PixelSpacing; export the series again")
    for found in slices:
        names = f"{folder}: {found.name}"
        if found.size != first.size:
            raise DataError(
                f"{names} has {found.size[1]}×{found.size[0]} pixels, but {first.name} has "
                f"{first.size[1]}×{first.size[0]}; move slices of another size into a folder of their own"
            )
        if not np.allclose(found.spacing, first.spacing, rtol=1e-3, atol=0):
            raise DataError(
                f"{names} has the PixelSpacing {found.spacing}, but {first.name} has {first.spacing}; move it into"
                " another folder"
            )
        if not np.allclose(found.directions, first.directions, rtol=0, atol=1e-3):
            raise DataError(
                f"{names} has another orientation than {first.name}; give the files of parallel slices, or single files"
            )
        if not np.isfinite(found.position).all():
            raise DataError(f"{names} has an invalid ImagePositionPatient; export the series again")


def _by_position(folder: Path, slices: list[Slice]) -> list[list[Slice]]:
    """The files at each position along the normal, in the order of time; the positions in their order in space."""
    normal = np.cross(*slices[0].directions)
    ordered = sorted(slices, key=lambda found: float(found.position @ normal))
    positions = [[ordered[0]]]
    for before, found in itertools.pairwise(ordered):
        if (found.position - before.position) @ normal < _SAME_POSITION:
            positions[-1].append(found)
        else:
            positions.append([found])
    most = max(positions, key=len)
    for at_position in positions:
        if len(at_position) != len(most):
            raise DataError(
                f"{folder}: has {counted(len(at_position), 'image')} at the position of {at_position[0].name}, but "
                f"{len(most)} at that of {most[0].name}; add the missing ones or remove the others"
            )
        at_position.sort(key=lambda found: found.trigger_time)
        if len(most) > 1 and not (np.diff([found.trigger_time for found in at_position]) > 0).all():
            raise DataError(
                f"{folder}: has {len(most)} images at the position of {at_position[0].name}, which their"
                " TriggerTime does not tell apart; leave one image for each position"
            )
    return positions


def _check_distances(folder: Path, slices: Sequence[Slice]) -> None:
    """Check that slices lie in equal distances on a straight line."""
    positions = np.stack([found.position for found in slices])
    normal = np.cross(*slices[0].directions)
    distances = np.diff(positions @ normal)
    if len(distances) > 1:
        worst = int(abs(distances - np.median(distances)).argmax())
        elsewhere = float(np.median(np.delete(distances, worst)))
        if abs(distances[worst] - elsewhere) > _MAX_VARIATION * elsewhere:
            names = f"{slices[worst].name} to {slices[worst + 1].name}"
            raise DataError(
                f"{folder}: from {names} it is {distances[worst]:.4g} mm, but {elsewhere:.4g} mm between other slices;"
                " add missing slices or remove additional ones"
            )
    line = positions[0] + np.linspace(0, 1, len(slices))[:, None] * (positions[-1] - positions[0])
    beside = positions - line
    beside -= (beside @ normal)[:, None] * normal
    shifts = np.linalg.norm(beside, axis=1)
    if shifts.max() > max(slices[0].spacing):
        raise DataError(
            f"{folder}: {slices[int(shifts.argmax())].name} is shifted by {shifts.max():.4g} mm against the other"
            " slices; give the files one by one"
        )


def _read_values(found: Slice) -> NDArray[Any]:
    """(H, W) rescaled values; black is low."""
    import pydicom

    with naming_cause(found.path):
        data = pydicom.dcmread(found.path, force=True)
        (frame, properties), *_ = raw_frames(data)
        if frame.shape != found.size:
            raise DataError("is not a grey image of its declared size; give the grey images of the series")
        return rescaled(frame, properties, rescaling(data))


def rescaled(frame: NDArray[Any], properties: dict[str, Any], scale: tuple[float, float]) -> NDArray[Any]:
    """(H, W) values by the slope and the intercept; black is low.

    Raises:
        DataError: The frame is not grey. The message lacks the file's name.
    """
    kind = properties["photometric_interpretation"]
    if not kind.startswith("MONOCHROME"):
        raise DataError("is not a grey image; give the grey images of the series")
    if scale != (1, 0):
        frame = frame * np.float32(scale[0]) + np.float32(scale[1])
    return -frame.astype(np.float32) if kind == "MONOCHROME1" else frame
