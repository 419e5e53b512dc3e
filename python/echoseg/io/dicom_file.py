"""What all readers of DICOM share: how a file is known, its header's values, its stored frames, and what it lacks.

No text of the header is passed on but by `read_header`. These functions decode in the calling process. For untrusted
files use `reading`.
"""

from __future__ import annotations

import contextlib
import math
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from echoseg.errors import DataError
from echoseg.io.clip import MAX_BYTES, MAX_PIXELS

if TYPE_CHECKING:
    from pydicom import Dataset

_IDENTIFYING = 0x0008  # the group of elements with which a header starts
_MAX_FIRST_ELEMENT = 0x0018
_VALUE = rb"(AE|AS|AT|CS|DA|DS|DT|IS|LO|LT|OB|OW|PN|SH|SQ|ST|TM|UI|UL|US)"
_EXPLICIT = re.compile(rb"([\2\x08]\0[\0-\x20]\0|\0[\2\x08]\0[\0-\x20])" + _VALUE, re.DOTALL)
HEADER_ELEMENTS = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality"),
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("AccessionNumber", "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
    *("Rows", "Columns", "NumberOfFrames", "FrameOfReferenceUID", "PositionReferenceIndicator"),
    *("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
)
"""What an object that refers to an image repeats of its header."""


def is_dicom(path: Path) -> bool:
    """Whether a file exists and is DICOM by its content: it has the DICOM prefix, or starts with elements of a header.

    Files without the prefix come from old devices, and from programs that remove it.
    """
    try:
        if not path.is_file():  # opening a pipe would block
            return False
        with path.open("rb") as file:
            head = file.read(256)
    except OSError:
        return False
    return head[128:132] == b"DICM" or _EXPLICIT.match(head) is not None or _starts_implicit(head)


def _starts_implicit(head: bytes) -> bool:
    """Whether bytes are two header elements of group 8 without value representations, the second after the first."""
    if len(head) < 8:
        return False
    group, element, length = struct.unpack_from("<HHI", head)
    if group != _IDENTIFYING or element > _MAX_FIRST_ELEMENT or length % 2 or 8 + length + 8 > len(head):
        return False
    following, next_element, next_length = struct.unpack_from("<HHI", head, 8 + length)
    return following == group and next_element > element and next_length % 2 == 0


def read_header(path: Path) -> dict[str, Any]:
    """Read the elements `HEADER_ELEMENTS` of a header that have a value, in the JSON model of DICOM.

    Raises:
        DataError: The file is damaged.
    """
    import pydicom

    with naming_cause(path):
        data = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(HEADER_ELEMENTS), force=is_dicom(path))
        return {
            tag: element
            for tag, element in data.to_json_dict(suppress_invalid_tags=True).items()
            if element.get("Value")
        }


def first_item(data: Dataset | None, name: str) -> Dataset | None:
    """The first item of a sequence in a header; None if there is none."""
    items = None if data is None else data.get(name)
    return items[0] if items else None


def numbers(data: Dataset | None, name: str) -> list[float]:
    """The numbers in a header element; empty if it is missing.

    Raises:
        DataError: It holds something else. The message lacks the file's name.
    """
    try:
        value = None if data is None else data.get(name)
        if value in (None, ""):
            return []
        return [float(item) for item in ([value] if isinstance(value, (str, int, float)) else value)]
    except Exception:  # pydicom converts values when they are used, with exceptions of many types
        raise DataError(f"its header has an invalid {name}; correct it, or export the file again") from None


def count(data: Dataset, name: str, default: int = 0) -> int:
    """The first number in a header element as a whole number; the default if it is missing or 0.

    Raises:
        DataError: It is no finite number. The message lacks the file's name.
    """
    value = next(iter(numbers(data, name)), 0.0) or default
    if not math.isfinite(value):
        raise DataError(f"its header has an invalid {name}; correct it, or export the file again")
    return int(value)


def rescaling(data: Dataset) -> tuple[float, float]:
    """The slope and the intercept by which stored values become values of the modality; 1 and 0 if missing."""
    slope, intercept = numbers(data, "RescaleSlope"), numbers(data, "RescaleIntercept")
    return (slope[0] if slope and slope[0] else 1.0), (intercept[0] if intercept else 0.0)


