"""Single pictures: PNG, JPEG, BMP, TIFF, in grey of 8 or 16 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from echoseg.errors import DataError

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


def is_image(path: Path) -> bool:
    """Whether a file is one of those read here, by its ending."""
    return path.name.lower().endswith(ENDINGS)


def read_image(path: Path) -> NDArray[Any]:
    """(H, W): the picture, colours turned to grey; decoded in the process that calls.

    Raises:
        DataError: The file is missing or damaged.
    """
    try:
        data = np.frombuffer(path.read_bytes(), dtype=np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH) if data.size else None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except cv2.error:
        image = None
    if image is None:
        raise DataError(f"{path}: cannot be opened as a picture; replace the file")
    return np.asarray(image)
