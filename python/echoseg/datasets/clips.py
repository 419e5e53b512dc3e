"""The clip of a recording: what its file holds, with what the data set knows about it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

from echoseg.datasets.formats import FORMATS, read_dataset
from echoseg.datasets.recording import Recording
from echoseg.errors import DataError
from echoseg.io.clip import Clip
from echoseg.io.reading import read_clip


def read_recording(recording: Recording) -> Clip:
    """Read every frame of a recording.

    The data set's frame rate wins over that of the file's header, which is often that of the export. The file's spacing
    wins over the data set's.

    Raises:
        DataError: The file is missing or damaged.
    """
    return with_listed_facts(read_clip(recording.path), recording)


def with_listed_facts(clip: Clip, recording: Recording) -> Clip:
    """The clip with the frame rate and spacing that its data set lists; see `read_recording`."""
    fps = recording.fps if math.isfinite(recording.fps) else clip.fps
    spacing = clip.spacing if all(map(math.isfinite, clip.spacing)) else recording.spacing
    return dataclasses.replace(clip, fps=fps, spacing=spacing)


def recordings_by_file(folder: Path) -> dict[Path, Recording]:
    """The recordings of a data set by the resolved path of their file; empty if the folder holds no data set.

    A data set that cannot be read, for instance because nothing in it is traced, gives no recordings.
    """
    if not any(known.looks_like(folder) for known in FORMATS.values()):
        return {}
    try:
        return {recording.path.resolve(): recording for recording in read_dataset(folder).recordings}
    except DataError:
        return {}
