"""Reads data sets with masks: each mask becomes the contour of its largest connected component.

An empty mask in a stack of slices states that the slice does not show the structure. It is kept as a blank, a tracing
without points. An empty mask of a time point states nothing: usually only ED and ES are traced.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from echoseg.datasets.alignment import align_mask
from echoseg.datasets.mask_shape import find_impossible, outside_contour
from echoseg.datasets.mask_values import (
    MaskContent,
    MaskRule,
    decide,
    decide_for_each,
    examine,
    round_values,
    uses_colours,
)
from echoseg.datasets.patients import VIEWS, detach_marks, patient_of_name
from echoseg.datasets.recording import Dataset, Fault, Recording, Tracing
from echoseg.datasets.structure import Label, is_chamber
from echoseg.errors import DataError
from echoseg.geometry.level_set import mask_contour
from echoseg.io.file_types import IMAGE_SUFFIXES, VOLUME_SUFFIXES
from echoseg.io.image import is_image
from echoseg.io.label_image import label_name
from echoseg.io.reading import open_volume, read_clip, read_labels, read_palette, read_voxels
from echoseg.utils.parallel import map_in_order

FILE_SUFFIXES = (*VOLUME_SUFFIXES, *IMAGE_SUFFIXES)
MASK_SUFFIXES = tuple(
    mark + word for mark in "_-." for word in ("gt", "seg", "segmentation", "label", "labels", "mask")
)
"""What a mask's name may have after the name of its image."""

_PHASE = re.compile(r"(?:^|[_\- ])(ed|es)(?=[_\- ]|$)", re.IGNORECASE)
_VIEW = re.compile(rf"(?:^|[_\- ])({'|'.join(VIEWS)})(?=[_\- ]|$)", re.IGNORECASE)
_SLICE = re.compile(r".+[_-](slice|z)[_-]?\d+([_-].*)?", re.IGNORECASE)
_PALETTES = (".png", ".bmp", ".tif", ".tiff", ".gif")  # the images that may have a palette


class MaskPair(NamedTuple):
    """An image file and its mask file.

    Attributes:
        recording: The recording; its tracings, spacing and thickness are not set yet.
        mask: The file of its masks.
        phases: Frame number → "ED" or "ES", for frames of known phase.
        phase: The phase of all other frames.
    """

    recording: Recording
    mask: Path
    phases: Mapping[int, str] = MappingProxyType({})
    phase: str = ""


class _PairResult(NamedTuple):
    recording: Recording | None
    faults: list[Fault]
    empty: int
    content: MaskContent | None = None
    notes: tuple[tuple[Path, str], ...] = ()


class MaskValues(NamedTuple):
    """The content of a mask file, and what the header of its image says.

    Attributes:
        values: (T, H, W) mask values, in the orientation of the image's frames.
        spacing: (row, column) mm per pixel of the image; nan if unknown.
        thickness: Distance between slices in mm; nan if the frames are time points.
        time_points: The number of time points of a stack; see `echoseg.io.clip.Clip`.
        notes: What had to be chosen when the two files were read, for the user, each with the file.
    """

    values: NDArray[Any]
    spacing: tuple[float, float] = (math.nan, math.nan)
    thickness: float = math.nan
    time_points: int = 1
    notes: tuple[tuple[Path, str], ...] = ()


def read_masks(folder: Path, pairs: Sequence[MaskPair], faults: Sequence[Fault], label: Label | None) -> Dataset:
    """Read pairs of image and mask files in parallel.

    What the values of the masks mean is decided for all files together, after they are read. Files that were read
    otherwise are then read again.

    Args:
        folder: The data set's folder.
        pairs: The files to read.
        faults: Faults found before, to include in the result.
        label: The structure in the data set's description. None without a description: all values except 0, which then
            must be one label.

    Raises:
        DataError: Nothing is usable, or it is unclear which label is the structure.
    """
    by_colour = are_colours([pair.mask for pair in pairs], label)
    rule = MaskRule(label.values if label else ())
    may_have_holes = label is not None and not is_chamber(label.structure)
    read = partial(_read_one, folder=folder, by_colour=by_colour, may_have_holes=may_have_holes)
    reading = map_in_order(partial(read, rule=rule), pairs)
    results = list(tqdm(reading, total=len(pairs), desc="masks", unit="file", disable=None))
    files = [pair.mask.relative_to(folder).as_posix() for pair in pairs]
    contents = {file: item.content for file, item in zip(files, results, strict=True) if item.content is not None}
    decision = decide(contents, label, folder)
    for number, (file, pair) in enumerate(zip(files, pairs, strict=True)):
        if file in decision.odd:
            results[number] = _PairResult(None, [Fault(file, None, decision.odd[file])], 0)
        elif file in contents and (contents[file].is_soft or decision.rule.labels != rule.labels):
            results[number] = read(pair, rule=decision.rule)
    recordings = tuple(result.recording for result in results if result.recording is not None)
    faults = [*faults, *(fault for result in results for fault in result.faults)]
    if not any(len(tracing.coordinates) for recording in recordings for tracing in recording.tracings):
        cause = f"{faults[0]} (fault 1 of {len(faults)})" if faults else "it has no pairs of image and mask"
        raise DataError(f"{folder}: contains nothing usable; {cause}")
    empty = sum(result.empty for result in results)
    notes = (*decision.notes, *_describe(recordings, results), *_join_notes(folder, results))
    return Dataset(folder, "points", recordings, tuple(faults), empty, notes)


