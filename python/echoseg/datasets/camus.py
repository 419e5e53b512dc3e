"""Reader of CAMUS: apical two- and four-chamber views of 500 patients, as NIfTI or (first release) MetaImage.

A half sequence with masks is one recording in which all frames are traced. Otherwise the end-diastolic and the
end-systolic image are two recordings with one traced frame each. The cavity of the left ventricle and the left atrium
have a label each; the third label, the myocardium, is no closed contour and is not read.

Source: Leclerc et al., "Deep Learning for Segmentation Using an Open Large-Scale Dataset in 2D Echocardiography", IEEE
TMI 2019; https://www.creatis.insa-lyon.fr/Challenge/camus/
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

from echoseg.datasets.masks import MaskPair, read_masks
from echoseg.datasets.patients import BY_FOLDER
from echoseg.datasets.recording import Dataset, Fault, Recording
from echoseg.datasets.structure import LEFT_VENTRICLE, choose_label
from echoseg.errors import DataError
from echoseg.io.clip import plausible_rate
from echoseg.io.file_types import VOLUME_SUFFIXES
from echoseg.utils.table import quote
from echoseg.utils.words import counted

LABELS = {LEFT_VENTRICLE: (1,), "left atrium": (3,)}

_VIEWS = {"2CH": "A2C", "4CH": "A4C"}
_SUBFOLDERS = (".", "database_nifti", "training")
_SUBGROUPS = {"training": "TRAIN", "validation": "VAL", "testing": "TEST"}
_INFO_KEYS = {"ef": ("ef", "lvef"), "edv": ("lvedv",), "esv": ("lvesv",), "fps": ("framerate",), "age": ("age",)}
_INFO_TEXTS = {"quality": "imagequality", "sex": "sex"}


def matches(folder: Path) -> bool:
    """Whether a folder, or its `database_nifti/` or `training/`, contains the patients' folders."""
    return _patients_folder(folder) is not None


def files_of(folder: Path) -> list[Path]:
    """List the images, the masks, the `Info` files and the subgroup files."""
    patients = _patients_folder(folder) or folder
    patterns = ((patients, "patient*/*"), *_subgroup_patterns(patients))
    return [path for parent, pattern in patterns for path in sorted(parent.glob(pattern))]


def read_camus(folder: Path, structure: str | None = None) -> Dataset:
    """Read the masks, the `Info` files and the subgroup files.

    EF and volumes in the `Info` files are those of the left ventricle. The splits are the published subgroups, if their
    files (`subgroup_training.txt` and so on) are in the folder, beside it or in `database_split/`.

    Args:
        folder: The folder.
        structure: A name in `LABELS`; None: the left ventricle.

    Raises:
        DataError: Nothing is usable, the structure is not labelled, or a patient is in two subgroups.
    """
    label = choose_label(LABELS, structure, folder)
    patients = _patients_folder(folder) or folder
    splits = _read_splits(patients)
    faults: list[Fault] = []
    pairs: list[MaskPair] = []
    for patient in sorted(path for path in patients.glob("patient*") if path.is_dir()):
        if splits and patient.name not in splits:
            faults.append(Fault(patient.relative_to(folder).as_posix(), None, "is in no subgroup file"))
            continue
        for view in _VIEWS:
            view_pairs, view_faults = _read_view(folder, patient, view, splits.get(patient.name, ""))
            pairs += view_pairs
            faults += view_faults
    if label.structure != LEFT_VENTRICLE:
        pairs = [pair._replace(recording=_without_volumes(pair.recording)) for pair in pairs]
    pairs, notes = _without_implausible_rates(pairs)
    dataset = read_masks(folder, pairs, faults, label)
    return dataclasses.replace(
        dataset,
        structure=label.structure,
        label=f"{label} of CAMUS",
        patients=BY_FOLDER,
        notes=(*notes, *dataset.notes),
    )


def _without_implausible_rates(pairs: list[MaskPair]) -> tuple[list[MaskPair], list[str]]:
    """The pairs without frame rates that no film has, and a note if there are any."""
    rated = []
    implausible = []
    for pair in pairs:
        fps = plausible_rate(pair.recording.fps)
        if math.isnan(fps) and math.isfinite(pair.recording.fps):
            implausible.append(pair.recording.name)
        rated.append(pair._replace(recording=dataclasses.replace(pair.recording, fps=fps)))
    recordings = f"{counted(len(implausible), 'recording')} ({', '.join(implausible[:3])})"
    note = f"Info files: the FrameRate of {recordings} is not between 1 and 1000, and is not used"
    return rated, [note] if implausible else []


