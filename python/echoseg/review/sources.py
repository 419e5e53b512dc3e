"""The files of a review: which files an input names, and which of them can be shown.

A file is named in the tables by its file name. If several files have this name, as those of a scanner, those that were
found in a folder are named by their path in it, with "_" between its parts: the tables of tracings have no folders.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from echoseg.datasets.clips import read_recording
from echoseg.datasets.corrections import name_in_tables
from echoseg.datasets.formats import FORMATS, read_dataset
from echoseg.datasets.recording import Recording
from echoseg.datasets.tracings import check_name, stem_of
from echoseg.errors import DataError
from echoseg.inference.input_files import walk_inputs
from echoseg.io.clip import Clip
from echoseg.io.reading import read_clip
from echoseg.utils.parallel import map_in_order
from echoseg.utils.table import quote, read_numbers, read_table

_LEARNED = re.compile(r".+-learned-\d+")  # the folders that `Learning` writes, with copies of the files


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

    Args:
        inputs: Videos, folders of videos, data sets, or tables that `echoseg suggest` wrote.
        data: A data set with tracings of the videos; None if there is none.
        structure: The name of the structure whose tracings are read; see `echoseg.datasets.formats.read_dataset`.

    Returns:
        The files, and the kind of their tracings, "chords" or "points"; None if there are no tracings.

    Raises:
        DataError: An input is missing or a damaged table, no file is found, two files have the same name without its
            suffix, a name cannot be written to a table, or the inputs have tracings of both kinds.
    """
    review_clips, kinds = [], []
    traced: list[ReviewClip] = []
    tops: dict[Path, Path] = {}
    if data is not None:
        traced, kind = _read_data(data, structure)
        kinds.append(kind)
    counts = Counter(review_clip.path.name for review_clip in traced)
    by_name = {review_clip.path.name: review_clip for review_clip in traced if counts[review_clip.path.name] == 1}
    for path in inputs:
        if not path.exists():
            raise DataError(f"{path}: no such file or folder; check the path")
        if path.is_dir() and any(dataset_format.matches(path) for dataset_format in FORMATS.values()):
            of_dataset, kind = _read_data(path, structure)
            kinds.append(kind)
            review_clips += of_dataset
        elif path.is_dir():
            for file in _files_in(path):
                tops[file] = path
                name = file.name or file.resolve().name  # of a series in "."
                review_clips.append(by_name.get(name) or ReviewClip(file, name))
        elif path.suffix.lower() == ".csv":
            for file, frames in _read_suggestions(path).items():
                found = by_name.get(file.name) or ReviewClip(file, file.name)
                review_clips.append(replace(found, suggested=frames))
        else:
            review_clips.append(by_name.get(path.name) or ReviewClip(path, path.name))
    if not review_clips:
        raise DataError(f"{inputs[0]}: the folder contains no file with frames; give videos, or a folder of videos")
    review_clips = _with_unique_names(review_clips, tops)
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


def _files_in(folder: Path) -> Iterator[Path]:
    """The inputs in a folder and its subfolders, without those of trainings on corrections."""
    for path in walk_inputs(folder):
        if not any(map(_LEARNED.fullmatch, path.relative_to(folder).parts[:-1])):
            yield path


def _with_unique_names(review_clips: Sequence[ReviewClip], tops: Mapping[Path, Path]) -> list[ReviewClip]:
    """The files, of which those with the name of another one are named by their path in the folder of `tops`."""
    counts = Counter(stem_of(review_clip.name) for review_clip in review_clips)
    named = []
    for review_clip in review_clips:
        top = tops.get(review_clip.path, review_clip.path)
        if counts[stem_of(review_clip.name)] > 1 and top != review_clip.path and review_clip.recording is None:
            review_clip = replace(review_clip, name="_".join(review_clip.path.relative_to(top).parts))
        named.append(review_clip)
    return named


def _read_suggestions(path: Path) -> dict[Path, tuple[int, ...]]:
    """The frames of each file in a table that `echoseg suggest` wrote, in its order.

    Raises:
        DataError: The table is damaged, or a file is missing.
    """
    cells = read_table(path, ("file", "frame")).cells
    numbers, bad = read_numbers(cells["frame"])
    frames: dict[Path, tuple[int, ...]] = {}
    for row, name, number, is_bad in zip(cells.index, cells["file"], numbers, bad, strict=True):
        if is_bad or number < 0 or number != int(number):
            raise DataError(
                f"{path}:{row}:frame: {quote(cells['frame'][row])} is not the number of a frame; fix the cell"
            )
        file = Path(name) if Path(name).exists() else path.parent / name
        if not file.exists():
            raise DataError(f"{path}:{row}:file: {quote(name)} does not exist; run echoseg suggest again")
        frames[file] = (*frames.get(file, ()), int(number))
    return frames


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