def _describe(recordings: Sequence[Recording], results: Sequence[_PairResult]) -> list[str]:
    """What the contours do not show of the masks, and the share of empty masks, a line each."""
    tracings = [tracing for recording in recordings for tracing in recording.tracings]
    pieces, holes = ([getattr(item, name) for item in tracings if getattr(item, name)] for name in ("pieces", "holes"))
    notes = []
    if pieces:
        notes.append(f"pieces beside the largest one are left out of {len(pieces)} masks, at most {max(pieces):.1%}")
    if holes:
        notes.append(f"holes are filled in {len(holes)} masks, at most {max(holes):.1%} of the contour")
    contents = [result.content for result in results if result.content is not None]
    empty = sum(not content.pixels for content in contents)
    if empty > len(contents) / 2:
        notes.append(f"{empty} of {len(contents)} masks are empty")
    return notes


def are_colours(masks: Sequence[Path], label: Label | None) -> bool:
    """Whether the labels of masks with palettes are their colours; see `uses_colours`.

    Args:
        masks: The files of all masks.
        label: The structure in their description; None without a description.
    """
    has_palette = [mask for mask in masks if mask.name.lower().endswith(_PALETTES)]
    return uses_colours(list(map_in_order(_palette, has_palette)), label)


def structure_pixels(values: NDArray[Any], label: Label | None, mask: Path) -> NDArray[np.bool_]:
    """(T, H, W) bool: the pixels of a structure in a single true mask.

    Args:
        values: (T, H, W) mask values.
        label: The structure in the description of the masks; None without a description.
        mask: The mask's path, for the error message.

    Raises:
        DataError: It is unclear which label is the structure, or the mask is impossible for it.
    """
    values, is_noisy = round_values(values)
    content = examine(values, is_noisy=is_noisy)
    inside = decide_for_each({mask.name: content}, label, mask.parent).rule.select(values, content)
    if problem := find_impossible(inside, may_have_holes=label is not None and not is_chamber(label.structure)):
        raise DataError(f"{mask}: {problem}")
    return inside


def stem_of(path: Path) -> str:
    """A file name without its suffix; ".nii.gz" is one suffix."""
    suffix = next((suffix for suffix in FILE_SUFFIXES if path.name.lower().endswith(suffix)), "")
    return path.name[: len(path.name) - len(suffix)]


def parse_stem(stem: str) -> tuple[str, str, str]:
    """Patient, phase and view in a file name such as "p1_4CH_ED", "p1_frame01", "p1_ES_slice3" or "p1ED".

    Phase and view are "" if the name does not contain them.
    """
    marks = detach_marks(stem)
    phase, view = _PHASE.search(marks), _VIEW.search(marks)
    return patient_of_name(stem), phase[1].upper() if phase else "", VIEWS[view[1].lower()] if view else ""


def _palette(mask: Path) -> NDArray[np.int32]:
    try:
        return read_palette(mask)
    except DataError:  # `_read_one` reports it
        return np.empty(0, np.int32)


