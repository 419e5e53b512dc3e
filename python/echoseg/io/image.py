"""Images: PNG, JPEG, TIFF and so on, read as grey values of the depth in the file; with their pages or frames.

The pixels are read as stored. A tag that asks viewers to turn the image (EXIF orientation) is not obeyed, since
programs that draw masks obey it or not; it is reported.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from echoseg.errors import DataError
from echoseg.io.axes import OVERRULE, described_axis3
from echoseg.io.clip import MAX_BYTES
from echoseg.io.file_types import IMAGE_SUFFIXES
from echoseg.io.tiff import PageAxes, count_pages, read_page_axes

_STORED = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
_ORIENTATION = 274  # tag
_GREY_MODES = ("L", "I", "F", "I;16", "I;16B", "I;16L")  # of Pillow
_MAX_BEFORE_ANIMATION = 1 << 16  # bytes of a PNG before the chunk that declares an animation
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SIGNATURES = (
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"BM",
    *_TIFF,
    b"GIF8",
    b"RIFF",
    b"P5",
    b"P6",
    b"P2",
    b"P3",
    b"\0\0\0\x0cjP",
)
_AS_STORED: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: np.fliplr,
    3: lambda shown: np.rot90(shown, 2),
    4: np.flipud,
    5: lambda shown: shown.swapaxes(0, 1),
    6: np.rot90,
    7: lambda shown: np.rot90(shown, 2).swapaxes(0, 1),
    8: lambda shown: np.rot90(shown, -1),
}
"""Orientation → the function that undoes it."""


class Pages(NamedTuple):
    """The pages or frames of an image file.

    Attributes:
        pixels: (T, H, W) grey values, of the dtype in the file.
        fps: Frames or time points per second; nan if unknown.
        note: What a user should know about the file; "" if nothing.
        spacing: (row, column) mm per pixel; nan if unknown.
        thickness: Distance between slices in mm, nan if the pages are time points.
        time_points: The number of time points of a stack; see `echoseg.io.clip.Clip`.
    """

    pixels: NDArray[Any]
    fps: float
    note: str
    spacing: tuple[float, float] = (np.nan, np.nan)
    thickness: float = np.nan
    time_points: int = 1


def is_image(path: Path) -> bool:
    """Whether a file name has the suffix of a supported image format."""
    return path.name.lower().endswith(IMAGE_SUFFIXES)


def read_pages(path: Path, axis3: str | None = None) -> Pages:
    """Read the pages of a TIFF, the frames of an animation, or one image, in the calling process.

    Args:
        path: The file.
        axis3: "time" or "slices": what the pages of a TIFF are. None takes it from a `dataset.json`, or from the file,
            see `tiff`; else they are time points.

    Raises:
        DataError: The file is missing or damaged, or its pages are channels.
    """
    content = _read_bytes(path)
    data = np.frombuffer(content, dtype=np.uint8)
    images = _decode(content, data)
    is_turned = content.startswith(_TIFF) and bool(images)  # OpenCV turns these in any case
    images = images or _decode_by_pillow(content)
    if not images:
        raise DataError(f"{path}: {_describe_failure(content)}")
    _check_count(path, content, len(images))
    notes = []
    orientation = _orientation(content)
    if orientation in _AS_STORED:
        notes.append(f"the pixels are read as stored, although a tag asks to turn them (orientation {orientation})")
        if is_turned:
            images = [_AS_STORED[orientation](image) for image in images]
    alike = [image for image in images if (image.shape, image.dtype) == (images[0].shape, images[0].dtype)]
    if len(alike) < len(images):
        notes.append(f"{len(images) - len(alike)} of its {len(images)} pages have another size and are left out")
    if sum(image.nbytes for image in alike) > MAX_BYTES:
        raise DataError(f"{path}: contains more than {MAX_BYTES >> 30} GiB of pixels; split the file")
    pages = Pages(np.stack(alike), np.nan, "; ".join(notes))
    if len(alike) > 1 and not content.startswith(_TIFF):
        return pages._replace(fps=_rate(data))
    return _with_axes(path, pages, read_page_axes(content), axis3) if content.startswith(_TIFF) else pages


def _with_axes(path: Path, pages: Pages, axes: PageAxes, axis3: str | None) -> Pages:
    """The pages of a TIFF as slices, time points or both."""
    count = len(pages.pixels)
    pages = pages._replace(spacing=axes.spacing, fps=axes.fps)
    if count < axes.images:
        raise DataError(
            f"{path}: has {count} of the {axes.images} images that it declares, as ImageJ writes files above 4 GB; save"
            " it as .nii.gz, or in parts"
        )
    if count == 1:
        return pages._replace(fps=np.nan)
    axis3 = axis3 or described_axis3(path)
    numbers = (axes.channels, axes.slices, axes.time_points)
    is_described = min(numbers) > 0 and math.prod(numbers) == count
    if is_described and axes.channels > 1:
        raise DataError(f"{path}: its {count} pages are {axes.channels} channels of each image; save one channel")
    if is_described and min(axes.slices, axes.time_points) > 1 and axes.is_time_first:
        raise DataError(f"{path}: its pages are all time points of each slice in turn; save it as .nii.gz")
    if axis3 is None and not is_described:
        guess = f"its {count} pages are taken for time points, since it does not call them slices"
        return pages._replace(note="; ".join(filter(None, (pages.note, guess, OVERRULE.format("slices")))))
    slices, time_points = (axes.slices, axes.time_points) if axis3 is None else (count, 1)
    if axis3 == "time" or slices == 1:
        return pages
    thickness = axes.thickness
    if not thickness > 0:
        thickness = 1.0
        pages = pages._replace(note="; ".join(filter(None, (pages.note, "its slices are taken to be 1 mm apart"))))
    return pages._replace(thickness=thickness, time_points=time_points, fps=axes.fps if time_points > 1 else np.nan)


def read_stored(path: Path) -> list[NDArray[Any]]:
    """Read the stored values of an image, or of the pages of a TIFF, in the calling process.

    Returns:
        (H, W) or (H, W, C) each, of the dtype in the file; channels in the order of OpenCV.

    Raises:
        DataError: The file is missing or damaged.
    """
    content = _read_bytes(path)
    images = _decode(content, np.frombuffer(content, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if not images:
        raise DataError(f"{path}: {_describe_failure(content)}")
    _check_count(path, content, len(images))
    turned = content.startswith(_TIFF) and _AS_STORED.get(_orientation(content))
    return [np.asarray(turned(image) if turned else image) for image in images]


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None


def _decode(content: bytes, data: NDArray[np.uint8], flags: int = _STORED) -> list[NDArray[Any]]:
    """The pages or frames; empty if the content cannot be decoded."""
    try:
        if content.startswith((*_TIFF, b"GIF8", b"RIFF")) or b"acTL" in content[:_MAX_BEFORE_ANIMATION]:
            return [np.asarray(image) for image in cv2.imdecodemulti(data, flags)[1]]
        image = cv2.imdecode(data, flags) if data.size else None
    except cv2.error:
        return []
    return [] if image is None else [np.asarray(image)]


def _decode_by_pillow(content: bytes) -> list[NDArray[Any]]:
    """The pages in grey of an image that OpenCV cannot decode; empty if Pillow cannot either."""
    from PIL import Image, ImageSequence

    try:
        with Image.open(io.BytesIO(content)) as image:
            return [
                np.asarray(page if page.mode in _GREY_MODES else page.convert("L"))
                for page in ImageSequence.Iterator(image)
            ]
    except Exception:  # Pillow raises exceptions of many types for damaged files
        return []


def _check_count(path: Path, content: bytes, decoded: int) -> None:
    """Refuse a TIFF of which not all pages could be decoded.

    Raises:
        DataError: The file is cut off, or a page is damaged.
    """
    if content.startswith(_TIFF) and (pages := count_pages(content)) != decoded:
        number = "some" if pages is None else pages - decoded
        raise DataError(f"{path}: {number} of its pages are missing or damaged; copy the file again, or replace it")


def _describe_failure(content: bytes) -> str:
    if not content:
        return "is empty; replace the file"
    if content.startswith(_SIGNATURES):
        return "is damaged, or an image of a kind that is not supported; save it again as PNG, or replace the file"
    return "cannot be opened as an image; convert it to PNG, or rename it if it is of another type"


def _orientation(content: bytes) -> int:
    """The EXIF orientation; 1 if there is none."""
    if not content.startswith(_TIFF) and b"exif" not in content.lower():
        return 1
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "TIFF", "WEBP")) as image:
            return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # Pillow raises exceptions of many types for damaged files
        return 1


def _rate(data: NDArray[np.uint8]) -> float:
    try:
        _, animation = cv2.imdecodeanimation(data[None])  # a column is refused for WebP
        milliseconds = float(np.median(animation.durations))
    except (cv2.error, ValueError):
        return np.nan
    return 1000 / milliseconds if milliseconds >= 1 else np.nan
