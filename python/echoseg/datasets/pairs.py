"""Reader of folders with pairs of image and mask files: NIfTI, MetaImage, PNG and so on.

A mask has the name of its image followed by `_gt`, `_seg`, `.seg`, `_label` or `_mask`, or it is in a folder `masks/`,
`labels/` and so on beside the folder of the images, or both. Masks of several observers have the name of the image
followed by `_observer1`, `_reader2`, `_rater_a` and so on; the first one in alphabetical order, or one without such an
ending, trains. Files may be in subfolders up to two levels deep, for example one per patient, or `train/`, `val/` and
`test/`, which then are the splits. The patient is the folder, or else the part of the name before phase, view and
number (`p1_4CH_ED`, `p1_slice03`); see `echoseg.datasets.patients`.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from echoseg.datasets import acdc
from echoseg.datasets.decathlon import find_label
from echoseg.datasets.masks import FILE_SUFFIXES, MASK_SUFFIXES, MaskPair, parse_stem, read_masks, stem_of
from echoseg.datasets.patients import BY_FOLDER, BY_NAME, names_patient, patients_of_folders, patients_of_names
from echoseg.datasets.recording import Dataset, Fault, Recording, observers_note, split_observers, unread_faults
from echoseg.datasets.split import SPLIT_WORDS
from echoseg.datasets.structure import LEFT_VENTRICLE, structure_name
from echoseg.io.description import DESCRIPTION

_SUFFIX = re.compile(rf"({'|'.join(map(re.escape, MASK_SUFFIXES))})$", re.IGNORECASE)
MASK_FOLDERS = ("masks", "mask", "labels", "label", "gt", "segmentations", "annotations")
IMAGE_FOLDERS = ("images", "image", "imgs", "frames", "img")
_OBSERVER = re.compile(r"[_-]((observer|reader|rater|expert)[_-]?[a-z0-9]+)$", re.IGNORECASE)


class _Key(NamedTuple):
    """The common part of the paths of image and mask: the name, and the folders that are not for images or masks."""

    group: tuple[str, ...]
    stem: str


def matches(folder: Path) -> bool:
    """Whether a folder contains at least one pair of image and mask."""
    images, masks = _sort(folder)
    return any(key in images for key in masks)


def files_of(folder: Path) -> list[Path]:
    """List the images, the masks, and what describes them if there is something."""
    return sorted(
        path
        for path in _files(folder)
        if (path.name.lower().endswith(FILE_SUFFIXES) and not path.name.startswith("."))
        or path == folder / DESCRIPTION
        or path.name == acdc.INFO
    )


def _files(folder: Path) -> Iterator[Path]:
    return (path for pattern in ("*", "*/*", "*/*/*") for path in folder.glob(pattern))


def read_pairs(folder: Path, structure: str | None = None) -> Dataset:
    """Read the masks of a folder.

    Masks with several labels need a `dataset.json` in the folder that names them; see `decathlon.find_label`.

    Args:
        folder: The folder.
        structure: The name of the label to read; without a `dataset.json`, the name of the only label. None: the left
            ventricle.

    Raises:
        DataError: Nothing is usable, or it is unclear which label to read.
    """
    images, masks = _sort(folder)
    observers = _observers(masks)
    name_of_structure = structure_name(structure or LEFT_VENTRICLE)
    label = find_label(folder / DESCRIPTION, structure)
    label_text = "all that is not 0"
    if label is not None:
        name_of_structure, label_text = label.structure, f"{label} of {DESCRIPTION}"
    groups = {key.group for key in images}
    has_splits = all(_split(group) for group in groups)
    uses = Counter(key.stem for key in images)
    repeating = {key.group for key in images if uses[key.stem] > 1}  # folders in which the same file names occur
    patients, source = _patients(images, repeating)
    faults, pairs = unread_faults(folder, _files(folder), FILE_SUFFIXES), []
    for key in sorted({*images, *masks}):
        key_masks, key_images = masks.get(key, []), images.get(key, [])
        if not key_masks and acdc.is_film_of(key.stem, (other.stem for other in masks)):
            continue
        is_by_observer = len({observers[mask] for mask in key_masks}) == len(key_masks) > 0
        if not is_by_observer or len(key_images) != 1:
            faults.append(_unpaired(folder, key_images, key_masks))
            continue
        _, phase, view = parse_stem(key.stem)
        phase = phase or acdc.phase_of(key.stem, key_images[0].parent)
        name = "_".join((*key.group, key.stem)) if key.group in repeating else key.stem
        split = _split(key.group) if has_splits else ""
        recording = Recording(name, key_images[0], patients[key], (), split=split, view=view)
        pairs += [
            MaskPair(recording, mask, phase=phase) for mask in sorted(key_masks, key=lambda mask: observers[mask])
        ]
    dataset = _join_observers(read_masks(folder, pairs, faults, label), observers)
    return dataclasses.replace(dataset, structure=name_of_structure, label=label_text, patients=source)


def _observers(masks: dict[_Key, list[Path]]) -> dict[Path, str]:
    """The observer of each mask in its name; "" if there is none."""
    names = {}
    for key, files in masks.items():
        for path in files:
            stem = _SUFFIX.sub("", stem_of(path))
            marked = _OBSERVER.search(stem) if stem != key.stem else None
            names[path] = marked[1] if marked else ""
    return names


def _join_observers(dataset: Dataset, observers: Mapping[Path, str]) -> Dataset:
    """One recording for each image, in place of one for each of its masks."""
    recordings: dict[str, Recording] = {}
    for recording in dataset.recordings:
        tracings = [
            dataclasses.replace(tracing, observer=observers[dataset.folder / tracing.file])
            for tracing in recording.tracings
        ]
        kept = recordings.setdefault(recording.name, dataclasses.replace(recording, tracings=()))
        recordings[recording.name] = dataclasses.replace(kept, tracings=(*kept.tracings, *tracings))
    names = sorted(set(observers.values()))
    joined = []
    for recording in recordings.values():
        own, others = split_observers(recording.tracings, names)
        joined.append(dataclasses.replace(recording, tracings=own, others=others))
    note = observers_note(joined, names)
    return dataclasses.replace(dataset, recordings=tuple(joined), notes=(*dataset.notes, *([note] if note else [])))


def _patients(keys: Collection[_Key], repeating: Collection[tuple[str, ...]]) -> tuple[dict[_Key, str], str]:
    """The patient of each key, and how the patients were found.

    Where the folders of two splits have the same file names, such as train/001.png and test/001.png, the files are
    counted in each split again, unless the names say that their number is a patient's.
    """
    folders = {key: tuple(part for part in key.group if part.lower() not in SPLIT_WORDS) for key in keys}
    stems: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for key, parts in folders.items():
        stems[parts].add(key.stem)
    if of_folder := patients_of_folders(stems):
        return {key: of_folder[parts] for key, parts in folders.items()}, BY_FOLDER
    of_name = patients_of_names({key.stem for key in keys})
    patients = {key: of_name[key.stem] for key in keys}
    for key in keys:
        if key.group in repeating and _split(key.group) and not names_patient(key.stem):
            patients[key] = f"{_split(key.group)}_{patients[key]}"
    return patients, BY_NAME


def _sort(folder: Path) -> tuple[dict[_Key, list[Path]], dict[_Key, list[Path]]]:
    """The images and the masks, by key."""
    images: dict[_Key, list[Path]] = defaultdict(list)
    masks: dict[_Key, list[Path]] = defaultdict(list)
    for path in files_of(folder):
        if path.suffix in (".json", ".cfg"):
            continue
        parents = path.relative_to(folder).parts[:-1]
        group = tuple(part for part in parents if part.lower() not in (*MASK_FOLDERS, *IMAGE_FOLDERS))
        stem = _SUFFIX.sub("", stem_of(path))
        is_marked = stem != stem_of(path) or _SUFFIX.search(_OBSERVER.sub("", stem)) is not None
        is_mask = is_marked or any(part.lower() in MASK_FOLDERS for part in parents)
        (masks if is_mask else images)[_Key(group, stem)].append(path)
    for key in [key for key in masks if key not in images]:
        own = key._replace(stem=_without_observer(key.stem))
        if own in images:
            masks[own] += masks.pop(key)
    return dict(images), dict(masks)


def _without_observer(stem: str) -> str:
    """The name of an image, given that of a mask by one of several observers, "p1_observer1" or "p1_gt_observer1"."""
    return _SUFFIX.sub("", _OBSERVER.sub("", stem))


def _split(group: tuple[str, ...]) -> str:
    """The folder name that is a split; "" if there is none."""
    return next((part for part in group if part.lower() in SPLIT_WORDS), "")


def _unpaired(folder: Path, images: list[Path], masks: list[Path]) -> Fault:
    files = [path.relative_to(folder).as_posix() for path in (*images, *masks)]
    if not masks:
        return Fault(files[0], None, "has no mask")
    if not images:
        return Fault(files[0], None, "is a mask without an image")
    return Fault(files[0], None, f"matches several files ({', '.join(files[1:])}); keep one")