def raw_frames(data: Dataset) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """Decode the frames of a file: all that it holds, which may be more or fewer than its header declares.

    Args:
        data: The data set of the file.

    Yields:
        The stored values of each frame, (H, W) or (H, W, 3), and the properties that pydicom's decoder reports.

    Raises:
        DataError: The file contains no whole image, declares a wrong size, or is compressed in a way that no installed
            decoder supports. The message lacks the file's name.
    """
    from pydicom.pixels import get_decoder

    if "FloatPixelData" in data or "DoubleFloatPixelData" in data:
        raise DataError("its pixels are floating-point numbers, which are not read; export it with whole numbers")
    if "PixelData" not in data:
        raise DataError("contains no image, or is cut off before it; give another file")
    rows, columns, declared = count(data, "Rows"), count(data, "Columns"), count(data, "NumberOfFrames", 1)
    if not 0 < rows * columns <= MAX_PIXELS or not 0 < declared * rows * columns <= MAX_BYTES:
        raise DataError(
            f"declares {declared} frames of {columns}×{rows} pixels; expected 1 to {MAX_PIXELS} pixels per frame and "
            f"at most {MAX_BYTES >> 30} GiB; split the file, or replace it"
        )
    syntax = _transfer_syntax(data)
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:  # pydicom has no decoder for this compression
        name = "an unknown transfer syntax" if syntax.name == syntax else syntax.name  # an unknown one is free text
        raise DataError(f"is compressed as {name}, which is not supported; convert it to JPEG or MP4") from None
    if not decoder.is_available:
        raise DataError(f"is compressed as {syntax.name}; pip install pylibjpeg pylibjpeg-libjpeg")
    if not decoder.is_encapsulated:
        _declare_whole_frames(data, rows * columns)
    number = 0
    for number, frame in enumerate(decoder.iter_array(data, raw=True), 1):
        if number * rows * columns > MAX_BYTES:
            raise DataError(f"contains more than {MAX_BYTES >> 30} GiB of frames; split the file")
        yield frame
    if not number:
        raise DataError("contains no whole frame; replace the file")


def _transfer_syntax(data: Dataset) -> Any:
    """The encoding of the pixels: as the header declares, else that in which pydicom found the header."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    declared = data.file_meta.get("TransferSyntaxUID") if hasattr(data, "file_meta") else None
    if declared:
        return declared
    if data["PixelData"].is_undefined_length:
        raise DataError("its header does not say how the pixels are compressed; export it again")
    implicit, little = data.original_encoding
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _declare_whole_frames(data: Dataset, pixels: int) -> None:
    """Make a header without compression declare no more frames than the file holds; pydicom adds those beyond.

    Of `YBR_FULL_422`, in which two pixels share their colour, the brightness is kept; pydicom decodes only the first
    two thirds of such frames. Source: DICOM PS3.3, C.7.6.3.1.2.
    """
    stored, declared = data.PixelData, count(data, "NumberOfFrames", 1)
    if data.PhotometricInterpretation == "YBR_FULL_422":
        if len(stored) // (3 * pixels) >= declared:  # as long as without shared colours
            data.PhotometricInterpretation = "YBR_FULL"
        else:
            values = np.frombuffer(stored[: len(stored) // 4 * 4], np.uint8).reshape(-1, 4)
            data.PixelData = stored = values[:, :2].tobytes()
            data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    held = 8 * len(stored) // (pixels * int(data.SamplesPerPixel) * int(data.BitsAllocated))
    if not held:
        raise DataError("contains no whole frame; replace the file")
    data.NumberOfFrames = min(held, declared)


@contextlib.contextmanager
def naming_cause(path: Path) -> Iterator[None]:
    """Turn exceptions of pydicom and its decoders, which are of many types, into a `DataError` with the cause.

    The text of an exception may quote the header, so only the element that it names is passed on.
    """
    from pydicom.errors import InvalidDicomError

    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except InvalidDicomError:
        raise DataError(
            f"{path}: has no DICOM header; rename it if it is of another type, or export it again"
        ) from None
    except NotImplementedError:  # values of so many bits that NumPy has no type for them, or such a palette
        raise DataError(f"{path}: its pixels are of a kind that is not supported; export it as MP4 or PNG") from None
    except RuntimeError as error:  # each decoder's message; those of other exceptions quote the header
        raise DataError(f"{path}: no decoder can read its frames ({_one_line(error)}); export it again") from None
    except Exception as error:
        raise DataError(f"{path}: {_describe_failure(error)}") from None


def _describe_failure(error: Exception) -> str:
    """The cause and the cure, without any text of the header."""
    from pydicom.datadict import keyword_for_tag, tag_for_keyword

    tag = re.search(r"\(([0-9A-Fa-f]{4}),\s?([0-9A-Fa-f]{4})\)", str(error))
    attribute = re.search(r"has no attribute '(\w+)'", str(error))
    keyword = keyword_for_tag(int(tag[1] + tag[2], 16)) if tag else attribute[1] if attribute else ""
    if keyword and tag_for_keyword(keyword) is not None:
        return f"its header has no valid {keyword}; correct it, or export the file again"
    if isinstance(error, (EOFError, struct.error)):
        return "is cut off; copy it again, or export it again"
    return f"its header or its pixels cannot be decoded ({type(error).__name__}); export it again"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
