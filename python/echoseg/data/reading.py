"""Frames of a file of any kind that is known: video, DICOM cine, volume or picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from echoseg.data.clip import Clip
from echoseg.data.dicom import is_dicom, read_dicom
from echoseg.data.picture import is_picture, read_picture
from echoseg.data.video import decode_frames, read_frame_rate, read_frames
from echoseg.data.volume import is_volume, open_volume, to_grey

VIDEOS = (".avi", ".mp4", ".m4v", ".mov", ".mkv", ".mpg", ".mpeg", ".webm", ".wmv")
_NAN = float("nan")


def read_clip(path: str | Path) -> Clip:
    """Read every frame of a file, whatever kind it is of.

    Args:
        path: A video, a DICOM file, a volume (.nii, .nii.gz, .mhd) or a picture.

    Raises:
        DataError: The file is missing, damaged, or of no kind that is known.
    """
    path = Path(path)
    if is_volume(path):
        volume = open_volume(path)
        return Clip(np.ascontiguousarray(to_grey(volume.read())), _NAN, volume.spacing, volume.thickness)
    if is_picture(path):
        return Clip(to_grey(read_picture(path))[None], _NAN, (_NAN, _NAN), _NAN)
    if is_dicom(path):
        return read_dicom(path)
    return Clip(read_frames(path), read_frame_rate(path), (_NAN, _NAN), _NAN)


def decode_clip(path: Path, frames: Sequence[int]) -> tuple[dict[int, NDArray[np.uint8]], int]:
    """As `video.decode_frames`, of a file of any kind."""
    if is_volume(path) or is_picture(path):
        every = read_clip(path).frames
        return {frame: every[frame] for frame in frames if frame < len(every)}, len(every)
    return decode_frames(path, frames)


def is_clip(path: Path) -> bool:
    """Whether a file is of a kind that is known, by its ending or DICOM's mark; its content may still be damaged."""
    return path.suffix.lower() in VIDEOS or is_volume(path) or is_picture(path) or is_dicom(path)
