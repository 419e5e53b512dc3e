"""Single images: PNG, JPEG, BMP and TIFF, read as grey values of 8 or 16 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from echoseg.errors import DataError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


def is_image(path: Path) -> bool:
    """Whether a file name has the suffix of a supported image format."""
    return path.name.lower().endswith(IMAGE_SUFFIXES)


def read_image(path: Path) -> NDArray[Any]:
    """Read an image in the calling process; colours are converted to grey.

    Returns:
        (H, W) grey values, of the dtype in the file.

    Raises:
        DataError: The file is missing or damaged.
    """
    return _read(path, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION)


def read_stored(path: Path) -> NDArray[Any]:
    """Read the stored values of an image in the calling process.

    Returns:
        (H, W) or (H, W, C), of the dtype in the file; channels in the order of OpenCV.

    Raises:
        DataError: The file is missing or damaged.
    """
    return _read(path, cv2.IMREAD_UNCHANGED)


def _read(path: Path, flags: int) -> NDArray[Any]:
    try:
        data = np.frombuffer(path.read_bytes(), dtype=np.uint8)
        image = cv2.imdecode(data, flags) if data.size else None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except cv2.error:
        image = None
    if image is None:
        raise DataError(f"{path}: cannot be opened as an image; replace the file")
    return np.asarray(image)
