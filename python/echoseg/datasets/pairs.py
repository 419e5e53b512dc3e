"""Reader of images and masks that lie in folders as pairs: NIfTI, MetaImage or pictures.

A mask bears its image's name with `_gt`, `_seg`, `_label` or `_mask` behind it, or lies in a folder `masks/`,
`labels/`, … beside the images' one, or both. Files may lie three deep, for instance in a folder a patient, or in
`train/`, `val/`, `test/`, which then are the splits. A name's end may tell phase, view and number (`p1_4CH_ED`,
`p1_slice03`); what remains is the patient.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

from echoseg.datasets.decathlon import DESCRIPTION, read_labels
from echoseg.datasets.masks import ENDINGS, SUFFIXES, MaskPair, parse_stem, read_masks, stem_of
from echoseg.datasets.recording import Dataset, Fault, Recording
from echoseg.datasets.split import WORDS

_SUFFIX = re.compile(rf"({'|'.join(SUFFIXES)})$", re.IGNORECASE)
_MASKS = ("masks", "mask", "labels", "label", "gt", "segmentations", "annotations")
_IMAGES = ("images", "image", "imgs", "frames", "img")


class _Key(NamedTuple):
    """What image and mask have in common: their folders, but for those that say which of the two they are, and name."""

    group: tuple[str, ...]
    stem: str


def looks_like(folder: Path) -> bool:
    """Whether there is an image with its mask."""
    images, masks = _sort(folder)
    return any(key in images for key in masks)


def files_of(folder: Path) -> list[Path]:
    """Every image and mask, and the description if there is one."""
    found = (path for pattern in ("*", "*/*", "*/*/*") for path in folder.glob(pattern))
    return sorted(
        path
        for path in found
        if (path.name.lower().endswith(ENDINGS) and not path.name.startswith(".")) or path == folder / DESCRIPTION
    )


def read_pairs(folder: Path) -> Dataset:
    """Read the masks.

    Masks of several labels need a `dataset.json` in the folder, which tells which one is meant; see
    `decathlon.read_labels`.

    Raises:
        DataError: Nothing is usable, or it is open which label is meant.
    """
    images, masks = _sort(folder)
    labels = read_labels(folder / DESCRIPTION) if (folder / DESCRIPTION).is_file() else None
    groups = {key.group for key in images}
    has_splits = all(_split(group) for group in groups)
    uses = Counter(stem for group in groups for stem in {key.stem for key in images if key.group == group})
    repeating = {key.group for key in images if uses[key.stem] > 1}  # folders that names alone do not tell apart
    faults, masked = [], []
    for key in sorted({*images, *masks}):
        drawn, seen = masks.get(key, []), images.get(key, [])
        if len(drawn) != 1 or len(seen) != 1:
            faults.append(_unpaired(folder, seen, drawn))
            continue
        patient, phase, view = parse_stem(key.stem)
        name = key.stem
        if key.group in repeating:
            name = "_".join((*key.group, key.stem))
            patient = name if _split(key.group) else "_".join(key.group) or patient
        split = _split(key.group) if has_splits else ""
        recording = Recording(name, seen[0], patient, (), split=split, view=view)
        masked.append(MaskPair(recording, drawn[0], phase=phase))
    return read_masks(folder, masked, faults, labels)


def _sort(folder: Path) -> tuple[dict[_Key, list[Path]], dict[_Key, list[Path]]]:
    """Images and masks by what they have in common."""
    images: dict[_Key, list[Path]] = defaultdict(list)
    masks: dict[_Key, list[Path]] = defaultdict(list)
    for path in files_of(folder):
        if path.suffix == ".json":
            continue
        parents = path.relative_to(folder).parts[:-1]
        group = tuple(part for part in parents if part.lower() not in (*_MASKS, *_IMAGES))
        stem = _SUFFIX.sub("", stem_of(path))
        is_mask = stem != stem_of(path) or any(part.lower() in _MASKS for part in parents)
        (masks if is_mask else images)[_Key(group, stem)].append(path)
    return dict(images), dict(masks)


def _split(group: tuple[str, ...]) -> str:
    """The split that a folder's name says; "" if none does."""
    return next((part for part in group if part.lower() in WORDS), "")


def _unpaired(folder: Path, seen: list[Path], drawn: list[Path]) -> Fault:
    files = [path.relative_to(folder).as_posix() for path in (*seen, *drawn)]
    if not drawn:
        return Fault(files[0], None, "has no mask")
    if not seen:
        return Fault(files[0], None, "is a mask without an image")
    return Fault(files[0], None, f"may go with several files ({', '.join(files[1:])}); keep one")
