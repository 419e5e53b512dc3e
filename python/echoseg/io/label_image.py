"""Masks in image files: stored values, not what a viewer shows.

A label is the index of a palette, a grey value, or a colour. Palettes, the number of bits and the meaning of black in a
TIFF only say how labels are shown. EXIF orientation is ignored, as it is for the image of a mask.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from echoseg.errors import DataError
from echoseg.io import image

COLOUR = 1 << 24
"""The label of a colour is this number plus 0xRRGGBB; a grey is its grey value."""

_MIN_WHITE, _PHOTOMETRIC = 0, 262  # a TIFF tag
_MAX_COLOURS = 64  # more colours come from soft edges
_MIN_BRIGHTNESS, _MAX_HUE_DIFFERENCE = 128, 0.25


def read_palette(path: Path) -> NDArray[np.int32]:
    """Read the colours of a palette, as labels, in the calling process: (P,), empty without a palette.

    Raises:
        DataError: The file is animated.
    """
    with _opened(path) as opened:
        return np.empty(0, np.int32) if opened is None or opened.mode != "P" else _palette(opened)


def read_labels(path: Path, *, by_colour: bool = False) -> NDArray[Any]:
    """Read a mask in the calling process.

    Args:
        path: The file.
        by_colour: Whether the colours of a palette are labels, not its indices.

    Returns:
        (T, H, W) labels of the pages that have the size of the first one.

    Raises:
        DataError: The file is missing or damaged, is animated, or its colours are no labels.
    """
    stored = cache(partial(image.read_stored, path))
    with _opened(path) as opened:
        pages = [
            _read_page(path, opened, number, stored, by_colour=by_colour)
            for number in range(getattr(opened, "n_frames", 1))
        ]
    return np.stack([page for page in pages if page.shape == pages[0].shape])


def _read_page(
    path: Path, opened: Any, number: int, stored: Callable[[], list[NDArray[Any]]], *, by_colour: bool
) -> NDArray[Any]:
    """(H, W) labels of a page of the opened image; `stored` gives the values of all pages."""
    is_min_white, bits = False, 8
    if opened is not None:
        opened.seek(number)
        if opened.mode == "P":
            indices = _load(path, opened)
            return _palette(opened)[indices] if by_colour else indices
        is_min_white = opened.mode == "L" and getattr(opened, "tag_v2", {}).get(_PHOTOMETRIC) == _MIN_WHITE
        bits = _grey_bits(path) if opened.format == "PNG" else 8
    if number >= len(stored()):
        raise DataError(f"{path}: page {number + 1} cannot be read; replace the file")
    values = stored()[number]
    if values.ndim == 3:
        return _from_colours(path, values, number)
    if is_min_white and values.dtype == np.uint8:
        return 255 - values
    return values // (255 // (2**bits - 1)) if bits < 8 else values


def label_name(label: float) -> str:
    """The name of a label in messages and in `dataset.json`: "3", or "#ff0000" for a colour."""
    return f"#{int(label) - COLOUR:06x}" if label >= COLOUR else f"{label:g}"


def label_of_colour(name: str) -> int:
    """The label of a colour "#rrggbb".

    Raises:
        ValueError: It is not such a name.
    """
    if len(name) != 7 or not name.startswith("#"):
        raise ValueError(f"{name!r} is not a colour such as #ff0000")
    rgb = int(name[1:], 16)
    return int(_colour_labels(np.array([[rgb >> 16, rgb >> 8 & 255, rgb & 255]]))[0])


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The image as Pillow opens it, or None: OpenCV reads other files, or says that it cannot."""
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context(Image.open(path))
            pages = getattr(opened, "n_frames", 1)
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            opened, pages = None, 1
        if opened is not None and pages > 1 and opened.format != "TIFF":
            raise DataError(f"{path}: is an animation of {pages} frames; save each as a file, or all as .nii.gz")
        yield opened


def _load(path: Path, opened: Any) -> NDArray[Any]:
    """The pixels of the current page.

    Raises:
        DataError: It is damaged.
    """
    try:
        return np.asarray(opened)
    except (OSError, ValueError, SyntaxError):
        raise DataError(f"{path}: is damaged or cut off; replace the file") from None


def _palette(opened: Any) -> NDArray[np.int32]:
    """(256,) the labels of a palette's colours; black where it has none."""
    rgb = np.zeros((256, 3), np.int32)
    colours = np.array(opened.getpalette("RGB"), np.int32).reshape(-1, 3)
    rgb[: len(colours)] = colours
    return _colour_labels(rgb)


def _grey_bits(path: Path) -> int:
    """The bits of a grey value in a PNG file; 8 for colours and for more than 8 bits."""
    with path.open("rb") as file:
        header = file.read(26)
    return header[24] if header[25:26] == b"\0" and header[24] in (1, 2, 4) else 8


def _colour_labels(rgb: NDArray[Any]) -> NDArray[np.int32]:
    """The labels of colours, (..., 3) of 0 to 255."""
    red, green, blue = np.moveaxis(rgb.astype(np.int32), -1, 0)
    is_grey = (red == green) & (green == blue)
    return np.where(is_grey, red, COLOUR | red << 16 | green << 8 | blue).astype(np.int32)


def _from_colours(path: Path, values: NDArray[Any], page: int) -> NDArray[Any]:
    """(H, W) the labels of a page with 3 channels, or 4 with alpha, in the order of OpenCV."""
    colours, alpha = values[..., 2::-1], values[..., 3] if values.shape[2] > 3 else None
    is_grey = bool((colours == colours[..., :1]).all())
    if values.dtype != np.uint8 and not is_grey:
        raise DataError(f"{path}: holds colours of {values.dtype}; save the labels as an image of 8 bits")
    labels = colours[..., 0] if is_grey else _reduce_colours(path, colours, page)
    if alpha is None or (alpha == alpha.flat[0]).all():
        return labels
    visible = alpha > alpha.max() / 2
    if not labels[visible].any():  # black on transparent: the mask is in alpha
        return visible.astype(np.uint8) * 255
    return np.where(visible, labels, 0)


def _reduce_colours(path: Path, colours: NDArray[Any], page: int) -> NDArray[Any]:
    labels = _colour_labels(colours)
    if len(np.unique(labels)) <= _MAX_COLOURS:
        return labels
    brightness = colours.max(axis=2)
    is_bright = brightness > _MIN_BRIGHTNESS
    if is_bright.any():
        hues = colours / np.maximum(brightness, 1)[..., None]
        is_same = (np.abs(hues - np.median(hues[is_bright], axis=0)) <= _MAX_HUE_DIFFERENCE).all(axis=2)
        is_inner = cv2.erode(is_bright.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    if is_bright.any() and is_same[is_bright].mean() > 0.95 and is_same[is_inner].all():
        luma = image.read_pages(path).pixels[page]  # of a JPEG, the brightness has sharper edges than the colours
        return np.asarray(np.rint(luma * (255 / np.median(luma[is_bright]))).clip(0, 255).astype(np.uint8))
    raise DataError(
        f"{path}: its edges mix the colours of several labels, as JPEG and smoothing do; save the labels as PNG, "
        "without smoothing"
    )
