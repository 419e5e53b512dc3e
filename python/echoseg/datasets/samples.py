"""From a data set to samples: traced frames decoded and brought to one size, each with its outline and its facts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from echoseg.datasets.recording import Dataset, Fault, Recording, Tracing
from echoseg.errors import DataError
from echoseg.geometry.contour import contour_area, order_contour
from echoseg.geometry.crop import Box, Crop, fov_box
from echoseg.io.reading import decode_clip
from echoseg.io.video import DecodedFrames
from echoseg.utils.parallel import map_in_order


@dataclass(frozen=True, eq=False)
class Sample:
    """One traced frame.

    Attributes:
        image: (H, W) uint8, grey.
        contour: (P, 2) float32, pixels of `image`.
        facts: One row of a store's table of samples.
    """

    image: NDArray[np.uint8]
    contour: NDArray[np.float32]
    facts: dict[str, Any]


@dataclass(frozen=True, eq=False)
class RecordingSamples:
    """What one recording gave: its samples by frame, and what had to be left out."""

    samples: list[Sample] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def decode_dataset(
    dataset: Dataset,
    *,
    size: tuple[int, int] = (112, 112),
    ordering: str | None = None,
    fov_mm: float | None = None,
) -> Iterator[RecordingSamples]:
    """Decode every recording, several at a time, and yield them in the data set's order.

    Only a few recordings are held at once, so a data set may be larger than memory.

    Args:
        dataset: As read; its own faults are not repeated.
        size: (H, W) of the samples.
        ordering: A name in `echoseg.geometry.contour.ORDERINGS`; None keeps the tracing's own order.
        fov_mm: Side of the middle square that becomes a sample, mm; None, and where the spacing is unknown: the frame.

    Yields:
        One `RecordingSamples` a recording.

    Raises:
        ValueError: The ordering is unknown.
        DataError: The ordering does not fit the data set's kind of tracing.
    """
    order_contour(dataset.recordings[0].tracings[0].coordinates, ordering)  # a wrong name fails here, not in a thread
    decode = partial(_decode, folder=dataset.folder, size=size, ordering=ordering, fov_mm=fov_mm)
    yield from map_in_order(decode, dataset.recordings)


def _decode(
    recording: Recording, *, folder: Path, size: tuple[int, int], ordering: str | None, fov_mm: float | None
) -> RecordingSamples:
    """The samples of one recording."""
    decoded = RecordingSamples()
    contours = [order_contour(tracing.coordinates, ordering) for tracing in recording.tracings]
    file = recording.path.relative_to(folder).as_posix()
    try:
        found = decode_clip(recording.path, [tracing.frame for tracing in recording.tracings])
        if not found.frames and found.passed == 0:
            raise DataError("holds no frame that can be decoded; replace the file")
    except DataError as error:
        decoded.faults.append(Fault(file, None, str(error).removeprefix(f"{recording.path}: ")))
        return decoded
    for tracing, contour, phase in zip(recording.tracings, contours, name_phases(recording, contours), strict=True):
        image = found.frames.get(tracing.frame)
        height, width = (0, 0) if image is None else image.shape
        crop = Crop(fov_box(Box(0, 0, height, width), recording.spacing, fov_mm), size)
        reason = _why_useless(tracing, contour, image, found, crop.box)
        if image is None or reason:
            reason = f"frame {tracing.frame} of {recording.name} {reason}"
            column = "Frame" if tracing.row and tracing.frame >= found.passed else ""
            decoded.faults.append(Fault(tracing.file, tracing.row or None, reason, column))
            continue
        spacing = np.array(recording.spacing) / crop.scale[::-1]
        facts = {
            "video": recording.name,
            "frame": tracing.frame,
            "patient": recording.patient,
            "phase": phase,
            "split": recording.split,
            "view": recording.view,
            "row": tracing.row,
            "height": height,
            "width": width,
            "fps": recording.fps,
            "ef": recording.ef,
            "edv": recording.edv,
            "esv": recording.esv,
            "spacing_y": float(spacing[0]),
            "spacing_x": float(spacing[1]),
            "thickness": recording.thickness,
        }
        decoded.samples.append(Sample(crop.frames(image[None])[0], crop.points(contour), facts))
    return decoded


def name_phases(recording: Recording, contours: list[NDArray[np.float32]]) -> list[str]:
    """As the data set says. If it is silent, ED is the larger and ES the smaller of exactly two moments."""
    told = [tracing.phase for tracing in recording.tracings]
    areas = [float(contour_area(contour)) for contour in contours]
    if any(told) or len(areas) != 2 or areas[0] == areas[1] or math.isfinite(recording.thickness):
        return told
    return ["ED", "ES"] if areas[0] > areas[1] else ["ES", "ED"]


def _why_useless(
    tracing: Tracing, contour: NDArray[np.float32], image: NDArray[np.uint8] | None, found: DecodedFrames, box: Box
) -> str:
    """What keeps a tracing from being used on its frame's box; "" if nothing does."""
    if image is None:
        if tracing.frame < found.passed:
            return "is damaged in the video"
        told = f", of the {found.declared} that its header tells of" if found.declared > found.passed else ""
        return f"lies beyond the video's {found.passed} frames{told}"
    extent = np.array([box.width, box.height], dtype=np.float32)
    contour = contour - np.array([box.left, box.top], dtype=np.float32)
    if (contour < -extent).any() or (contour > 2 * extent).any():
        return f"has a point far outside its {extent[0]:.0f}×{extent[1]:.0f} pixels"
    if contour_area(np.clip(contour, -0.5, extent - 0.5)) == 0:
        return f"has a contour without area inside its {extent[0]:.0f}×{extent[1]:.0f} pixels"
    return ""
