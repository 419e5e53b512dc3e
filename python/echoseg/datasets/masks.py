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
from echoseg.datasets.recording import Dataset, Fault, Recording, Tracing
from echoseg.errors import DataError
from echoseg.geometry.level_set import mask_contour
from echoseg.io.file_types import IMAGE_SUFFIXES, VOLUME_SUFFIXES
from echoseg.io.image import is_image
from echoseg.io.reading import open_volume, read_clip, read_image, read_voxels
from echoseg.utils.parallel import map_in_order

FILE_SUFFIXES = (*VOLUME_SUFFIXES, *IMAGE_SUFFIXES)
MASK_SUFFIXES = tuple(mark + word for mark in "_-" for word in ("gt", "seg", "segmentation", "label", "labels", "mask"))
"""What a mask's name may have after the name of its image."""

_VIEWS = {"2ch": "A2C", "a2c": "A2C", "4ch": "A4C", "a4c": "A4C", "psax": "PSAX", "sax": "SAX"}
_TOKEN = re.compile(rf"(.+?)[_-](ed|es|{'|'.join(_VIEWS)}|(?:frame|slice|time|t|z)[_-]?\d+)", re.IGNORECASE)
_SLICE = re.compile(r".+[_-](slice|z)[_-]?\d+([_-].*)?", re.IGNORECASE)
_LOSSY = (".jpg", ".jpeg")  # compression changes the values of a mask


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


def read_masks(
    folder: Path, pairs: Sequence[MaskPair], faults: Sequence[Fault], labels: tuple[int, ...] | None
) -> Dataset:
    """Read pairs of image and mask files in parallel.

    Args:
        folder: The data set's folder.
        pairs: The files to read.
        faults: Faults found before, to include in the result.
        labels: The mask values of the structure. None means all values except 0, which then must be one value.

    Raises:
        DataError: Nothing is usable, or the masks have several labels and `labels` is None.
    """
    reading = map_in_order(partial(_read_one, folder=folder, labels=labels), pairs)
    results = list(tqdm(reading, total=len(pairs), desc="masks", unit="file", disable=None))
    recordings = tuple(result.recording for result in results if result.recording is not None)
    faults = [*faults, *(fault for result in results for fault in result.faults)]
    if not any(len(tracing.coordinates) for recording in recordings for tracing in recording.tracings):
        cause = f"{faults[0]} (fault 1 of {len(faults)})" if faults else "it has no pairs of image and mask"
        raise DataError(f"{folder}: contains nothing usable; {cause}")
    empty, notes = sum(result.empty for result in results), _join_notes(folder, results)
    return Dataset(folder, "points", recordings, tuple(faults), empty, notes)


def stem_of(path: Path) -> str:
    """A file name without its suffix; ".nii.gz" is one suffix."""
    suffix = next((suffix for suffix in FILE_SUFFIXES if path.name.lower().endswith(suffix)), "")
    return path.name[: len(path.name) - len(suffix)]


def parse_stem(stem: str) -> tuple[str, str, str]:
    """Patient, phase and view in a file name such as "p1_4CH_ED", "p1_frame01" or "p1_ES_slice3".

    Phase and view are "" if the name does not contain them.
    """
    phase = view = ""
    while match := _TOKEN.fullmatch(stem):
        stem, token = match.groups()
        phase = token.upper() if token.lower() in ("ed", "es") else phase
        view = _VIEWS.get(token.lower(), view)
    return stem, phase, view


def _read_one(pair: MaskPair, *, folder: Path, labels: tuple[int, ...] | None) -> _PairResult:
    recording, mask = pair.recording, pair.mask
    file = mask.relative_to(folder).as_posix()
    try:
        values, spacing, thickness, time_points, notes = read_pair(recording.path, mask)
    except DataError as error:
        damaged = mask if str(error).startswith(f"{mask}: ") else recording.path
        reason = str(error).removeprefix(f"{damaged}: ")
        return _PairResult(None, [Fault(damaged.relative_to(folder).as_posix(), None, reason)], 0)
    inside = select_label(values, labels, f"{folder / file}", folder)
    contours = [mask_contour(frame) for frame in inside]
    traced = np.flatnonzero(inside.any(axis=(1, 2)))
    if len(contours) == 1:
        keep_blanks = _SLICE.fullmatch(stem_of(recording.path)) is not None
    elif time_points > 1:
        keep_blanks = False
    else:  # two separate frames are ED and ES of a sequence that its header does not declare
        keep_blanks = math.isfinite(thickness) and len(traced) > 0 and not (len(traced) == 2 and np.ptp(traced) > 1)
    times = {} if time_points == 1 else _traced_times(inside, time_points)
    tracings = tuple(
        Tracing(frame, contour, 0, pair.phases.get(frame, times.get(frame) or pair.phase), file)
        for frame, contour in enumerate(contours)
        if len(contour) or keep_blanks or frame in times
    )
    if not tracings:
        names = ", ".join(map(str, labels or ()))
        problem = f"has no pixel of label {names}" if labels and values.any() else "is empty"
        return _PairResult(None, [Fault(file, None, f"{problem}; replace or remove it")], 0)
    recording = dataclasses.replace(recording, tracings=tracings, spacing=spacing, thickness=thickness)
    return _PairResult(recording, [], len(contours) - len(tracings), notes)


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


def read_pair(image: Path, mask: Path) -> MaskValues:
    """Read a mask, and bring it over to the voxels of its image.

    Raises:
        DataError: A file is missing or damaged, or the two differ in file type, size or place.
    """
    if is_image(image) or is_image(mask):
        if is_image(image) != is_image(mask):
            raise DataError(f"{mask}: has another file type than {image.name}; convert one of them")
        clip, values = read_clip(image), read_image(mask)
        if len(clip.frames) > 1:
            raise DataError(f"{image}: has {len(clip.frames)} pages; save each page with its mask, or all as .nii.gz")
        _compare_sizes(mask, values.shape[::-1], clip.frames.shape[:0:-1])
        values = values >= 128 if mask.suffix.lower() in _LOSSY else values
        return MaskValues(values[None], notes=((image, clip.note),) if clip.note else ())
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


def select_label(values: NDArray[Any], labels: tuple[int, ...] | None, file: str, folder: Path) -> NDArray[np.bool_]:
    """(T, H, W) bool: the pixels of a structure.

    Args:
        values: (T, H, W) mask values.
        labels: The values of the structure; None means all values except 0, which then must be one value.
        file: The mask's path, for the error message.
        folder: The folder for a `dataset.json`, for the error message.

    Raises:
        DataError: The mask has several labels, and `labels` is None.
    """
    if labels is not None:
        integers = values if values.dtype.kind in "iub" else np.rint(values)
        return np.any([integers == label for label in labels], axis=0)
    inside = values != 0
    if (found := np.unique(values[inside])).size > 1:
        text = ", ".join(f"{value:g}" for value in found[:8])
        raise DataError(
            f"{file}: has {found.size} labels ({text}); name them in {folder / 'dataset.json'}, for "
            f'example {{"labels": {{"LV": {found[0]:g}}}}}, and choose one by --structure NAME'
        )
    return inside
