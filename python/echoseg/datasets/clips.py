"""Reads the clips of recordings, with the frame rate and spacing of the data set."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

from echoseg.datasets.formats import FORMATS
from echoseg.datasets.patients import apply_rule
from echoseg.datasets.recording import Recording
from echoseg.errors import DataError
from echoseg.io.clip import Clip
from echoseg.io.description import DESCRIPTION, read_description
from echoseg.io.reading import read_clip


def read_recording(recording: Recording) -> Clip:
    """Read all frames of a recording.

    The frame rate is the data set's if it lists one, since the file's header often contains that of the export. The
    spacing is the file's if it has one, otherwise the data set's.

    Raises:
        DataError: The file is missing or damaged.
    """
    return with_listed_facts(read_clip(recording.path), recording)


def with_listed_facts(clip: Clip, recording: Recording) -> Clip:
    """Replace the frame rate and spacing of a clip by those of its recording; see `read_recording`."""
    fps = recording.fps if math.isfinite(recording.fps) else clip.fps
    spacing = clip.spacing if all(map(math.isfinite, clip.spacing)) else recording.spacing
    return dataclasses.replace(clip, fps=fps, spacing=spacing)


def recordings_by_file(folder: Path, structure: str | None = None) -> dict[Path, Recording]:
    """The recordings of a data set by the resolved path of their file; empty if the folder is not a data set.

    A data set that cannot be read, for example because nothing in it is traced, has no recordings.

    Raises:
        DataError: The `dataset.json` of the data set is no valid JSON, or its rule for patients cannot be used.
    """
    known = next((known for known in FORMATS.values() if known.matches(folder)), None)
    if known is None:
        return {}
    read_description(folder / DESCRIPTION)
    try:
        dataset = known.read(folder, structure)
    except DataError:
        return {}
    return {recording.path.resolve(): recording for recording in apply_rule(dataset, None).recordings}
