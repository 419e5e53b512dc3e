"""Reader of nnU-Net and Medical Segmentation Decathlon folders: `dataset.json`, `imagesTr/`, `labelsTr/`.

The label is chosen by its name. Images and masks are paired by theirs; of several channels the first is read. Files
of `imagesTs/` have no masks and are not read.

Sources: http://medicaldecathlon.com, https://github.com/MIC-DKFZ/nnUNet/blob/master/documentation/dataset_format.md
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from echoseg.datasets.masks import ENDINGS, MaskPair, parse_stem, read_masks, stem_of
from echoseg.datasets.recording import Dataset, Fault, Recording, place_of
from echoseg.errors import DataError

DESCRIPTION, IMAGES, LABELS = "dataset.json", "imagesTr", "labelsTr"

_VENTRICLE = re.compile(
    r"(lv|left ventric(le|ular))( ?(c|cavity|blood ?pool|endo|endocardi(um|al)|lumen))?( (blood ?pool|cavity))?"
)
_CHANNEL = re.compile(r"_\d{4}$")


def looks_like(folder: Path) -> bool:
    """Whether a folder describes itself, or has the two folders."""
    return (folder / LABELS).is_dir() and (folder / IMAGES).is_dir()


def files_of(folder: Path) -> list[Path]:
    """Every file that matters."""
    return [folder / DESCRIPTION, *_files(folder / IMAGES), *_files(folder / LABELS)]


def read_decathlon(folder: Path) -> Dataset:
    """Read the masks of such a folder.

    Raises:
        DataError: The description is missing or does not tell which label is meant, or nothing is usable.
    """
    labels = read_labels(folder / DESCRIPTION)
    images: dict[str, Path] = {}
    for path in _files(folder / IMAGES):  # sorted, so the first channel comes first
        images.setdefault(stem_of(path), path)
        images.setdefault(_CHANNEL.sub("", stem_of(path)), path)
    faults, masked, used = [], [], set()
    for mask in _files(folder / LABELS):
        stem = stem_of(mask)
        image = images.get(stem)
        if image is None:
            faults.append(Fault(f"{LABELS}/{mask.name}", None, f"has no image {IMAGES}/{stem}_0000 or {stem}"))
            continue
        patient, phase, view = parse_stem(stem)
        used.add(_CHANNEL.sub("", stem_of(image)))
        recording = Recording(stem, image, patient, (), view=view)
        masked.append(MaskPair(recording, mask, phase=phase))
    for path in images.values():
        if _CHANNEL.sub("", stem_of(path)) not in used:
            used.add(_CHANNEL.sub("", stem_of(path)))
            faults.append(Fault(f"{IMAGES}/{path.name}", None, f"has no mask in {LABELS}"))
    if not masked and not faults:
        raise DataError(f"{folder / LABELS}: is empty; put the masks there, and their images into {IMAGES}")
    return read_masks(folder, masked, faults, labels)


def read_labels(path: Path) -> tuple[int, ...]:
    """The values of the left ventricle's label in a `dataset.json`; where there is one label only, of that.

    Both generations are known: `{"1": "left ventricle"}` and `{"left ventricle": 1}`, where a label may be several
    values.

    Raises:
        DataError: The file is missing or damaged, or none or several of the names mean the left ventricle.
    """
    if not path.is_file():
        raise DataError(f'{path}: missing; it says which label is meant, as in {{"labels": {{"LV": 1}}}}')
    try:
        labels = json.loads(path.read_text(encoding="utf-8"))["labels"]
        named = dict(_named(key, value) for key, value in labels.items())
    except json.JSONDecodeError as error:
        place = place_of(str(path), error.lineno, str(error.colno))
        raise DataError(f"{place}: is no JSON ({error.msg}); mend it") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise DataError(f'{path}: damaged; it needs the labels, as in {{"labels": {{"LV": 1}}}}') from None
    named = {name: values for name, values in named.items() if values != (0,) and name.lower() != "ignore"}
    meant = list(named) if len(named) == 1 else [name for name in named if _VENTRICLE.fullmatch(_plain(name))]
    if len(meant) != 1:
        known = ", ".join(named)[:200] or "none"
        raise DataError(f"{path}: which label is the left ventricle? ({known}); name the one that is meant LV")
    return named[meant[0]]


def _named(key: str, value: Any) -> tuple[str, tuple[int, ...]]:
    if isinstance(value, str):
        return value, (int(key),)
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, int) for one in values):
        raise ValueError(f"the label {key} is no whole number")
    return key, tuple(values)


def _plain(name: str) -> str:
    return " ".join(re.sub(r"[^a-z]+", " ", name.lower()).split())


def _files(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.name.lower().endswith(ENDINGS) and not path.name.startswith(".")
    )
