"""The files of a review: which files an input names, and which of them can be shown.

A file that is found in a folder is named in the tables by its path in it, with "_" between its parts, since the tables
of tracings have no folders. Other files have their file name.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from echoseg.datasets.clips import read_recording
from echoseg.datasets.corrections import name_in_tables
from echoseg.datasets.file_contents import hash_content
from echoseg.datasets.formats import FORMATS, read_dataset
from echoseg.datasets.pairs import IMAGE_FOLDERS, MASK_FOLDERS
from echoseg.datasets.patients import Folder, names_patient, patient_of_name, patients_of_folders
from echoseg.datasets.recording import Recording
from echoseg.datasets.split import SPLIT_WORDS
from echoseg.datasets.tracings import check_name, stem_of
from echoseg.errors import DataError
from echoseg.inference.input_files import join_parts, name_in_folder, walk_inputs
from echoseg.io.clip import Clip
from echoseg.io.reading import read_clip
from echoseg.utils.parallel import map_in_order
from echoseg.utils.table import quote, read_numbers, read_table

_OF_FILMS = [word + ending for word in ("video", "film", "cine", "clip", "movie") for ending in ("", "s")]
_NOT_OF_A_PATIENT = {*SPLIT_WORDS, *IMAGE_FOLDERS, *MASK_FOLDERS, *_OF_FILMS, "dicom", "dcm", "avi", "mp4"}


@dataclass(frozen=True, eq=False)
class ReviewClip:
    """A file to review.

    Attributes:
        path: The file.
        name: The name of the file in the tables of corrections.
        recording: The recording with an expert's tracings; None if there is none.
        suggested: The frames that `echoseg suggest` chose.
    """

    path: Path
    name: str
    recording: Recording | None = None
    suggested: tuple[int, ...] = ()


def find_review_clips(
    inputs: Sequence[Path], data: Path | None, structure: str | None = None
) -> tuple[list[ReviewClip], str | None]:
    """Find the files to review and their tracings; folders are searched with their subfolders.

    A file that several inputs contain comes once, with the name by the first of them; those of a data set may not be
    inputs of their own too.

    Args:
        inputs: Videos, folders of videos, data sets, or tables that `echoseg suggest` wrote.
        data: A data set with tracings of the videos; None if there is none. A video gets those of the data set's file
            of its name that is the same file, else of the only one with the same content.
        structure: The name of the structure whose tracings are read; see `echoseg.datasets.formats.read_dataset`.

    Returns:
        The files, and the kind of their tracings, "chords" or "points"; None if there are no tracings.

    Raises:
        DataError: An input is missing or a damaged table, no file is found, two files have the same name without its
            suffix, a name cannot be written to a table, or the inputs have tracings of both kinds.
    """
    review_clips, kinds = list[ReviewClip](), []
    traced: list[ReviewClip] = []
    if data is not None:
        traced, kind = _read_data(data, structure)
        kinds.append(kind)
    by_name = defaultdict(list)
    for review_clip in traced:
        by_name[review_clip.path.name].append(review_clip)
    hashed = functools.cache(hash_content)
    places: dict[Path, int] = {}  # several inputs may contain a file
    for path in inputs:
        if not path.exists():
            raise DataError(f"{path}: no such file or folder; check the path")
        if path.is_dir() and any(dataset_format.matches(path) for dataset_format in FORMATS.values()):
            of_dataset, kind = _read_data(path, structure)
            kinds.append(kind)
            review_clips += of_dataset
            continue
        for loose in _loose_clips(path):
            review_clip = _with_tracings(loose, by_name, hashed)
            file = review_clip.path
            place = file.resolve() if file.is_dir() else file.parent.resolve() / file.name
            number = places.setdefault(place, len(review_clips))
            if number == len(review_clips):
                review_clips.append(review_clip)
                continue
            frames = dict.fromkeys((*review_clips[number].suggested, *review_clip.suggested))
            review_clips[number] = replace(review_clips[number], suggested=tuple(frames))
    if not review_clips:
        raise DataError(f"{inputs[0]}: the folder contains no file with frames; give videos, or a folder of videos")
    _check_names(review_clips)
    if len(set(kinds)) > 1:
        raise DataError(
            f"{inputs[0]}: some tracings are chords and some are points; review these data sets one after the other"
        )
    return review_clips, kinds[0] if kinds else None


def separate_unreadable(
    review_clips: Sequence[ReviewClip], inputs: Sequence[Path]
) -> tuple[list[ReviewClip], list[str]]:
    """Read the files to review, and leave out those that cannot be shown.

    The recordings of a data set are not read here, unless they are inputs by name; `echoseg check` reads them.

    Args:
        review_clips: The files, as `find_review_clips` returns them.
        inputs: The inputs that the user gave.

    Returns:
        The files that can be shown, and a line for each other file: file, cause and cure.

    Raises:
        DataError: No file can be shown.
    """
    given = {path.name for path in inputs}
    checked = [clip for clip in review_clips if clip.recording is None or clip.suggested or clip.path.name in given]
    problems = {
        clip: problem for clip, problem in zip(checked, map_in_order(_find_problem, checked), strict=True) if problem
    }
    lines = list(problems.values())
    if len(lines) == len(review_clips):
        raise DataError(lines[0] + (f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""))
    return [clip for clip in review_clips if clip not in problems], lines


def find_patients(sources: Sequence[ReviewClip]) -> dict[str, str | None]:
    """Find the patient of each file: that of the data set, else of the folder in which it was found.

    Args:
        sources: The files, as `find_review_clips` returns them.

    Returns:
        The patients by the names of the files in the tables. In a folder that is no patient's, that in the file's own
        name; None if only the name in the tables can show the patient.
    """
    folders = {source.name: _folder_in_input(source) for source in sources if source.recording is None}
    parts = {name: tuple(part for part in folders[name] if part.lower() not in _NOT_OF_A_PATIENT) for name in folders}
    stems = {source.name: stem_of(source.path.name) for source in sources}
    in_folders = defaultdict(list)
    for name, folder in parts.items():
        if folder:
            in_folders[folder].append(stems[name])
    of_folder = patients_of_folders(in_folders)

    def patient_of(source: ReviewClip) -> str | None:
        name = source.name
        if source.recording is not None:
            return source.recording.patient
        in_name = patient_of_name(stems[name]) if folders[name] and names_patient(stems[name]) else None
        return of_folder.get(parts[name], in_name)

    return {source.name: patient_of(source) for source in sources}


def _folder_in_input(source: ReviewClip) -> Folder:
    """The folders that the name of a file has before its file name; see `find_review_clips`."""
    parts, is_folder = source.path.parts, source.path.is_dir()
    lengths = range(1, len(parts) + 1)
    return next((parts[-n:-1] for n in lengths if join_parts(parts[-n:], is_folder=is_folder) == source.name), ())


def _loose_clips(path: Path) -> Iterable[ReviewClip]:
    """The files of an input that is not a data set."""
    if path.is_dir():
        return (ReviewClip(file, name_in_folder(file, path)) for file in walk_inputs(path))
    return _read_suggestions(path) if path.suffix.lower() == ".csv" else [ReviewClip(path, path.name)]


def _with_tracings(
    review_clip: ReviewClip, traced: Mapping[str, Sequence[ReviewClip]], hashed: Callable[[Path], str]
) -> ReviewClip:
    """A file with the tracings of a data set.

    Args:
        review_clip: The file.
        traced: The files of the data set by their file names. The same file is taken, else the only equal one.
        hashed: `hash_content`, which remembers.
    """
    path, candidates = review_clip.path, traced.get(review_clip.path.name, ())
    found = [candidate for candidate in candidates if _is_same(path, candidate.path)]
    found = found or [candidate for candidate in candidates if hashed(path) == hashed(candidate.path) != ""]
    return replace(found[0], suggested=review_clip.suggested) if len(found) == 1 else review_clip


def _is_same(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except OSError:  # of a video that the data set lists, but does not have
        return False


def _read_suggestions(path: Path) -> list[ReviewClip]:
    """The files in a table that `echoseg suggest` wrote, with their frames, both in its order.

    Raises:
        DataError: The table is damaged, or a file is missing.
    """
    cells = read_table(path, ("file", "frame"), optional=("name",)).cells
    names = cells["name"] if "name" in cells else cells["file"].map(lambda file: "")  # of an earlier version
    numbers, bad = read_numbers(cells["frame"])
    found: dict[Path, ReviewClip] = {}
    for row, cell, name, number, is_bad in zip(cells.index, cells["file"], names, numbers, bad, strict=True):
        if is_bad or number < 0 or number != int(number):
            raise DataError(
                f"{path}:{row}:frame: {quote(cells['frame'][row])} is not the number of a frame; fix the cell"
            )
        file = Path(cell) if Path(cell).exists() else path.parent / cell
        if not file.exists():
            raise DataError(f"{path}:{row}:file: {quote(cell)} does not exist; run echoseg suggest again")
        review_clip = found.get(file, ReviewClip(file, name or file.name))
        found[file] = replace(review_clip, suggested=(*review_clip.suggested, int(number)))
    return list(found.values())


def _find_problem(review_clip: ReviewClip) -> str:
    try:
        read_source(review_clip)
    except DataError as error:
        return str(error)
    return ""


def read_source(review_clip: ReviewClip) -> Clip:
    """Read the clip of a file.

    Args:
        review_clip: The file.

    Raises:
        DataError: The file is damaged, or a stack over time, which the page does not show.
    """
    recording = review_clip.recording
    clip = read_clip(review_clip.path) if recording is None else read_recording(recording)
    if clip.time_points > 1:
        raise DataError(
            f"{review_clip.path}: is a stack over time, which the page does not show; save the time points to review as"
            " files of their own, with the axes x, y, slices"
        )
    return clip


def _check_names(review_clips: Sequence[ReviewClip]) -> None:
    """Check that all names can be written to tables and are unique.

    Raises:
        DataError: A name contains characters that a table cannot contain, or two files have the same name
            without its suffix, by which data sets name their files.
    """
    for review_clip in review_clips:
        name = review_clip.name
        if check_name(stem_of(name)) or name.strip() != name or set(name) & set(',"'):
            reason = f"the name {quote(name)} cannot be written to a table; rename the file or its folder"
            raise DataError(f"{review_clip.path}: {reason}")
    first: dict[str, Path] = {}
    for review_clip in review_clips:
        stem = stem_of(review_clip.name)
        if stem in first:
            raise DataError(
                f"{first[stem]} and {review_clip.path} have the same name, {stem}; review them one after the other,"
                " each with its own --corrections"
            )
        first[stem] = review_clip.path


def _read_data(folder: Path, structure: str | None) -> tuple[list[ReviewClip], str]:
    """The files of a data set, and the kind of its tracings."""
    dataset = read_dataset(folder, structure)
    review_clips = [
        ReviewClip(recording.path, name_in_tables(recording), recording) for recording in dataset.recordings
    ]
    return review_clips, dataset.kind
