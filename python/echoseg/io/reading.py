"""Reads frames from a file of any supported type: video, DICOM, volume or image; or from a DICOM series in a folder.

Worker processes decode the file, so these functions are safe for untrusted files. All other rooms read pixels through
this module.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from echoseg.errors import DataError
from echoseg.io import video
from echoseg.io.axes import AXIS3, described_axis3
from echoseg.io.clip import Clip
from echoseg.io.dicom_file import is_dicom
from echoseg.io.file_types import DICOM_SUFFIXES, SUFFIXES, header_reason, unread_reason
from echoseg.io.image import is_image
from echoseg.io.video import DecodedFrames, check_numbers
from echoseg.io.volume import Volume, is_volume, to_grey
from echoseg.io.worker_pool import Arrays, Metadata, request

if TYPE_CHECKING:
    from pydicom import Dataset

_NAN = float("nan")
_axis3: ContextVar[str | None] = ContextVar("axis3", default=None)


@contextmanager
def axis3_taken_for(axis3: str | None) -> Iterator[None]:
    """Read the third axis of volumes as what the user says, in this thread and those of `map_in_order`, until the end.

    It is a property of the data that every reader meets on its way to a file, so it is no argument of theirs. Worker
    processes get it with each request.

    Args:
        axis3: "time" or "slices"; None changes nothing.

    Raises:
        ValueError: Another value.
    """
    if axis3 not in (None, *AXIS3):
        raise ValueError(f"axis3: expected {' or '.join(AXIS3)}, got {axis3!r}")
    token = _axis3.set(axis3 or _axis3.get())
    try:
        yield
    finally:
        _axis3.reset(token)


def axis3_of(folder: Path) -> str | None:
    """What the third axis of the volumes in a folder is said to be, by the user or a `dataset.json`; None if nothing.

    Raises:
        DataError: The `dataset.json` has an invalid value.
    """
    return _axis3.get() or described_axis3(folder / "file")


def read_clip(path: str | os.PathLike[str], *, axis3: str | None = None) -> Clip:
    """Read all frames of a file.

    Args:
        path: A video, a DICOM file, a volume or an image, of a type in `file_types.SUFFIXES`; or a folder with the
            slices of a DICOM series. The pages of a TIFF and the frames of an animated GIF or PNG are frames.
        axis3: "time" or "slices": what the third axis of a volume is, or the pages of a TIFF. None decides by the file;
            see `axes` and `tiff`.

    Raises:
        DataError: The file is missing, damaged or of an unsupported type; or its decoder crashed or exceeded the time
            or memory limit; or the folder holds no complete series, or several.
        ValueError: `axis3` has another value.
    """
    path = Path(path)
    if is_image(path) or is_volume(path) or path.is_dir():
        with axis3_taken_for(axis3):
            task, build = ("pages", _build_pages) if is_image(path) else ("slices", _build_clip)
            return request(task, path, build, _axis3.get())
    if _is_dicom(path):
        with axis3_taken_for(axis3):
            return request("dicom", path, _build_clip, _axis3.get())
    if path.is_file() and not video.is_video(path) and (reason := unread_reason(path) or header_reason(path)):
        raise DataError(f"{path}: {reason}")
    return request("video", path, _build_clip)


def read_frames(path: str | Path, frames: Sequence[int] | None = None) -> NDArray[np.uint8]:
    """Decode frames of a video.

    Args:
        path: The video file.
        frames: Increasing frame numbers, from 0; None decodes all frames.

    Returns:
        (T, H, W) uint8, grey.

    Raises:
        DataError: The file is missing, cannot be opened as a video, lacks a requested frame, or changes its frame
            size. If all frames are requested: a frame is damaged or the file is cut off.
        ValueError: `frames` is empty, or has negative or non-increasing numbers.
    """
    path = Path(path)
    if frames is None:
        return request("video", path, _build_clip).frames
    return video.stack_frames(path, _decode_frames(path, frames), frames)


def decode_clip(path: Path, frames: Sequence[int]) -> DecodedFrames:
    """Decode some frames of a file of any supported type; see `video.decode_frames`.

    Args:
        path: A video, a DICOM file, a volume or an image.
        frames: Increasing frame numbers, from 0.

    Raises:
        DataError: The file is missing or damaged, or its decoder crashed or exceeded the time or memory limit.
        ValueError: `frames` is empty, or has negative or non-increasing numbers.
    """
    if is_volume(path) or is_image(path) or _is_dicom(path):
        clip = read_clip(path)
        found = {frame: clip.frames[frame] for frame in frames if frame < len(clip.frames)}
        return DecodedFrames(found, len(clip.frames), 0, _NAN, spacing=clip.spacing, square=clip.square)
    return _decode_frames(path, frames)


def read_labels(path: Path, *, by_colour: bool = False) -> NDArray[Any]:
    """Read a mask in an image file, (T, H, W); see `label_image.read_labels`.

    Raises:
        DataError: The file is missing or damaged, is animated, or its colours are no labels.
    """
    return request("labels", path, _build_planes, by_colour)


def read_palette(path: Path) -> NDArray[np.int32]:
    """Read the labels of the colours in a palette, (P,); see `label_image.read_palette`.

    Raises:
        DataError: The file is animated.
    """
    return request("palette", path, lambda _, arrays: arrays[0].astype(np.int32).reshape(-1))


def open_volume(path: str | Path) -> Volume:
    """Read the header of a volume, a TIFF or a DICOM series; see `volume.open_volume` and `series.open_series`.

    Raises:
        DataError: The file is missing, damaged or a colour image; or the folder holds no complete series, or several.
    """

    def build(metadata: Metadata, arrays: Arrays) -> Volume:
        frames, height, width = map(int, metadata["shape"])
        slices, rows, columns = map(int, metadata["axes"])
        flipped = tuple(map(int, metadata["flipped"]))
        affine = arrays[0].astype(np.float64).reshape(4, 4) if arrays else None
        if min(frames, height, width) < 1 or {slices, rows, columns} != {0, 1, 2} or not {*flipped} <= {0, 1, 2}:
            raise ValueError
        shape, axes = (frames, height, width), (slices, rows, columns)
        spacing, thickness = _pair(metadata["spacing"]), float(metadata["thickness"])
        time_points, fps, note = int(metadata["time_points"]), float(metadata["fps"]), str(metadata["note"])[:500]
        if time_points < 1 or frames % time_points:
            raise ValueError
        return Volume(Path(path), shape, spacing, thickness, axes, flipped, affine, time_points, fps, note)

    return request("volume", path, build, _axis3.get())


def read_voxels(volume: Volume) -> NDArray[Any]:
    """Read the voxels of a volume, scaled as its header declares.

    Returns:
        (T, H, W) values, of the dtype in the file.

    Raises:
        DataError: The file is damaged, or shorter than its header declares.
    """
    return request("voxels", volume.path, lambda _, arrays: volume.arrange(*arrays))


def series_files(folder: Path) -> set[Path]:
    """The DICOM files of a folder that form a stack of slices; empty if there is no such series in it.

    Raises:
        DataError: The folder cannot be read.
    """
    if sum(is_dicom(path) for path in folder.iterdir()) < 2:
        return set()

    def build(_: Metadata, arrays: Arrays) -> set[Path]:
        (names,) = arrays
        return {folder / os.fsdecode(name) for name in names.tobytes().split(b"\0") if name}

    return request("series files", folder, build)


def read_dicom_headers(path: Path) -> list[tuple[str, Dataset]]:
    """Read what an object that refers to images repeats of their headers; see `dicom_file.HEADER_ELEMENTS`.

    Args:
        path: A DICOM file, or a folder with a series.

    Returns:
        The name and the header of the file, or of each slice in order. Elements without a value are left out.

    Raises:
        DataError: A file is missing or damaged, or the folder holds no complete series, or several.
    """

    def build(_: Metadata, arrays: Arrays) -> list[tuple[str, Dataset]]:
        import pydicom

        (text,) = arrays
        return [(str(name), pydicom.Dataset.from_json(header)) for name, header in json.loads(text.tobytes())]

    return request("DICOM headers", path, build)


def is_clip(path: Path) -> bool:
    """Whether a file is of a supported type, by its suffix or the DICOM prefix; its content may still be damaged."""
    return path.name.lower().endswith(SUFFIXES) or is_dicom(path)


def _is_dicom(path: Path) -> bool:
    return path.suffix.lower() in DICOM_SUFFIXES or is_dicom(path)


def _decode_frames(path: Path, frames: Sequence[int]) -> DecodedFrames:
    return request("video frames", path, _build_decoded, check_numbers(frames))


def _build_clip(metadata: Metadata, arrays: Arrays) -> Clip:
    (frames,) = arrays
    square = metadata["square"]
    if square is not None:
        top, left, side = map(int, square)
        square = top, left, side
    numbers = (float(metadata["fps"]), _pair(metadata["spacing"]), float(metadata["thickness"]))
    time_points, note = int(metadata["time_points"]), str(metadata["note"])[:500]
    if time_points < 1 or len(frames) % time_points:
        raise ValueError
    return Clip(_check_grey(frames, 3), *numbers, square, int(metadata["declared"]), note, time_points)


def _build_pages(metadata: Metadata, arrays: Arrays) -> Clip:
    pages = _build_planes(metadata, arrays)
    note, time_points = str(metadata["note"])[:500], int(metadata["time_points"])
    if time_points < 1 or len(pages) % time_points:
        raise ValueError
    numbers = (float(metadata["fps"]), _pair(metadata["spacing"]), float(metadata["thickness"]))
    return Clip(to_grey(pages), *numbers, note=note, time_points=time_points)


def _build_planes(metadata: Metadata, arrays: Arrays) -> NDArray[Any]:
    (pages,) = arrays
    if pages.ndim != 3 or not pages.size:
        raise ValueError
    return pages


def _build_decoded(metadata: Metadata, arrays: Arrays) -> DecodedFrames:
    frames = {int(number): _check_grey(frame, 2) for number, frame in zip(metadata["numbers"], arrays, strict=True)}
    passed, declared, turned = (int(metadata[name]) for name in ("passed", "declared", "turned"))
    return DecodedFrames(frames, passed, declared, float(metadata["fps"]), turned)


def _check_grey(frames: NDArray[Any], dimensions: int) -> NDArray[np.uint8]:
    if frames.dtype != np.uint8 or frames.ndim != dimensions or not frames.size:
        raise ValueError
    return frames


def _pair(values: Any) -> tuple[float, float]:
    first, second = values
    return float(first), float(second)
