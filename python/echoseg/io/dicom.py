"""Grey frames of a DICOM file: ultrasound cines, MR images.

In an ultrasound cine everything outside the sector is set to black: patient names, rulers and marks are burnt in there,
and a network would react to them. The frames keep the size they have in the file; ``Clip.square`` is the region to
segment. No text of the header is passed on.

These functions decode in the calling process. For untrusted files use `reading`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from echoseg.errors import DataError
from echoseg.io.axes import described_axis3
from echoseg.io.clip import Clip, plausible_rate
from echoseg.io.dicom_file import count, first_item, is_dicom, naming_cause, numbers, raw_frames, rescaling
from echoseg.io.sector import box_of, find_sector, middle_square, overlap_of_boxes

if TYPE_CHECKING:
    from pydicom import Dataset

_CENTIMETRES = 3  # code of the unit in a region
_MIN_OVERLAP = 0.5  # IoU of the region in the header with the sector found in the frames


def read_dicom(path: Path, axis3: str | None = None) -> Clip:
    """Read a cine or a single image; or the frames of an MR or CT file as a stack, if they are slices.

    The spacing comes from the Sequence of Ultrasound Regions, otherwise from Pixel Spacing. A region may refer to a
    screen of a different size than the frames. It is divided by an integer to fit them, and its spacing is used only
    if it overlaps with the sector found in the frames.

    Args:
        path: A DICOM file.
        axis3: "time" reads the frames in any case as a film; None takes it from a `dataset.json`.

    Raises:
        DataError: The file is damaged, declares a wrong size, or is compressed in a way that no installed decoder
            supports.
    """
    import pydicom

    with naming_cause(path):
        data = pydicom.dcmread(path, force=is_dicom(path))
        modality, declared = str(data.get("Modality") or ""), count(data, "NumberOfFrames", 1)
        if modality == "SEG":
            raise DataError("is a segmentation, not an image; give the images that it belongs to")
        is_ultrasound = modality in ("US", "IVUS")
        if declared > 1 and not is_ultrasound and (axis3 or described_axis3(path)) != "time":
            from echoseg.io import multiframe  # it imports nibabel, which takes half a second

            if (stack := multiframe.read_slices(path, data)) is not None:
                return stack
        frames = np.stack(list(_grey_frames(raw_frames(data), data)))
        measures = first_item(first_item(data, "SharedFunctionalGroupsSequence"), "PixelMeasuresSequence")
        fps, spacing = _frame_rate(data), numbers(data, "PixelSpacing") or numbers(measures, "PixelSpacing")
        region = _region(data) if is_ultrasound else None
    declared = 0 if declared == len(frames) else declared
    clip_spacing = (spacing[0], spacing[1]) if len(spacing) == 2 and _are_lengths(spacing) else (np.nan, np.nan)
    if not is_ultrasound:
        return Clip(frames, fps, clip_spacing, np.nan, declared=declared)
    sector = find_sector(frames)
    if region is not None:
        box, deltas = region
        sector, scale = _fit_region(sector, box, frames.shape[1:])
        clip_spacing = (deltas[0] * scale, deltas[1] * scale) if scale else clip_spacing
    if sector is None:
        return Clip(frames, fps, clip_spacing, np.nan, declared=declared)
    frames *= sector
    return Clip(frames, fps, clip_spacing, np.nan, middle_square(sector), declared)


def _grey_frames(frames: Iterator[tuple[np.ndarray, dict[str, Any]]], data: Dataset) -> Iterator[NDArray[np.uint8]]:
    from pydicom.pixels import apply_color_lut

    limits, depth = None, 0
    for frame, properties in frames:
        kind, bits = properties["photometric_interpretation"], properties["bits_stored"]
        if kind == "PALETTE COLOR":
            indices = np.arange(1 << min(16, 8 * frame.itemsize)).astype(frame.dtype)
            depth = depth or (16 if apply_color_lut(indices, data).max() > 255 else 8)  # declared 16 may be 8
            frame = apply_color_lut(frame, data)
            kind, bits = "RGB", depth
        if kind.startswith("MONOCHROME"):
            if frame.dtype == np.uint8:
                grey = frame
            else:
                limits = limits or _window(data, frame)
                grey = np.interp(frame, limits, (0, 255)).round().astype(np.uint8)
            yield ~grey if kind == "MONOCHROME1" else grey
            continue
        colours = (frame >> max(0, bits - 8)).astype(np.uint8)
        yield cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY) if kind == "RGB" else np.ascontiguousarray(colours[..., 0])


def _window(data: Dataset, frame: np.ndarray) -> tuple[float, float]:
    """The stored values that map to black and white: from the header's window, else percentiles of the first frame."""
    centre, width = numbers(data, "WindowCenter"), numbers(data, "WindowWidth")
    if not centre or not width or not width[0] > 1:
        low, high = np.percentile(frame, (0.5, 99.5))
        return float(low), float(max(high, low + 1))
    slope, intercept = rescaling(data)
    ends = np.array([-0.5, 0.5]) * (width[0] - 1)
    low, high = sorted((centre[0] - 0.5 + ends - intercept) / slope)
    return float(low), float(high)


