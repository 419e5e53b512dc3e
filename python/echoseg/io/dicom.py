"""Frames of a DICOM file, in grey: ultrasound cines, MR images.

Of an ultrasound cine only the sector is kept and all around it is black: names, rulers and marks are burnt in there,
and a network would look at them. The frames keep the file's own size; ``Clip.square`` names the part to segment. No
text of the header goes anywhere.

These functions decode in the process that calls them. For files of strangers use those of `reading`.
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
from echoseg.io.clip import MAX_BYTES, MAX_PIXELS, Clip
from echoseg.io.sector import box_of, find_sector, middle_square, overlap_of_boxes

if TYPE_CHECKING:
    from pydicom import Dataset

_CM = 3  # the code of the unit in a region
_AGREE = 0.5  # overlap of the region that the header tells with the sector that is seen


def is_dicom(path: Path) -> bool:
    """Whether a file is there and bears DICOM's mark."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read_dicom(path: Path) -> Clip:
    """Read a cine or a single image.

    The spacing is that of the Sequence of Ultrasound Regions, or else Pixel Spacing. A region may refer to a screen of
    another size than the file's frames: it is brought to their size by a whole number, and is believed only where it
    agrees with the sector that is seen.

    Args:
        path: A DICOM file.

    Raises:
        DataError: The file is damaged, lies about its size, or is compressed in a way that no installed decoder knows.
    """
    import pydicom

    try:
        data = pydicom.dcmread(path)
        frames = _read_grey(data)
        fps, spacing = _frame_rate(data), _floats(data.get("PixelSpacing"))
        region = _region(data) if data.get("Modality") in ("US", "IVUS") else None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except Exception as error:  # pydicom and its decoders raise whatever a damaged file leads to
        words = str(error) if isinstance(error, RuntimeError) else ""  # others quote the header
        cause = " ".join(words.split()) or type(error).__name__
        raise DataError(f"{path}: damaged DICOM file ({cause}); replace the file") from None
    clip_spacing = (spacing[0], spacing[1]) if len(spacing) == 2 and _are_lengths(spacing) else (np.nan, np.nan)
    if data.get("Modality") not in ("US", "IVUS"):
        return Clip(frames, fps, clip_spacing, np.nan)
    sector = find_sector(frames)
    if region is not None:
        box, deltas = region
        sector, believed = _fit_region(sector, box, frames.shape[1:])
        clip_spacing = (deltas[0] * believed, deltas[1] * believed) if believed else clip_spacing
    if sector is None:
        return Clip(frames, fps, clip_spacing, np.nan)
    frames *= sector
    return Clip(frames, fps, clip_spacing, np.nan, middle_square(sector))


def _read_grey(data: Dataset) -> NDArray[np.uint8]:
    """(T, H, W)"""
    from pydicom.pixels import get_decoder

    if "PixelData" not in data:
        raise DataError("holds no pictures; give another file")
    rows, columns = int(data.get("Rows") or 0), int(data.get("Columns") or 0)
    count = int(data.get("NumberOfFrames") or 1)
    if not 0 < rows * columns <= MAX_PIXELS or not 0 < count * rows * columns <= MAX_BYTES:
        raise DataError(f"tells of {count} frames of {columns}×{rows} pixels, which is not believed; replace the file")
    syntax = data.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:  # what pydicom raises for a compression that none of its decoders knows
        name = "nobody knows" if syntax.name == syntax else syntax.name  # who is unknown may have any text
        raise DataError(f"is compressed as {name}, which cannot be read; convert it to JPEG or MP4") from None
    if not decoder.is_available:
        raise DataError(f"is compressed as {syntax.name}; pip install pylibjpeg pylibjpeg-libjpeg")
    frames = list(_grey_frames(decoder.iter_array(data, raw=True), data))
    if len(frames) < count:
        raise DataError(f"holds {len(frames)} of {count} frames; replace the file")
    return np.stack(frames)


