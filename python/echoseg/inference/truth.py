"""The ground truth mask of a volume: beside it, in the folder of labels of its data set, or in a folder of masks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from echoseg.datasets.decathlon import LABELS, find_label, without_channel
from echoseg.datasets.masks import FILE_SUFFIXES, MASK_SUFFIXES, read_pair, stem_of, structure_pixels
from echoseg.io.description import DESCRIPTION
from echoseg.io.file_types import VOLUME_SUFFIXES

_TIFF_SUFFIXES = (".tif", ".tiff")
_IMAGES, _MASKS = "images", ("labels", "masks")  # of folders, such as imagesTr/ with labelsTr/


def find_truth(path: Path, folder: Path | None = None) -> Path | None:
    """Find the file of a stack's ground truth mask.

    Args:
        path: The stack: a volume, a TIFF, or the folder of a DICOM series.
        folder: A folder with masks, or with `labelsTr/`; a mask has the name of its volume, or this name with "_gt" or
            another of `MASK_SUFFIXES`. None searches beside the volume and, if it lies in `imagesTr/` or the like, in
            `labelsTr/` beside that folder.

    Returns:
        The file; None if there is none.
    """
    suffixes = _TIFF_SUFFIXES if path.suffix.lower() in _TIFF_SUFFIXES else VOLUME_SUFFIXES
    if not path.name.lower().endswith(suffixes) and not path.is_dir():
        return None
    stems = dict.fromkeys((stem_of(path), without_channel(stem_of(path))))
    beside = [] if folder else [(path.parent, MASK_SUFFIXES)]
    others = [folder, folder / LABELS] if folder else _mask_folders(path.parent)
    candidates = (
        place / f"{stem}{mark}{suffix}"
        for place, marks in (*beside, *((place, ("", *MASK_SUFFIXES)) for place in others))
        for stem in stems
        for mark in marks
        for suffix in suffixes
    )
    return next((file for file in candidates if file != path and file.is_file()), None)


def is_truth(path: Path) -> bool:
    """Whether a file is a true mask: of an image or volume beside it, or in a folder of masks beside one of images."""
    stem, parent = stem_of(path), path.parent
    images = (stem.removesuffix(suffix) for suffix in MASK_SUFFIXES if stem.endswith(suffix))
    for image in images:
        if (parent / image).is_dir() or any((parent / f"{image}{suffix}").is_file() for suffix in FILE_SUFFIXES):
            return True  # a folder holds the slices of a DICOM series
    ends = (parent.name.removeprefix(word) for word in _MASKS if parent.name.startswith(word))
    return any(parent.with_name(_IMAGES + end).is_dir() for end in ends)


def read_truth(image: Path, mask: Path, structure: str | None = None) -> NDArray[np.uint8]:
    """Read a volume's ground truth mask.

    Args:
        image: The volume.
        mask: Its mask.
        structure: The name of the structure, for a mask with a `dataset.json` beside it or one folder up; see
            `echoseg.datasets.structure.choose_label`.

    Returns:
        (T, H, W) uint8 of 0 and 1, in the orientation of the volume's slices.

    Raises:
        DataError: A file is damaged, the two do not fit each other, or no `dataset.json` names the mask's labels:
            several labels, or one that is not the structure's.
    """
    descriptions = (folder / DESCRIPTION for folder in (mask.parent, mask.parent.parent))
    description = next((file for file in descriptions if file.is_file()), None)
    label = find_label(description, structure) if description else None
    return structure_pixels(read_pair(image, mask).values, label, mask).astype(np.uint8)


def _mask_folders(images: Path) -> Iterator[Path]:
    """The folders that may hold the masks of a folder of images, by its name."""
    if images.name.startswith(_IMAGES):
        yield from (images.with_name(word + images.name.removeprefix(_IMAGES)) for word in _MASKS)