def _frame_rate(data: Dataset) -> float:
    """Frames per second; nan if the header does not contain a plausible rate."""
    intervals = [interval for interval in numbers(data, "FrameTimeVector") if interval > 0]  # ms; the first is 0
    interval = float(np.median(intervals)) if intervals else next(iter(numbers(data, "FrameTime")), 0.0)
    rates = [1000 / interval] if interval > 0 else []
    for name in ("CineRate", "RecommendedDisplayFrameRate"):
        rates += numbers(data, name)
    return next((rate for rate in map(plausible_rate, rates) if rate > 0), np.nan)


def _region(data: Dataset) -> tuple[tuple[float, ...], tuple[float, float]] | None:
    """Box (top, left, bottom, right) and (row, column) mm per pixel of the largest tissue region measured in cm."""
    found = []
    for region in data.get("SequenceOfUltrasoundRegions") or ():
        kind = (region.get("RegionSpatialFormat"), region.get("RegionDataType"))
        units = (region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection"))
        deltas = [abs(sum(numbers(region, f"PhysicalDelta{axis}")[:1])) * 10 for axis in "YX"]
        names = ("MinY0", "MinX0", "MaxY1", "MaxX1")
        top, left, bottom, right = (count(region, f"RegionLocation{name}") for name in names)
        is_tissue = kind == (1, 1) and units == (_CENTIMETRES, _CENTIMETRES)
        if is_tissue and _are_lengths(deltas) and top < bottom and left < right:
            found.append(((top, left, bottom + 1, right + 1), (deltas[0], deltas[1])))
    return max(found, key=lambda item: (item[0][2] - item[0][0]) * (item[0][3] - item[0][1]), default=None)


def _fit_region(
    sector: NDArray[np.uint8] | None, box: tuple[float, ...], size: tuple[int, ...]
) -> tuple[NDArray[np.uint8] | None, int]:
    """The part of the sector inside the region, and the number of screen pixels per frame pixel.

    That number is 0 if the region and the sector do not overlap enough, or if there is no sector and the region refers
    to a larger screen.
    """
    scale = int(np.ceil(max((box[2] - 1) / size[0], (box[3] - 1) / size[1])))  # some name the first pixel beyond it
    box = tuple(edge / scale for edge in box)
    inside = np.zeros(size, dtype=np.uint8)
    inside[round(box[0]) : round(box[2]), round(box[1]) : round(box[3])] = 1
    if sector is None:
        return (inside, 1) if scale == 1 else (None, 0)
    if overlap_of_boxes(box_of(sector), box) < _MIN_OVERLAP:
        return sector, 0
    return sector & inside, scale


def _are_lengths(values: list[float]) -> bool:
    return all(0 < value < math.inf for value in values)