def _grey_frames(frames: Iterator[tuple[np.ndarray, dict[str, Any]]], data: Dataset) -> Iterator[NDArray[np.uint8]]:
    from pydicom.pixels import apply_color_lut

    limits = None
    for frame, facts in frames:
        kind, bits = facts["photometric_interpretation"], facts["bits_stored"]
        if kind == "PALETTE COLOR":
            frame = apply_color_lut(frame, data)
            kind, bits = "RGB", 8 * frame.itemsize
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
    """The stored values that become black and white: by the header's window, else by the first frame's percentiles."""
    centre, width = _floats(data.get("WindowCenter")), _floats(data.get("WindowWidth"))
    if not centre or not width or not width[0] > 1:
        low, high = np.percentile(frame, (0.5, 99.5))
        return float(low), float(max(high, low + 1))
    slope, intercept = float(data.get("RescaleSlope") or 1), float(data.get("RescaleIntercept") or 0)
    reach = np.array([-0.5, 0.5]) * (width[0] - 1)
    low, high = sorted((centre[0] - 0.5 + reach - intercept) / slope)
    return float(low), float(high)


def _frame_rate(data: Dataset) -> float:
    """Frames a second; nan where the header does not tell."""
    waits = [wait for wait in _floats(data.get("FrameTimeVector")) if wait > 0]  # ms; the first is 0
    wait = float(np.median(waits)) if waits else next(iter(_floats(data.get("FrameTime"))), 0.0)
    rates = [1000 / wait] if wait > 0 else []
    for name in ("CineRate", "RecommendedDisplayFrameRate"):
        rates += _floats(data.get(name))
    return next((rate for rate in rates if 1 <= rate <= 1000), np.nan)


def _region(data: Dataset) -> tuple[tuple[float, ...], tuple[float, float]] | None:
    """Box (top, left, bottom, right) and (row, column) mm a pixel of the largest grey picture measured in cm."""
    found = []
    for region in data.get("SequenceOfUltrasoundRegions") or ():
        kind = (region.get("RegionSpatialFormat"), region.get("RegionDataType"))
        units = (region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection"))
        deltas = [abs(float(region.get(f"PhysicalDelta{axis}") or 0)) * 10 for axis in "YX"]
        names = ("MinY0", "MinX0", "MaxY1", "MaxX1")
        top, left, bottom, right = (float(region.get(f"RegionLocation{name}") or 0) for name in names)
        if kind == (1, 1) and units == (_CM, _CM) and _are_lengths(deltas) and top < bottom and left < right:
            found.append(((top, left, bottom + 1, right + 1), (deltas[0], deltas[1])))
    return max(found, key=lambda one: (one[0][2] - one[0][0]) * (one[0][3] - one[0][1]), default=None)


def _fit_region(
    sector: NDArray[np.uint8] | None, box: tuple[float, ...], size: tuple[int, ...]
) -> tuple[NDArray[np.uint8] | None, int]:
    """The part of the sector inside the region, and how many of the region's pixels one of the frame's holds.

    Where region and sector do not agree, or only a region of another size tells of a sector, that number is 0.
    """
    times = int(np.ceil(max(box[2] / size[0], box[3] / size[1])))
    box = tuple(edge / times for edge in box)
    inside = np.zeros(size, dtype=np.uint8)
    inside[round(box[0]) : round(box[2]), round(box[1]) : round(box[3])] = 1
    if sector is None:
        return (inside, 1) if times == 1 else (None, 0)
    if overlap_of_boxes(box_of(sector), box) < _AGREE:
        return sector, 0
    return sector & inside, times


def _are_lengths(values: list[float]) -> bool:
    return all(0 < value < math.inf for value in values)


def _floats(value: Any) -> list[float]:
    """One value, several or none of a header, as numbers."""
    if value in (None, ""):
        return []
    values = [value] if isinstance(value, (str, int, float)) else value
    return [float(one) for one in values]
