"""Finds the files to segment: names of their results, patients, true masks, and what a data set says of them."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from echoseg.datasets.clips import recordings_by_file
from echoseg.datasets.decathlon import without_channel
from echoseg.datasets.patients import BY_NAME, apply_rule, names_patient, patient_of_name
from echoseg.datasets.recording import Dataset, Recording
from echoseg.errors import DataError
from echoseg.inference.body_surface import body_surface_areas
from echoseg.inference.predictor import OPTIONAL_FILES
from echoseg.inference.truth import find_truth, is_truth
from echoseg.io.axes import DESCRIBED_FOLDERS
from echoseg.io.description import DESCRIPTION
from echoseg.io.file_types import suffix_of, unread_reason
from echoseg.io.reading import is_clip, series_files
from echoseg.training.checkpoint import BEST, CONFIG
from echoseg.utils.files import hash_file

_RESERVED = re.compile(r"manifest-\d+\.jsonl|results\.(csv|parquet)|\..*\.part", re.IGNORECASE)
_MASKS, _TABLES = ("masks.tif", "mask.nii.gz"), ("frames.csv", "slices.csv")  # of a file's results
_LEARNED = re.compile(r".+-learned-\d+")  # the folders of `echoseg.review.learning`, with copies of the files in data/
_RUN_FILES = (CONFIG, BEST, *OPTIONAL_FILES)


@dataclass(frozen=True)
class InputFile:
    """One file to segment.

    Attributes:
        name: Name of the folder for its results, relative to the output folder, with "/" between parts.
        path: The file.
        key: Hash of the run, the settings, and the size and modification time of the file.
        recording: The metadata that a data set lists for the file; None if the file is not part of a data set.
        truth: The file of the ground truth mask; None if there is none.
        bsa: Body surface area of the patient, m²; nan if it is unknown.
        patient: The patient.
        patient_source: How the patient was found, such as "by the file's name".
    """

    name: str
    path: Path
    key: str
    recording: Recording | None = None
    truth: Path | None = None
    bsa: float = math.nan
    patient: str = ""
    patient_source: str = ""


def find_input_files(
    inputs: Sequence[Path],
    run: Path,
    settings: object,
    *,
    out: Path,
    structure: str | None = None,
    patients: str | None = None,
    truth: Path | None = None,
    bsa: float | str | os.PathLike[str] | None = None,
) -> list[InputFile]:
    """Find the files to segment; folders are searched with their subfolders.

    The slices of a DICOM series in a folder are one input, whose path is the folder. In folders, hidden files, tables
    and texts, the ground truth masks beside volumes, and what echoseg wrote (see `walk_inputs`) are left out. Images
    and videos of a type that is not read are included, and fail with the reason. Results are named by the path relative
    to the deepest folder that contains every input, without suffix. If two names would be equal, all names keep their
    suffix.
    A series beside other inputs in its folder is named FOLDER/series.

    Args:
        inputs: Files, which are always included, and folders.
        run: The run folder.
        settings: Everything else that the results depend on; its `repr` is part of the key.
        out: The output folder, which is not searched.
        structure: The name of the structure that the run segments.
        patients: A rule that finds the patients in names; see `echoseg.datasets.patients.apply_rule`. None takes them
            from a data set, else from the folder or the name of a file.
        truth: A folder with ground truth masks; None searches as `echoseg.inference.truth.find_truth` says.
        bsa: Body surface areas; see `echoseg.inference.body_surface`.

    Returns:
        The files, folder by folder in the order of `inputs`.

    Raises:
        DataError: An input is missing, no file is found, the inputs are on different drives, the results of a file
            would have a reserved name, `truth` has no mask of any file, or `bsa` or `patients` cannot be used.
    """
    files: dict[Path, None] = {}
    recordings: dict[Path, Recording] = {}
    folders = []
    for path in inputs:
        if not path.exists():
            raise DataError(f"{path}: no such file or folder; check the path")
        folder = (path if path.is_dir() else path.parent).resolve()
        folders.append(folder)
        files |= dict.fromkeys(walk_inputs(folder, out.resolve()) if path.is_dir() else [folder / path.name])
        recordings |= recordings_by_file(folder, structure) if path.is_dir() else {}
    if not files:
        raise DataError(f"{', '.join(map(str, inputs))}: no file that contains frames; give another folder")
    folders += [path.parent for path in files if path.is_dir()]  # so that the results of a series have a name
    try:
        top = Path(os.path.commonpath(folders))
    except ValueError:
        raise DataError(
            f"{', '.join(map(str, inputs))}: are on different drives; predict the files of one drive after the other"
        ) from None
    names = _result_names(list(files), top, out)
    origin = [hash_file(run / name) if (run / name).exists() else "" for name in _RUN_FILES], settings
    if truth is not None and not truth.is_dir():
        raise DataError(f"{truth}: no such folder; give one with ground truth masks")
    listed = {path: recordings.get(path.resolve()) for path in files}
    truths = {path: find_truth(path, truth) for path in files}
    if truth is not None and not any(truths.values()):
        raise DataError(f"{truth}: has no mask with the name of an input, such as {names[0]}; give another folder")
    of_patients = _find_patients(listed, top, patients)
    areas = {} if bsa is None else body_surface_areas(bsa, [patient for patient, _ in of_patients])
    input_files = []
    for name, (path, recording), (patient, source) in zip(names, listed.items(), of_patients, strict=True):
        mask, area = truths[path], areas.get(patient, math.nan)
        metadata = None if recording is None else (recording.fps, recording.spacing)
        key = _key((origin, metadata, area, patient, mask and _key("", mask)), path)
        input_files.append(InputFile(name, path, key, recording, mask, area, patient, source))
    return input_files


def _find_patients(listed: Mapping[Path, Recording | None], top: Path, rule: str | None) -> list[tuple[str, str]]:
    """The patient of each file, and how it was found.

    Args:
        listed: The files, below `top`, and what a data set says of them.
        top: The folder whose `dataset.json` may have a rule.
        rule: The rule of the user.
    """
    found = [
        (recording.patient, "by the data set") if recording else (_patient_of_path(path), BY_NAME)
        for path, recording in listed.items()
    ]
    recordings = [Recording(path.name, path, patient, ()) for path, (patient, _) in zip(listed, found, strict=True)]
    ruled = apply_rule(Dataset(top, "points", tuple(recordings), (), patients=""), rule)
    return [(recording.patient, ruled.patients) for recording in ruled.recordings] if ruled.patients else found


def _patient_of_path(path: Path) -> str:
    """The patient of a file by its folder, if that is named for a patient, else by its name."""
    stem = without_channel(_without_suffix(path.name))
    folder = path.parent.name
    return folder if names_patient(folder) and not names_patient(stem) else patient_of_name(stem)


def _result_names(paths: Sequence[Path], top: Path, out: Path) -> list[str]:
    """The name of the results of each path, which lies below the folder `top`.

    Names without suffixes must differ in more than case: many file systems of macOS and Windows ignore it.

    Raises:
        DataError: A name is reserved in the output folder.
    """
    with_inputs = {parent for path in paths for parent in path.parents}
    places = [path / "series" if path in with_inputs else path for path in paths]  # no results inside other results
    names = [path.relative_to(top).as_posix().encode(errors="backslashreplace").decode() for path in places]
    short = [name if path.is_dir() else _without_suffix(name) for name, path in zip(names, paths, strict=True)]
    folders = {parent.as_posix().casefold() for name in names for parent in PurePosixPath(name).parents}
    distinct = {name.casefold() for name in short}
    if len(distinct) == len(short) and folders.isdisjoint(distinct) and not any(map(_is_reserved, short)):
        return short
    for name, path in zip(names, paths, strict=True):
        if _is_reserved(name):
            raise DataError(f"{path}: {out} needs the name of this file for its own table or manifest; rename the file")
    return names


def name_in_folder(path: Path, folder: Path) -> str:
    """The name of an input that was found in a folder, in tables that name no folders.

    Args:
        path: The input, as `walk_inputs` gives it.
        folder: The folder.

    Returns:
        The parts of the path in the folder, by `join_parts`; the folder's name if its slices are the input.
    """
    own = folder.resolve().name if folder.name in ("", "..") else folder.name
    return join_parts(path.relative_to(folder).parts or (own,), is_folder=path.is_dir())


def join_parts(parts: Sequence[str], *, is_folder: bool) -> str:
    """Join the parts of a path to a name.

    Args:
        parts: The parts.
        is_folder: Whether the last part is a folder too. In the names of folders, "_" replaces commas and quotation
            marks, which tables cannot contain.
    """
    folders = len(parts) if is_folder else len(parts) - 1
    return "_".join([*(re.sub('[,"]', "_", part) for part in parts[:folders]), *parts[folders:]])


def walk_inputs(folder: Path, out: Path | None = None) -> Iterator[Path]:
    """The inputs in a folder and its subfolders: files, and folders with a series' slices.

    Subfolders that are hidden or that echoseg wrote are left out: runs, the folders with a file's mask and table that
    `echoseg predict` and `review --export-masks` write, and those of "Learn from my corrections".

    Args:
        folder: The folder.
        out: A folder that is left out.
    """
    for parent, folders, files in os.walk(folder):
        path = Path(parent)
        if path != folder and _is_written(path, {*folders, *files}):
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith(".") and path / name != out)
        series = series_files(path)
        if series:
            yield path
        yield from (path / name for name in sorted(files) if _is_input(path / name) and path / name not in series)


def _is_written(folder: Path, names: Set[str]) -> bool:
    """Whether echoseg wrote a folder, which has these names in it."""
    is_result = not names.isdisjoint(_MASKS) and not names.isdisjoint(_TABLES)
    return is_result or names >= {CONFIG, BEST} or ("data" in names and _LEARNED.fullmatch(folder.name) is not None)


def _is_input(path: Path) -> bool:
    if not path.is_file() or path.name.startswith("."):
        return False
    return (is_clip(path) or unread_reason(path) != "") and not is_truth(path)


def _without_suffix(name: str) -> str:
    """Remove the suffix, unless only dots would be left: ".." from "...avi" would be the parent folder."""
    path = PurePosixPath(name)
    stem = path.name.removesuffix(suffix_of(path.name))
    return path.with_name(stem).as_posix() if stem.strip(".") else name


def _is_reserved(name: str) -> bool:
    """Whether results of this name would overwrite a manifest or a table of results."""
    return _RESERVED.fullmatch(name.split("/")[0]) is not None


def _key(origin: object, path: Path) -> str:
    descriptions = (folder / DESCRIPTION for folder in path.absolute().parents[:DESCRIBED_FOLDERS])
    files = [*(sorted(path.iterdir()) if path.is_dir() else [path]), *filter(Path.is_file, descriptions)]
    statuses = [file.stat() for file in files]
    versions = [value for status in statuses for value in (status.st_size, status.st_mtime_ns)]
    return hashlib.sha256(repr((origin, *versions)).encode()).hexdigest()[:16]
