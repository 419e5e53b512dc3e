"""The frames of one DICOM file that lie at positions of their own, as in enhanced MR and CT files.

They are the slices of a series in one file, and are read as `series` reads the files of a folder.

Source: DICOM PS3.3, C.7.6.16 (Multi-frame Functional Groups Module).
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from echoseg.errors import DataError
from echoseg.io.axes import OVERRULE
from echoseg.io.clip import Clip
from echoseg.io.dicom_file import count, first_item, naming_cause, numbers, raw_frames, rescaling
from echoseg.io.series import Slice, arrange_slices, clip_of, rescaled
from echoseg.io.volume import Volume

if TYPE_CHECKING:
    from pydicom import Dataset

_AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def open_frames(path: Path) -> Volume:
    """Read the header of a file as a volume.

    Raises:
        DataError: The file is damaged, or its frames are no slices.
    """
    import pydicom

    with naming_cause(path):
        slices, _ = _frame_slices(path, pydicom.dcmread(path, stop_before_pixels=True, force=True))
        if not slices:
            raise DataError("its frames are no slices; give a volume")
    return arrange_slices(path, slices).volume


def read_slices(path: Path, data: Dataset) -> Clip | None:
    """Read the frames as a stack or, if all have one position, as a film; None if the header does not place them.

    Raises:
        DataError: The positions are those of no stack, or the frames are not grey. The message lacks the file's name.
    """
    slices, note = _frame_slices(path, data)
    if not slices:
        return None
    try:
        series = arrange_slices(path, slices)
    except DataError as error:
        raise DataError(str(error).removeprefix(f"{path}: ")) from None
    values: dict[int | None, NDArray[Any]] = {}
    for number, (frame, properties) in enumerate(raw_frames(data)):
        per_frame = data.get("PerFrameFunctionalGroupsSequence") or []
        groups = [per_frame[number]] if number < len(per_frame) else []
        items = [first_item(group, "PixelValueTransformationSequence") for group in (*groups, _shared(data))]
        values[number] = rescaled(frame, properties, rescaling(next((item for item in items if item), data)))
    if missing := [found.name for found in series.slices if found.frame not in values]:
        raise DataError(f"{missing[0]} is missing, since the file is cut off; copy it again")
    clip = clip_of(series, np.stack([values[found.frame].T for found in series.slices], axis=-1))
    return dataclasses.replace(clip, note="; ".join(filter(None, (note, clip.note))))


def _frame_slices(path: Path, data: Dataset) -> tuple[list[Slice], str]:
    """The frames of a file as slices, and a note; empty if they are the time points of a film without further data.

    Frames without a position of their own are slices if the header has a distance of slices and no frame time.
    """
    found = []
    for number, frame in enumerate(data.get("PerFrameFunctionalGroupsSequence") or ()):
        values = [
            next(filter(None, (numbers(first_item(source, group), name) for source in (frame, _shared(data)))), [])
            for group, name in (
                ("PlanePositionSequence", "ImagePositionPatient"),
                ("PlaneOrientationSequence", "ImageOrientationPatient"),
                ("PixelMeasuresSequence", "PixelSpacing"),
                ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
            )
        ]
        if [len(item) for item in values[:3]] != [3, 6, 2]:
            return [], ""
        found.append(_slice(path, data, number, *values))
    times = {item.trigger_time for item in found}
    if len({tuple(item.position) for item in found}) > 1 or len(times) == len(found) > 1:
        return found, ""
    distance, frames = numbers(data, "SpacingBetweenSlices"), count(data, "NumberOfFrames", 1)
    spacing, is_film = numbers(data, "PixelSpacing"), numbers(data, "FrameTime") or numbers(data, "FrameTimeVector")
    if found or is_film or frames < 2 or len(spacing) != 2 or not distance or not abs(distance[0]) > 0:
        return [], ""
    orientation = numbers(data, "ImageOrientationPatient")
    orientation = orientation if len(orientation) == 6 else list(_AXIAL)
    origin, normal = numbers(data, "ImagePositionPatient") or [0.0] * 3, np.cross(orientation[:3], orientation[3:])
    positions = [list(np.array(origin) + k * abs(distance[0]) * normal) for k in range(frames)]
    note = f"its {frames} frames are taken for slices, since it has a SpacingBetweenSlices; {OVERRULE.format('time')}"
    return [_slice(path, data, k, item, orientation, spacing, []) for k, item in enumerate(positions)], note


def _slice(
    path: Path,
    data: Dataset,
    frame: int,
    position: list[float],
    orientation: list[float],
    spacing: list[float],
    time: list[float],
) -> Slice:
    size = (count(data, "Rows"), count(data, "Columns"))
    directions, trigger_time = np.reshape(orientation, (2, 3)), time[0] if time else math.nan
    return Slice(path, "", directions, np.array(position), (spacing[0], spacing[1]), size, trigger_time, frame)


def _shared(data: Dataset) -> Dataset | None:
    return first_item(data, "SharedFunctionalGroupsSequence")
