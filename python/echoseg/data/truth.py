"""The drawn mask that lies beside a volume: `heart.nii.gz` and `heart_gt.nii.gz`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from echoseg.data.volume import ENDINGS, Volume, open_volume
from echoseg.errors import DataError

SUFFIXES = ("_gt", "_seg", "_label", "_mask")


def find_truth(path: Path) -> Path | None:
    """The file of the mask of a volume; None if there is none."""
    stem = _stem(path)
    beside = (path.with_name(stem + suffix + ending) for suffix in SUFFIXES for ending in ENDINGS)
    return next((one for one in beside if one.is_file()), None)


def is_truth(path: Path) -> bool:
    """Whether a file is the mask of a volume beside it."""
    stem = _stem(path)
    images = (stem.removesuffix(suffix) for suffix in SUFFIXES if stem.endswith(suffix))
    return any(path.with_name(image + ending).is_file() for image in images for ending in ENDINGS)


def read_truth(path: Path, volume: Volume) -> NDArray[np.uint8]:
    """Read a mask as its volume's slices.

    Returns:
        (T, H, W) uint8, 0 or 1.

    Raises:
        DataError: The file is damaged, holds several labels, or is not of the volume's shape.
    """
    true = open_volume(path)
    if true.shape != volume.shape:
        raise DataError(f"{path}: has the shape {true.shape}, {volume.path.name} {volume.shape}; move it elsewhere")
    labels = true.read()
    if len(found := np.unique(labels[labels != 0])) > 1:
        raise DataError(f"{path}: holds the labels {', '.join(map(str, found))}; keep the ventricle's alone")
    return np.ascontiguousarray(labels != 0).astype(np.uint8)


def _stem(path: Path) -> str:
    """Its name without the ending."""
    ending = next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), "")
    return path.name[: len(path.name) - len(ending)]
