"""Images with painted masks, for tests to write in one format or another."""

from __future__ import annotations

from pathlib import Path

import cv2
import nibabel
import numpy as np

SIZE = (40, 48)
SPACING = (0.5, 0.25)  # row, column


def ellipse(radius: float, size: tuple[int, int] = SIZE) -> np.ndarray:
    """(H, W) uint8: 1 inside an ellipse in the middle, as high as twice its width."""
    y, x = np.mgrid[: size[0], : size[1]] - np.array([(size[0] - 1) / 2, (size[1] - 1) / 2])[:, None, None]
    return (np.hypot(x * 2, y) < radius).astype(np.uint8)


def picture(mask: np.ndarray) -> np.ndarray:
    """An image of what a mask shows."""
    return np.where(mask > 0, 40, 160).astype(np.uint8)


def save_nifti(path: Path, frames: np.ndarray, *, thickness: float = 1.0, spacing=SPACING) -> Path:
    """(H, W) or (T, H, W) as it is seen; x to the left and y to the back, as a viewer shows it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(frames.T, np.diag([-spacing[1], -spacing[0], thickness, 1])), path)
    return path


def save_picture(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path
