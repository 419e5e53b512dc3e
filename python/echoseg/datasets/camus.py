"""Reader of CAMUS: apical two- and four-chamber views of 500 patients, as NIfTI or, of the first release, as MetaImage.

Where a half sequence is painted throughout, it is one recording with every frame traced; else the end-diastolic and
the end-systolic image are two recordings of one traced frame. The label 1 is the ventricle's cavity.

Source: Leclerc et al., "Deep Learning for Segmentation Using an Open Large-Scale Dataset in 2D Echocardiography", IEEE
TMI 2019; https://www.creatis.insa-lyon.fr/Challenge/camus/
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from echoseg.datasets.masks import MaskPair, read_masks
from echoseg.datasets.recording import Dataset, Fault, Recording
from echoseg.errors import DataError
from echoseg.io.table import shown
from echoseg.io.volume import ENDINGS

VENTRICLE = (1,)

_VIEWS = {"2CH": "A2C", "4CH": "A4C"}
_HOMES = (".", "database_nifti", "training")
_SUBGROUPS = {"training": "TRAIN", "validation": "VAL", "testing": "TEST"}
_FACTS = {"ef": ("ef", "lvef"), "edv": ("lvedv",), "esv": ("lvesv",), "fps": ("framerate",)}


def looks_like(folder: Path) -> bool:
    """Whether a folder, or its `database_nifti/` or `training/`, holds the patients' folders."""
    return _home(folder) is not None


def files_of(folder: Path) -> list[Path]:
    """Every file that matters."""
    home = _home(folder) or folder
    places = ((home, "patient*/*"), *_split_places(home))
    return [path for place, pattern in places for path in sorted(place.glob(pattern))]


def read_camus(folder: Path) -> Dataset:
    """Read the masks and the tables.

    Splits are the published subgroups, if their files (`subgroup_training.txt`, …) lie in the folder, beside it or in
    `database_split/`.

    Raises:
        DataError: Nothing is usable, or a patient stands in two subgroups.
    """
    home = _home(folder) or folder
    splits = _read_splits(home)
    faults: list[Fault] = []
    masked: list[MaskPair] = []
    for place in sorted(path for path in home.glob("patient*") if path.is_dir()):
        if splits and place.name not in splits:
            faults.append(Fault(place.relative_to(folder).as_posix(), None, "stands in no subgroup file"))
            continue
        for view in _VIEWS:
            found, wrong = _read_view(folder, place, view, splits.get(place.name, ""))
            masked += found
            faults += wrong
    return read_masks(folder, masked, faults, VENTRICLE)


def _read_view(folder: Path, place: Path, view: str, split: str) -> tuple[list[MaskPair], list[Fault]]:
    """What is painted of one view of a patient."""
    stem = f"{place.name}_{view}"
    if not any(place.glob(f"{stem}_*")):
        return [], [Fault(place.relative_to(folder).as_posix(), None, f"has no view {view}")]
    facts, moments, faults = _read_info(folder, place / f"Info_{view}.cfg")

    def recording(name: str, path: Path) -> Recording:
        return Recording(name, path, place.name, (), split=split, view=_VIEWS[view], **facts)

    image, mask = (_find(place, f"{stem}_half_sequence{end}") for end in ("", "_gt"))
    if image and mask:
        return [MaskPair(recording(stem, image), mask, moments)], faults
    masked = []
    for phase in ("ED", "ES"):
        image, mask = (_find(place, f"{stem}_{phase}{end}") for end in ("", "_gt"))
        if image and mask:
            masked.append(MaskPair(recording(f"{stem}_{phase}", image), mask, phase=phase))
        else:
            lacking = f"{stem}_{phase}" if image is None else f"{stem}_{phase}_gt"
            faults.append(Fault(place.relative_to(folder).as_posix(), None, f"lacks {lacking}.nii.gz"))
    return masked, faults


def _read_info(folder: Path, path: Path) -> tuple[dict[str, Any], dict[int, str], list[Fault]]:
    """Facts by name, phases by frame, and what is wrong with the lines `key: value`."""
    file = path.relative_to(folder).as_posix()
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else None
    except OSError:
        lines = None
    if lines is None:
        return {}, {}, [Fault(file, None, "is missing: no phases, no EF")]
    told: dict[str, float] = {}
    faults = []
    for row, line in enumerate(lines, start=1):
        key, _, value = (part.strip().lower() for part in line.partition(":"))
        if key in ("ed", "es") or any(key in keys for keys in _FACTS.values()):
            try:
                told[key] = float(value)
            except ValueError:
                told[key] = math.nan
            if not math.isfinite(told[key]) or (key in ("ed", "es") and not 1 <= told[key] < 1e6):
                faults.append(Fault(file, row, f"{shown(value)} is not a number that can be meant", key.upper()))
                del told[key]
    facts = {name: next((told[key] for key in keys if key in told), math.nan) for name, keys in _FACTS.items()}
    return facts, {int(told[key]) - 1: key.upper() for key in ("ed", "es") if key in told}, faults


def _home(folder: Path) -> Path | None:
    """The folder of the patients' folders."""
    places = (folder / name for name in _HOMES)
    return next((place for place in places if any(place.glob("patient*/patient*_[24]CH_*"))), None)


def _find(place: Path, stem: str) -> Path | None:
    paths = (place / f"{stem}{ending}" for ending in ENDINGS)
    return next((path for path in paths if path.is_file()), None)


def _split_places(home: Path) -> tuple[tuple[Path, str], ...]:
    pattern = "subgroup_*.txt"
    return (home, pattern), (home.parent, pattern), (home.parent / "database_split", pattern)


def _read_splits(home: Path) -> dict[str, str]:
    """Patient → subgroup; empty where there are no files of them."""
    splits: dict[str, str] = {}
    for place, pattern in _split_places(home):
        for path in filter(Path.is_file, place.glob(pattern)):
            name = _SUBGROUPS.get(path.stem.removeprefix("subgroup_"))
            lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if name else []
            for row, line in enumerate(lines, start=1):
                for patient in line.split():
                    if name and splits.setdefault(patient, name) != name:
                        raise DataError(f"{path}:{row}: {patient} stands in two subgroups; give each patient one only")
    return splits