def _without_volumes(recording: Recording) -> Recording:
    return dataclasses.replace(recording, ef=math.nan, edv=math.nan, esv=math.nan)


def _read_view(folder: Path, patient: Path, view: str, split: str) -> tuple[list[MaskPair], list[Fault]]:
    """The pairs of image and mask of one view of a patient."""
    stem = f"{patient.name}_{view}"
    if not any(patient.glob(f"{stem}_*")):
        return [], [Fault(patient.relative_to(folder).as_posix(), None, f"has no view {view}")]
    values, phases, faults = _read_info(folder, patient / f"Info_{view}.cfg")

    def recording(name: str, path: Path) -> Recording:
        return Recording(name, path, patient.name, (), split=split, view=_VIEWS[view], **values)

    image, mask = (_find_volume(patient, f"{stem}_half_sequence{suffix}") for suffix in ("", "_gt"))
    if image and mask:
        return [MaskPair(recording(stem, image), mask, phases)], faults
    pairs = []
    for phase in ("ED", "ES"):
        image, mask = (_find_volume(patient, f"{stem}_{phase}{suffix}") for suffix in ("", "_gt"))
        if image and mask:
            pairs.append(MaskPair(recording(f"{stem}_{phase}", image), mask, phase=phase))
        else:
            missing = f"{stem}_{phase}" if image is None else f"{stem}_{phase}_gt"
            faults.append(Fault(patient.relative_to(folder).as_posix(), None, f"lacks {missing}.nii.gz"))
    return pairs, faults


def _read_info(folder: Path, path: Path) -> tuple[dict[str, Any], dict[int, str], list[Fault]]:
    """Read lines `key: value`.

    Returns:
        Values by the field of `Recording`, phases by frame number, and the faults.
    """
    file = path.relative_to(folder).as_posix()
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").split("\n") if path.is_file() else None
    except OSError:
        lines = None
    if lines is None:
        return {}, {}, [Fault(file, None, "is missing: no phases, no EF")]
    found: dict[str, float] = {}
    texts, faults = {}, []
    for row, line in enumerate(lines, start=1):
        name, _, text = (part.strip() for part in line.partition(":"))
        key, value = name.lower(), text.lower()
        if key in _INFO_TEXTS.values():
            texts[key] = text
        if key in ("ed", "es") or any(key in keys for keys in _INFO_KEYS.values()):
            try:
                found[key] = float(value)
            except ValueError:
                found[key] = math.nan
            is_frame = key in ("ed", "es")
            if not math.isfinite(found[key]) or (is_frame and not 1 <= found[key] < 1e6):
                faults.append(Fault(file, row, f"{quote(value)} is not a number in the valid range", key.upper()))
                del found[key]
    values = {name: next((found[key] for key in keys if key in found), math.nan) for name, keys in _INFO_KEYS.items()}
    described = {name: texts[key] for name, key in _INFO_TEXTS.items() if key in texts}
    return values | described, {int(found[key]) - 1: key.upper() for key in ("ed", "es") if key in found}, faults


def _patients_folder(folder: Path) -> Path | None:
    """The folder that contains the patients' folders."""
    candidates = (folder / name for name in _SUBFOLDERS)
    return next((path for path in candidates if any(path.glob("patient*/patient*_[24]CH_*"))), None)


def _find_volume(folder: Path, stem: str) -> Path | None:
    paths = (folder / f"{stem}{suffix}" for suffix in VOLUME_SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def _subgroup_patterns(patients: Path) -> tuple[tuple[Path, str], ...]:
    pattern = "subgroup_*.txt"
    return (patients, pattern), (patients.parent, pattern), (patients.parent / "database_split", pattern)


def _read_splits(patients: Path) -> dict[str, str]:
    """Patient → subgroup; empty if there are no subgroup files."""
    splits: dict[str, str] = {}
    for parent, pattern in _subgroup_patterns(patients):
        for path in filter(Path.is_file, parent.glob(pattern)):
            name = _SUBGROUPS.get(path.stem.removeprefix("subgroup_"))
            lines = path.read_text(encoding="utf-8-sig", errors="replace").split("\n") if name else []
            for row, line in enumerate(lines, start=1):
                for patient in line.split():
                    if name and splits.setdefault(patient, name) != name:
                        raise DataError(f"{path}:{row}: {patient} is in two subgroups; keep it in only one")
    return splits