def _read_one(pair: MaskPair, *, folder: Path, rule: MaskRule, by_colour: bool, may_have_holes: bool) -> _PairResult:
    recording, mask = pair.recording, pair.mask
    file = mask.relative_to(folder).as_posix()
    try:
        values, spacing, thickness, time_points, notes = read_pair(recording.path, mask, by_colour=by_colour)
    except DataError as error:
        damaged = mask if str(error).startswith(f"{mask}: ") else recording.path
        reason = str(error).removeprefix(f"{damaged}: ")
        return _PairResult(None, [Fault(damaged.relative_to(folder).as_posix(), None, reason)], 0)
    values, is_noisy = round_values(values)
    content = examine(values, is_noisy=is_noisy)
    inside = rule.select(values, content)
    if problem := find_impossible(inside, may_have_holes=may_have_holes):
        return _PairResult(None, [Fault(file, None, problem)], 0, content)
    contours = [mask_contour(frame) for frame in inside]
    traced = np.flatnonzero(inside.any(axis=(1, 2)))
    if len(contours) == 1:
        keep_blanks = _SLICE.fullmatch(detach_marks(stem_of(recording.path))) is not None
    elif time_points > 1:
        keep_blanks = False
    else:  # two separate frames are ED and ES of a sequence that its header does not declare
        keep_blanks = math.isfinite(thickness) and len(traced) > 0 and not (len(traced) == 2 and np.ptp(traced) > 1)
    times = {} if time_points == 1 else _traced_times(inside, time_points)
    tracings = tuple(
        Tracing(
            frame,
            contour,
            0,
            pair.phases.get(frame, times.get(frame) or pair.phase),
            file,
            *outside_contour(inside[frame]),
        )
        for frame, contour in enumerate(contours)
        if len(contour) or keep_blanks or frame in times
    )
    if not tracings:
        wanted, found = (", ".join(map(label_name, sorted(names)[:8])) for names in (rule.labels, content.pixels))
        problem = f"has no pixel of label {wanted}, only of {found}" if found and rule.labels else "is empty"
        return _PairResult(None, [Fault(file, None, f"{problem}; replace or remove it")], 0, content)
    recording = dataclasses.replace(recording, tracings=tracings, spacing=spacing, thickness=thickness)
    return _PairResult(recording, [], len(contours) - len(tracings), content, notes)


def _traced_times(inside: NDArray[np.bool_], time_points: int) -> dict[int, str]:
    """Frame → phase, for the slices of all time points that are traced.

    If exactly two time points are traced, the one with the larger volume is ED, the other ES; else the phase is "".
    """
    volumes = inside.reshape(time_points, -1).sum(axis=1)
    traced = np.flatnonzero(volumes)
    phases = dict.fromkeys(traced.tolist(), "")
    if len(traced) == 2 and volumes[traced[0]] != volumes[traced[1]]:
        phases = {int(volumes.argmax()): "ED", int(traced[volumes[traced].argmin()]): "ES"}
    slices = len(inside) // time_points
    return {time * slices + number: phase for time, phase in sorted(phases.items()) for number in range(slices)}


def read_pair(image: Path, mask: Path, *, by_colour: bool = False) -> MaskValues:
    """Read a mask, and bring it over to the voxels of its image.

    Args:
        image: The image file.
        mask: The mask file.
        by_colour: Whether the colours of a palette are labels, not its indices.

    Raises:
        DataError: A file is missing or damaged, or the two differ in file type, size or place.
    """
    if is_image(image) or is_image(mask):
        if is_image(image) != is_image(mask):
            raise DataError(f"{mask}: has another file type than {image.name}; convert one of them")
        clip, values = read_clip(image), read_labels(mask, by_colour=by_colour)
        _compare_sizes(mask, values.shape[:0:-1], clip.frames.shape[:0:-1])
        if len(values) != len(clip.frames):
            raise DataError(f"{mask}: has {len(values)} pages, its image {len(clip.frames)}; give both the same number")
        facts = (clip.spacing, clip.thickness, clip.time_points)
        return MaskValues(values, *facts, notes=((image, clip.note),) if clip.note else ())
    header = open_volume(image)
    aligned, note = align_mask(open_volume(mask), header)
    notes = tuple((path, text) for path, text in ((image, header.note), (mask, note)) if text)
    return MaskValues(read_voxels(aligned), header.spacing, header.thickness, header.time_points, notes)


def _join_notes(folder: Path, results: Sequence[_PairResult]) -> tuple[str, ...]:
    """Each note once, with the first file that it is about and the number of others."""
    files: dict[str, list[Path]] = defaultdict(list)
    for path, note in (item for result in results for item in result.notes):
        files[note].append(path)
    return tuple(
        f"{paths[0].relative_to(folder).as_posix()}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''}: {note}"
        for note, paths in files.items()
    )


def _compare_sizes(mask: Path, size: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if size != expected:
        text, expected_text = ("×".join(map(str, sides)) for sides in (size, expected))
        raise DataError(f"{mask}: is {text}, its image {expected_text}; give both the same size")
