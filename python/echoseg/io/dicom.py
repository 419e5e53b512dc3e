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
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from echoseg.errors import DataError
from echoseg.io.axes import described_axis3
from echoseg.io.clip import Clip, plausible_rate
from echoseg.io.dicom_file import count, first_item, is_dicom, naming_cause, numbers, raw_frames, rescaling
from echoseg.io.sector import box_of, find_sectors, middle_square, shares_in_common

if TYPE_CHECKING:
    from pydicom import Dataset

_ULTRASOUND = {f"1.2.840.10008.5.1.4.1.1.{number}" for number in ("3", "3.1", "6", "6.1")}
_ULTRASOUND_VOLUME = "1.2.840.10008.5.1.4.1.1.6.2"
_CENTIMETRES = 3  # code of the unit in a region
_MIN_OVERLAP = 0.5  # IoU of a sector and its region
_MIN_INSIDE = 0.8  # share of a sector that lies in its region, if it is narrower
_MIN_DEPTH = 0.5  # its height, as a share of that of the region


class _Region(NamedTuple):
    """A region of a frame that shows tissue: its box (top, left, bottom, right), and (row, column) mm per pixel."""

    box: tuple[float, ...]
    spacing: tuple[float, float]


def read_dicom(path: Path, axis3: str | None = None) -> Clip:
    """Read a cine or a single image; or the frames of an MR or CT file as a stack, if they are slices.

    The image of an ultrasound cine is the largest moving object that fits a region with tissue, in the Sequence of
    Ultrasound Regions, which also has the spacing. A region may refer to a screen of a different size than the frames;
    it is divided by an integer to fit them. If no region fits, the image is the largest moving object, and the spacing
    comes from Pixel Spacing.

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
        kind = str(data.get("SOPClassUID") or "")
        if kind == _ULTRASOUND_VOLUME:
            raise DataError("is an ultrasound volume, not a cine; export a cine of one view, or the volume as NIfTI")
        is_ultrasound = modality in ("US", "IVUS") or (modality in ("", "OT") and kind in _ULTRASOUND)
        if declared > 1 and not is_ultrasound and (axis3 or described_axis3(path)) != "time":
            from echoseg.io import multiframe  # it imports nibabel, which takes half a second

            if (stack := multiframe.read_slices(path, data)) is not None:
                return stack
        frames = np.stack(list(_grey_frames(raw_frames(data), data)))
        measures = first_item(first_item(data, "SharedFunctionalGroupsSequence"), "PixelMeasuresSequence")
        fps, spacing = _frame_rate(data), numbers(data, "PixelSpacing") or numbers(measures, "PixelSpacing")
        regions = _regions(data) if is_ultrasound else []
    declared = 0 if declared == len(frames) else declared
    clip_spacing = (spacing[0], spacing[1]) if len(spacing) == 2 and _are_lengths(spacing) else (np.nan, np.nan)
    if not is_ultrasound:
        return Clip(frames, fps, clip_spacing, np.nan, declared=declared)
    sector, region, note = _find_image(frames, regions)
    if sector is None:
        return Clip(frames, fps, clip_spacing, np.nan, declared=declared, note=note)
    frames *= sector
    clip_spacing = clip_spacing if region is None else region.spacing
    return Clip(frames, fps, clip_spacing, np.nan, middle_square(sector), declared, note)


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
                grey = np.interp(frame, limits or (0, np.inf), (0, 255)).round().astype(np.uint8)
            yield ~grey if kind == "MONOCHROME1" else grey
            continue
        colours = (frame >> max(0, bits - 8)).astype(np.uint8)
        yield cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY) if kind == "RGB" else np.ascontiguousarray(colours[..., 0])


def _window(data: Dataset, frame: np.ndarray) -> tuple[float, float] | None:
    """The stored values that map to black and white: from the header's window, else percentiles of a frame.

    None if the frame is needed and has a single value, as the first frames of a cine may have.
    """
    centre, width = numbers(data, "WindowCenter"), numbers(data, "WindowWidth")
    if not centre or not width or not width[0] > 1:
        if frame.min() == frame.max():
            return None
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


def _regions(data: Dataset) -> list[_Region]:
    """The regions with tissue that are measured in cm."""
    found = []
    for region in data.get("SequenceOfUltrasoundRegions") or ():
        kind = (region.get("RegionSpatialFormat"), region.get("RegionDataType"))
        units = (region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection"))
        deltas = [abs(sum(numbers(region, f"PhysicalDelta{axis}")[:1])) * 10 for axis in "YX"]
        names = ("MinY0", "MinX0", "MaxY1", "MaxX1")
        top, left, bottom, right = (count(region, f"RegionLocation{name}") for name in names)
        is_tissue = kind == (1, 1) and units == (_CENTIMETRES, _CENTIMETRES)
        if is_tissue and _are_lengths(deltas) and top < bottom and left < right:
            found.append(_Region((top, left, bottom + 1, right + 1), (deltas[0], deltas[1])))
    return found


def _find_image(
    frames: NDArray[np.uint8], regions: list[_Region]
) -> tuple[NDArray[np.uint8] | None, _Region | None, str]:
    """Find the image that the frames show.

    Args:
        frames: (T, H, W), grey.
        regions: The regions of the header, in pixels of the frames or of a larger screen.

    Returns:
        The mask of the image, (H, W), or None if nothing moves and no region has the size of the frames; the region
        that it lies in, in pixels of the frames, or None; and a note.
    """
    size = frames.shape[1:]
    sectors = find_sectors(frames)
    images = []
    for region in regions:
        # some regions name the first pixel beyond them
        scale = math.ceil(max((region.box[2] - 1) / size[0], (region.box[3] - 1) / size[1]))
        fitted = _Region(
            tuple(edge / scale for edge in region.box), (region.spacing[0] * scale, region.spacing[1] * scale)
        )
        inside = np.zeros(size, dtype=np.uint8)
        top, left, bottom, right = map(round, fitted.box)
        inside[top:bottom, left:right] = 1
        if sectors:
            images += [(sector & inside, fitted) for sector in sectors if _fits(box_of(sector), fitted.box)][:1]
        elif scale == 1:
            images.append((inside, fitted))
    if not images:
        sector = sectors[0] if sectors else None
        note = "nothing moves, so text in the picture was kept" if sector is None else ""
        if regions:
            note = "; ".join(filter(None, ("no ultrasound region of its header fits the image", note)))
        return sector, None, note
    image, region = max(images, key=lambda item: int(item[0].sum()))
    top, left, bottom, right = map(round, region.box)
    # a region may be listed twice, and regions side by side may share their edge
    others = [mask for mask, _ in images if (mask & image).sum() < 0.5 * mask.sum()]
    if not others:
        return image, region, ""
    place = f"columns {left} to {right - 1} and rows {top} to {bottom - 1}"
    return image, region, f"shows {1 + len(others)} images, of which the one in {place} was read"


def _fits(sector: tuple[int, ...], region: tuple[float, ...]) -> bool:
    """Whether the boxes of a sector and of a region agree, or the sector is narrower than the region, but as deep."""
    of_sector, of_region = shares_in_common(sector, region)
    depth = (sector[2] - sector[0]) / (region[2] - region[0])
    is_narrower = of_sector >= _MIN_INSIDE and depth >= _MIN_DEPTH
    return is_narrower or (min(of_sector, of_region) > 0 and 1 / (1 / of_sector + 1 / of_region - 1) >= _MIN_OVERLAP)


def _are_lengths(values: list[float]) -> bool:
    return all(0 < value < math.inf for value in values)
