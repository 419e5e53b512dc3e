"""The ground truth mask beside a volume, for example `heart_gt.nii.gz` beside `heart.nii.gz`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from echoseg.datasets.decathlon import DESCRIPTION, read_labels
from echoseg.datasets.masks import MASK_SUFFIXES, read_pair, select_label, stem_of
from echoseg.io.volume import VOLUME_SUFFIXES


def find_truth(path: Path) -> Path | None:
    """The file of a volume's ground truth mask; None if there is none."""
    stem = stem_of(path)
    candidates = (path.with_name(stem + mask + suffix) for mask in MASK_SUFFIXES for suffix in VOLUME_SUFFIXES)
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def is_truth(path: Path) -> bool:
    """Whether a file is the ground truth mask of a volume beside it."""
    stem = stem_of(path)
    images = (stem.removesuffix(suffix) for suffix in MASK_SUFFIXES if stem.endswith(suffix))
    return any(path.with_name(image + suffix).is_file() for image in images for suffix in VOLUME_SUFFIXES)


def read_truth(image: Path, mask: Path) -> NDArray[np.uint8]:
    """Read a volume's ground truth mask.

    Args:
        image: The volume.
        mask: Its mask.

    Returns:
        (T, H, W) uint8 of 0 and 1, in the orientation of the volume's slices.

    Raises:
        DataError: A file is damaged, the two do not fit each other, or the mask has several labels and no
            `dataset.json` beside it names the left ventricle's.
    """
    description = mask.with_name(DESCRIPTION)
    labels = read_labels(description) if description.is_file() else None
    inside = select_label(read_pair(image, mask)[0], labels, str(mask), mask.parent)
    return np.ascontiguousarray(inside).astype(np.uint8)
