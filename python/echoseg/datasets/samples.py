"""Decodes the traced frames of a data set and resizes them to one size, with their contours and metadata."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from echoseg.datasets.recording import UNNAMED, Dataset, Fault, Recording, Tracing
from echoseg.errors import DataError
from echoseg.geometry.contour import contour_area, order_contour
from echoseg.geometry.crop import Box, Crop, fov_box
from echoseg.io.reading import decode_clip
from echoseg.io.video import DecodedFrames
from echoseg.utils.parallel import map_in_order

CROP_COLUMNS = ("crop_top", "crop_left", "crop_height", "crop_width")
"""Columns of the part of the original frame that became the sample, pixels; the fields of a `Box`."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One traced frame.

    Attributes:
        image: (H, W) uint8, grey.
        contour: (P, 2) float32, pixels of `image`; (0, 2) for a blank slice.
        metadata: One row of the store's table of samples.
        observers: If several observers traced the frame, their contours by name, `contour` first.
    """

    image: NDArray[np.uint8]
    contour: NDArray[np.float32]
    metadata: dict[str, Any]
    observers: dict[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class RecordingSamples:
    """The samples of one recording.

    Attributes:
        samples: In the order of its frames.
        faults: The faults found while decoding it.
        is_turned: Whether its frames were turned, as the header of the file asks for.
    """

    samples: list[Sample] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    is_turned: bool = False


def decode_dataset(
    dataset: Dataset,
    *,
    size: tuple[int, int] = (112, 112),
    ordering: str | None = None,
    fov_mm: float | None = None,
) -> Iterator[RecordingSamples]:
    """Decode all recordings in parallel, and yield their samples in the data set's order.

    Only a few recordings are in memory at a time, so a data set may be larger than memory.

    Args:
        dataset: The data set; its own faults are not repeated.
        size: (H, W) of the samples.
        ordering: A name in `echoseg.geometry.contour.ORDERINGS`; None keeps the order of the tracing.
        fov_mm: Side of the centred square that becomes a sample, in mm. With None, or if the spacing is unknown, the
            whole frame becomes a sample.

    Yields:
        One `RecordingSamples` per recording.

    Raises:
        ValueError: The ordering is unknown.
        DataError: The ordering is not applicable to the data set's kind of tracing.
    """
    tracings = (tracing for recording in dataset.recordings for tracing in recording.tracings)
    first = next(tracing for tracing in tracings if len(tracing.coordinates))
    order_contour(first.coordinates, ordering)  # a wrong name raises here, not in a thread
    decode = partial(_decode, folder=dataset.folder, size=size, ordering=ordering, fov_mm=fov_mm)
    yield from map_in_order(decode, dataset.recordings)


def _decode(
    recording: Recording, *, folder: Path, size: tuple[int, int], ordering: str | None, fov_mm: float | None
) -> RecordingSamples:
    """Decode one recording."""
    result = RecordingSamples()
    contours = [order_contour(tracing.coordinates, ordering) for tracing in recording.tracings]
    file = recording.path.relative_to(folder).as_posix()
    others: defaultdict[int, list[Tracing]] = defaultdict(list)
    for tracing in recording.others:
        others[tracing.frame].append(tracing)
    try:
        decoded = decode_clip(recording.path, [tracing.frame for tracing in recording.tracings])
        if not decoded.frames and decoded.passed == 0:
            raise DataError("contains no frame that can be decoded; replace the file")
    except DataError as error:
        result.faults.append(Fault(file, None, str(error).removeprefix(f"{recording.path}: ")))
        return result
    result = replace(result, is_turned=bool(decoded.turned))
    listed = recording.spacing if np.isfinite(recording.spacing).all() else decoded.spacing
    for tracing, contour, phase in zip(recording.tracings, contours, name_phases(recording, contours), strict=True):
        image = decoded.frames.get(tracing.frame)
        height, width = (0, 0) if image is None else image.shape
        region = Box(*decoded.square, decoded.square[2]) if decoded.square else Box(0, 0, height, width)
        crop = Crop(fov_box(region, listed, fov_mm), size)
        reason = _find_problem(tracing, contour, image, decoded, crop.box)
        if image is None or reason:
            reason = f"frame {tracing.frame} of {recording.name} {reason}"
            column = "Frame" if tracing.row and tracing.frame >= decoded.passed else ""
            result.faults.append(Fault(tracing.file, tracing.row or None, reason, column))
            continue
        spacing = np.array(listed) / crop.scale[::-1]
        metadata = {
            "video": recording.name,
            "frame": tracing.frame,
            "patient": recording.patient,
            "phase": phase,
            "split": recording.split,
            "view": recording.view,
            "row": tracing.row,
            "height": height,
            "width": width,
            **dict(zip(CROP_COLUMNS, crop.box, strict=True)),
            "fps": recording.fps,
            "ef": recording.ef,
            "edv": recording.edv,
            "esv": recording.esv,
            "spacing_y": float(spacing[0]),
            "spacing_x": float(spacing[1]),
            "thickness": recording.thickness,
            "path": file,
            "file": tracing.file,
            "list_row": recording.row,
            "pieces": tracing.pieces,
            "holes": tracing.holes,
            "turned": tracing.turned,
            "quality": recording.quality,
            "sex": recording.sex,
            "age": recording.age,
        }
        observers = {tracing.observer or UNNAMED: crop.points(contour)} if others[tracing.frame] else {}
        for other in others[tracing.frame]:
            outline = order_contour(other.coordinates, ordering)
            if reason := _find_problem(other, outline, image, decoded, crop.box):
                reason = f"frame {other.frame} of {recording.name} {reason}"
                result.faults.append(Fault(other.file, other.row or None, reason))
            else:
                observers[other.observer or UNNAMED] = crop.points(outline)
        several = observers if len(observers) > 1 else {}
        result.samples.append(Sample(crop.frames(image[None])[0], crop.points(contour), metadata, several))
    return result


def name_phases(recording: Recording, contours: list[NDArray[np.float32]]) -> list[str]:
    """The phase of each traced frame: "ED", "ES" or "".

    If the data set states no phase and exactly two time points are traced, the larger contour is ED, the smaller ES.

    Args:
        recording: The recording.
        contours: The contour of each of its tracings, (P, 2) float32, pixels.
    """
    phases = [tracing.phase for tracing in recording.tracings]
    areas = [float(contour_area(contour)) for contour in contours]
    if any(phases) or len(areas) != 2 or areas[0] == areas[1] or math.isfinite(recording.thickness):
        return phases
    return ["ED", "ES"] if areas[0] > areas[1] else ["ES", "ED"]


def _find_problem(
    tracing: Tracing, contour: NDArray[np.float32], image: NDArray[np.uint8] | None, decoded: DecodedFrames, box: Box
) -> str:
    """Why a tracing cannot be used on its frame's box; "" if it can."""
    if image is None:
        if tracing.frame < decoded.passed:
            return "is damaged in the video"
        declared = f" (its header declares {decoded.declared})" if decoded.declared > decoded.passed else ""
        return f"is beyond the video's {decoded.passed} frames{declared}"
    if not len(contour):
        return ""
    extent = np.array([box.width, box.height], dtype=np.float32)
    contour = contour - np.array([box.left, box.top], dtype=np.float32)
    if (contour < -extent).any() or (contour > 2 * extent).any():
        return f"has a point far outside its {extent[0]:.0f}×{extent[1]:.0f} pixels"
    if contour_area(np.clip(contour, -0.5, extent - 0.5)) == 0:
        return f"has a contour without area inside its {extent[0]:.0f}×{extent[1]:.0f} pixels"
    return ""
