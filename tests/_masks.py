"""Images with masks, for tests to write in several formats."""

from __future__ import annotations

from pathlib import Path

import cv2
import nibabel
import numpy as np

from echoseg.ops import fill_polygons

SIZE = (40, 48)
SPACING = (0.5, 0.25)  # row, column


def ellipse(radius: float, size: tuple[int, int] = SIZE) -> np.ndarray:
    """(H, W) uint8: 1 inside a centred ellipse that is twice as high as wide."""
    y, x = np.mgrid[: size[0], : size[1]] - np.array([(size[0] - 1) / 2, (size[1] - 1) / 2])[:, None, None]
    return (np.hypot(x * 2, y) < radius).astype(np.uint8)


def make_image(mask: np.ndarray) -> np.ndarray:
    """An image that is dark inside a mask and bright outside."""
    return np.where(mask > 0, 40, 160).astype(np.uint8)


def save_nifti(path: Path, frames: np.ndarray, *, thickness: float = 1.0, spacing=SPACING) -> Path:
    """Write frames (H, W) or (T, H, W) with an affine in LPS orientation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(frames.T, np.diag([-spacing[1], -spacing[0], thickness, 1])), path)
    return path


def save_image(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


STACK = np.stack([ellipse(radius) for radius in (0.0, 12.0, 16.0, 14.0)])  # the first slice is empty


def drawn(recording, size=(40, 48)) -> dict[int, np.ndarray]:
    tracings = [tracing for tracing in recording.tracings if len(tracing.coordinates)]
    return {tracing.frame: fill_polygons(tracing.coordinates[None], size)[0] for tracing in tracings}


def check_stack(recording, mask=STACK) -> None:
    assert [tracing.frame for tracing in recording.tracings] == [0, 1, 2, 3]
    found = drawn(recording)
    assert sorted(found) == [1, 2, 3]  # slice 0 is blank
    for frame, filled in found.items():
        np.testing.assert_array_equal(filled, mask[frame] > 0)
    assert (recording.spacing, recording.thickness) == ((0.5, 0.25), 8.0)
