"""Frames of a file of any kind that is known: video, DICOM cine, volume or picture; decoded by a child process.

Whoever reads pixels of a user's file takes them from here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from echoseg.io import video
from echoseg.io.clip import Clip
from echoseg.io.dicom import is_dicom
from echoseg.io.image import is_image
from echoseg.io.video import DecodedFrames, check_numbers
from echoseg.io.volume import Volume, is_volume, to_grey
from echoseg.io.worker_pool import Arrays, Facts, ask

VIDEOS = (".avi", ".mp4", ".m4v", ".mov", ".mkv", ".mpg", ".mpeg", ".webm", ".wmv")
_NAN = float("nan")


def read_clip(path: str | os.PathLike[str]) -> Clip:
    """Read every frame of a file, whatever kind it is of.

    Args:
        path: A video, a DICOM file, a volume (.nii, .nii.gz, .mhd) or a picture.

    Raises:
        DataError: The file is missing, damaged, or of no kind that is known; its decoder crashed, or took too much
            time or memory.
    """
    path = Path(path)
    if is_image(path):
        return Clip(to_grey(read_image(path))[None], _NAN, (_NAN, _NAN), _NAN)
    kind = "slices" if is_volume(path) else "dicom" if is_dicom(path) else "video"
    return ask(kind, path, _build_clip)


def read_frames(path: str | Path, frames: Sequence[int] | None = None) -> NDArray[np.uint8]:
    """Decode frames of a video.

    Args:
        path: The video file.
        frames: Indices from 0, increasing; None decodes every frame.

    Returns:
        (T, H, W) uint8, grey.

    Raises:
        DataError: The file is missing, cannot be opened as a video, ends before the last frame asked for, or changes
            its size; where every frame is asked for, one is damaged or the file is cut.
        ValueError: `frames` is empty, negative or not increasing.
    """
    path = Path(path)
    if frames is None:
        return ask("video", path, _build_clip).frames
    return video.stack(path, _find_frames(path, frames), frames)


def decode_clip(path: Path, frames: Sequence[int]) -> DecodedFrames:
    """As `video.decode_frames`, of a file of any kind."""
    if is_volume(path) or is_image(path):
        every = read_clip(path).frames
        return DecodedFrames({frame: every[frame] for frame in frames if frame < len(every)}, len(every), 0, _NAN)
    return _find_frames(path, frames)


def read_image(path: Path) -> NDArray[Any]:
    """(H, W): a picture, colours turned to grey.

    Raises:
        DataError: The file is missing or damaged.
    """
    return ask("image", path, _build_image)


def open_volume(path: str | Path) -> Volume:
    """As `volume.open_volume`."""

    def build(facts: Facts, arrays: Arrays) -> Volume:
        frames, height, width = map(int, facts["shape"])
        slices, rows, columns = map(int, facts["axes"])
        turned = tuple(map(int, facts["turned"]))
        affine = arrays[0].astype(np.float64).reshape(4, 4) if arrays else None
        if min(frames, height, width) < 1 or {slices, rows, columns} != {0, 1, 2} or not {*turned} <= {0, 1, 2}:
            raise ValueError
        shape, axes = (frames, height, width), (slices, rows, columns)
        return Volume(Path(path), shape, _pair(facts["spacing"]), float(facts["thickness"]), axes, turned, affine)

    return ask("volume", path, build)


def read_voxels(volume: Volume) -> NDArray[Any]:
    """(T, H, W): a volume's voxels, their numbers as the file means them.

    Raises:
        DataError: The file is damaged, or holds less than its header promises.
    """
    return ask("voxels", volume.path, lambda _, arrays: volume.arrange(*arrays))


def is_clip(path: Path) -> bool:
    """Whether a file is of a kind that is known, by its ending or DICOM's mark; its content may still be damaged."""
    return path.suffix.lower() in VIDEOS or is_volume(path) or is_image(path) or is_dicom(path)


def _find_frames(path: Path, frames: Sequence[int]) -> DecodedFrames:
    return ask("video frames", path, _build_found, check_numbers(frames))


def _build_clip(facts: Facts, arrays: Arrays) -> Clip:
    (frames,) = arrays
    square = facts["square"]
    if square is not None:
        top, left, side = map(int, square)
        square = top, left, side
    numbers = (float(facts["fps"]), _pair(facts["spacing"]), float(facts["thickness"]))
    return Clip(_grey(frames, 3), *numbers, square, int(facts["declared"]))


def _build_found(facts: Facts, arrays: Arrays) -> DecodedFrames:
    frames = {int(number): _grey(frame, 2) for number, frame in zip(facts["numbers"], arrays, strict=True)}
    return DecodedFrames(frames, int(facts["passed"]), int(facts["declared"]), float(facts["fps"]))


def _build_image(facts: Facts, arrays: Arrays) -> NDArray[Any]:
    (image,) = arrays
    if image.ndim != 2 or not image.size:
        raise ValueError
    return image


def _grey(frames: NDArray[Any], dimensions: int) -> NDArray[np.uint8]:
    if frames.dtype != np.uint8 or frames.ndim != dimensions or not frames.size:
        raise ValueError
    return frames


def _pair(values: Any) -> tuple[float, float]:
    first, second = values
    return float(first), float(second)
