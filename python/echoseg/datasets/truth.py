"""The drawn mask that lies beside a volume: `heart.nii.gz` and `heart_gt.nii.gz`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from echoseg.datasets.decathlon import DESCRIPTION, read_labels
from echoseg.datasets.masks import SUFFIXES, read_pair, select_label, stem_of
from echoseg.io.volume import ENDINGS


def find_truth(path: Path) -> Path | None:
    """The file of the mask of a volume; None if there is none."""
    beside = (path.with_name(stem_of(path) + suffix + ending) for suffix in SUFFIXES for ending in ENDINGS)
    return next((one for one in beside if one.is_file()), None)


def is_truth(path: Path) -> bool:
    """Whether a file is the mask of a volume beside it."""
    stem = stem_of(path)
    images = (stem.removesuffix(suffix) for suffix in SUFFIXES if stem.endswith(suffix))
    return any(path.with_name(image + ending).is_file() for image in images for ending in ENDINGS)


def read_truth(image: Path, mask: Path) -> NDArray[np.uint8]:
    """Read a volume's mask.

    Returns:
        (T, H, W) uint8, 0 or 1: as the volume's slices.

    Raises:
        DataError: A file is damaged, the two do not fit each other, or several labels are drawn and no `dataset.json`
            beside them says which one is meant.
    """
    description = mask.with_name(DESCRIPTION)
    labels = read_labels(description) if description.is_file() else None
    inside = select_label(read_pair(image, mask)[0], labels, str(mask), mask.parent)
    return np.ascontiguousarray(inside).astype(np.uint8)
