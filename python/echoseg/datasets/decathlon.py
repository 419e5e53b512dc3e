"""Reader of nnU-Net and Medical Segmentation Decathlon folders: `dataset.json`, `imagesTr/`, `labelsTr/`.

The label of the structure is found by its name. Images and masks are paired by file name. Of several channels the first
is read. `imagesTs/` has no masks and is not read.

Sources: http://medicaldecathlon.com, https://github.com/MIC-DKFZ/nnUNet/blob/master/documentation/dataset_format.md
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

from echoseg.datasets.masks import FILE_SUFFIXES, MaskPair, parse_stem, read_masks, stem_of
from echoseg.datasets.patients import patients_of_names
from echoseg.datasets.recording import Dataset, Fault, Recording, unread_faults
from echoseg.datasets.structure import Label, choose_label
from echoseg.errors import DataError
from echoseg.io.description import DESCRIPTION, read_description
from echoseg.io.label_image import label_of_colour

IMAGES, LABELS = "imagesTr", "labelsTr"

_CHANNEL = re.compile(r"_\d{4}$")


def matches(folder: Path) -> bool:
    """Whether a folder contains `imagesTr/` and `labelsTr/`."""
    return (folder / LABELS).is_dir() and (folder / IMAGES).is_dir()


def files_of(folder: Path) -> list[Path]:
    """List the images and the masks."""
    return [*_list_images(folder / IMAGES), *_list_images(folder / LABELS)]


def read_decathlon(folder: Path, structure: str | None = None) -> Dataset:
    """Read the masks of a folder.

    Args:
        folder: The folder.
        structure: The name of the label to read; see `echoseg.datasets.structure.choose_label`.

    Raises:
        DataError: The description is missing or does not name the label, or nothing is usable.
    """
    label = read_label(folder / DESCRIPTION, structure)
    images: dict[str, Path] = {}
    for path in _list_images(folder / IMAGES):  # sorted, so the first channel comes first
        images.setdefault(stem_of(path), path)
        images.setdefault(without_channel(stem_of(path)), path)
    faults = unread_faults(folder, (*(folder / IMAGES).iterdir(), *(folder / LABELS).iterdir()), FILE_SUFFIXES)
    pairs, used = [], set[str]()
    masks = _list_images(folder / LABELS)
    patients = patients_of_names({stem_of(mask) for mask in masks})
    for mask in masks:
        stem = stem_of(mask)
        image = images.get(stem)
        if image is None:
            faults.append(Fault(f"{LABELS}/{mask.name}", None, f"has no image {IMAGES}/{stem}_0000 or {stem}"))
            continue
        _, phase, view = parse_stem(stem)
        used |= {stem, stem_of(image)}
        recording = Recording(stem, image, patients[stem], (), view=view)
        pairs.append(MaskPair(recording, mask, phase=phase))
    for path in _list_images(folder / IMAGES):
        if used.isdisjoint((stem_of(path), without_channel(stem_of(path)))):
            faults.append(Fault(f"{IMAGES}/{path.name}", None, f"has no mask in {LABELS}"))
    if not pairs and not faults:
        raise DataError(f"{folder / LABELS}: is empty; put the masks there, and their images into {IMAGES}")
    dataset = read_masks(folder, pairs, faults, label)
    return dataclasses.replace(dataset, structure=label.structure, label=f"{label} of {DESCRIPTION}")


def read_label(path: Path, structure: str | None = None) -> Label:
    """Read the mask values of a structure from a `dataset.json`.

    Both versions of the format are supported: `{"1": "left ventricle"}`, and `{"left ventricle": 1}`, where a label may
    have several values.

    Args:
        path: The file.
        structure: The name of the structure; see `echoseg.datasets.structure.choose_label`.

    Raises:
        DataError: The file is missing or damaged, or not exactly one label has that name.
    """
    if not path.is_file():
        raise DataError(f'{path}: missing; it names the labels of the masks, as in {{"labels": {{"LV": 1}}}}')
    content = read_description(path)
    try:
        labels = content["labels"]
        named = dict(_parse_label(key, value) for key, value in labels.items())
    except (ValueError, TypeError, KeyError, AttributeError):
        raise DataError(f'{path}: lacks the labels; it needs them as in {{"labels": {{"LV": 1}}}}') from None
    declared = tuple(sorted({value for values in named.values() for value in values}))
    background = next((values for name, values in named.items() if name.lower() == "background"), (0,))
    named = {name: values for name, values in named.items() if values != background and name.lower() != "ignore"}
    by_colour = any(_names_colour(key, value) for key, value in labels.items())
    return choose_label(named, structure, path)._replace(declared=declared, by_colour=by_colour)


def find_label(path: Path, structure: str | None = None) -> Label | None:
    """Read the label of a structure as `read_label` does; None if there is no such file, or if it only has other keys.

    Args:
        path: A `dataset.json`, which may exist to say something else about the data, such as "axis3" or "patients".
        structure: The name of the structure.

    Raises:
        DataError: The file is damaged, or not exactly one label has that name.
    """
    if not path.is_file():
        return None
    content = read_description(path)
    has_other_keys = bool(content.keys() & {"axis3", "patients"})
    return None if "labels" not in content and has_other_keys else read_label(path, structure)


def without_channel(stem: str) -> str:
    """The name of a case: the name of an image without the number of its channel, as in "case_0000"."""
    return _CHANNEL.sub("", stem)


def _parse_label(key: str, value: Any) -> tuple[str, tuple[int, ...]]:
    """Name and values of a label, in either version of the format; a value is a whole number or a colour "#ff0000"."""
    if isinstance(value, str) and not value.startswith("#"):
        return value, (label_of_colour(key) if key.startswith("#") else int(key),)
    values = [label_of_colour(v) if isinstance(v, str) else v for v in (value if isinstance(value, list) else [value])]
    if not values or not all(isinstance(item, int) for item in values):
        raise ValueError(f"label {key} is not an integer")
    return key, tuple(values)


def _names_colour(key: str, value: Any) -> bool:
    """Whether an entry of the labels names a colour such as "#ff0000"."""
    if isinstance(value, str) and not value.startswith("#"):
        return key.startswith("#")
    return isinstance(value, str) or (isinstance(value, list) and any(isinstance(item, str) for item in value))


def _list_images(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.name.lower().endswith(FILE_SUFFIXES) and not path.name.startswith(".")
    )
