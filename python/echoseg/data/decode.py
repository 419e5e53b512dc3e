"""From a data set to samples: traced frames decoded and brought to one size, each with its outline and its facts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from echoseg.data.echonet import TRACINGS, VIDEOS
from echoseg.data.parallel import map_in_order
from echoseg.data.tracing import Dataset, Fault, Recording, Tracing
from echoseg.data.video import decode_frames
from echoseg.errors import DataError
from echoseg.geometry.contour import contour_area, order_contour


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
class Decoded:
    """What one recording gave: its samples by frame, and what had to be left out."""

    samples: list[Sample] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def decode_dataset(
    dataset: Dataset, *, size: tuple[int, int] = (112, 112), ordering: str | None = None
) -> Iterator[Decoded]:
    """Decode every recording, several at a time, and yield them in the data set's order.

    Only a few recordings are held at once, so a data set may be larger than memory.

    Args:
        dataset: As read; its own faults are not repeated.
        size: (H, W) of the samples.
        ordering: A name in `echoseg.geometry.contour.ORDERINGS`; None keeps the tracing's own order.

    Yields:
        One `Decoded` a recording.

    Raises:
        ValueError: The ordering is unknown.
        DataError: The ordering does not fit the data set's kind of tracing.
    """
    order_contour(dataset.recordings[0].tracings[0].coordinates, ordering)  # a wrong name fails here, not in a thread
    yield from map_in_order(partial(_decode, size=size, ordering=ordering), dataset.recordings)


def resize_frames(frames: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize frames, each axis on its own scale: by area when both shrink, else bilinear.

    Args:
        frames: (T, h, w) uint8.
        size: (H, W).

    Returns:
        (T, H, W) uint8; `frames` itself where nothing changes.
    """
    height, width = frames.shape[1:]
    if (height, width) == tuple(size):
        return frames
    shrinks = size[0] <= height and size[1] <= width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = np.empty((len(frames), *size), dtype=np.uint8)
    for frame, out in zip(frames, resized, strict=True):
        cv2.resize(frame, (size[1], size[0]), dst=out, interpolation=method)
    return resized


def resize_points(points: ArrayLike, source: tuple[int, int], size: tuple[int, int]) -> NDArray[np.float32]:
    """Move points with the pixels of a resized image, whose corners, not whose pixel centres, stay corners.

    Args:
        points: (..., 2), pixels of an image of size `source`.
        source: (h, w).
        size: (H, W).

    Returns:
        (..., 2) float32, pixels of the resized image.
    """
    scale = np.array([size[1] / source[1], size[0] / source[0]])
    return ((np.asarray(points, dtype=np.float64) + 0.5) * scale - 0.5).astype(np.float32)


def _decode(recording: Recording, *, size: tuple[int, int], ordering: str | None) -> Decoded:
    """The samples of one recording."""
    decoded = Decoded()
    contours = [order_contour(tracing.coordinates, ordering) for tracing in recording.tracings]
    video = f"{VIDEOS}/{recording.path.name}"
    try:
        found, count = decode_frames(recording.path, [tracing.frame for tracing in recording.tracings])
        if not found and count == 0:
            raise DataError("holds no frame that can be decoded; replace the file")
    except DataError as error:
        decoded.faults.append(Fault(video, None, str(error).removeprefix(f"{recording.path}: ")))
        return decoded
    for tracing, contour, phase in zip(recording.tracings, contours, _name_phases(contours), strict=True):
        image = found.get(tracing.frame)
        reason = _why_useless(tracing, contour, image, count)
        if image is None or reason:
            decoded.faults.append(Fault(TRACINGS, tracing.row, f"frame {tracing.frame} of {recording.name} {reason}"))
            continue
        height, width = image.shape
        facts = {
            "video": recording.name,
            "frame": tracing.frame,
            "patient": recording.patient,
            "phase": phase,
            "split": recording.split,
            "row": tracing.row,
            "height": height,
            "width": width,
            "fps": recording.fps,
            "ef": recording.ef,
            "edv": recording.edv,
            "esv": recording.esv,
        }
        image = resize_frames(image[None], size)[0]
        decoded.samples.append(Sample(image, resize_points(contour, (height, width), size), facts))
    return decoded


def _name_phases(contours: list[NDArray[np.float32]]) -> list[str]:
    """ED for the larger and ES for the smaller of exactly two; else nobody knows."""
    areas = [float(contour_area(contour)) for contour in contours]
    if len(areas) != 2 or areas[0] == areas[1]:
        return [""] * len(areas)
    return ["ED", "ES"] if areas[0] > areas[1] else ["ES", "ED"]


def _why_useless(tracing: Tracing, contour: NDArray[np.float32], image: NDArray[np.uint8] | None, count: int) -> str:
    """What keeps a tracing from being used on its frame; "" if nothing does."""
    if image is None:
        return f"lies beyond the video's {count} frames" if tracing.frame >= count else "is damaged in the video"
    extent = np.array([image.shape[1], image.shape[0]], dtype=np.float32)
    if (contour < -extent).any() or (contour > 2 * extent).any():
        return f"has a point far outside its {extent[0]:.0f}×{extent[1]:.0f} pixels"
    if contour_area(np.clip(contour, -0.5, extent - 0.5)) == 0:
        return f"has a contour without area inside its {extent[0]:.0f}×{extent[1]:.0f} pixels"
    return ""
