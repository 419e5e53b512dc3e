"""Data sets whose experts painted masks: every frame's mask becomes the outline of its largest piece."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from nibabel.orientations import aff2axcodes
from numpy.typing import NDArray
from tqdm import tqdm

from echoseg.datasets.recording import Dataset, Fault, Recording, Tracing
from echoseg.errors import DataError
from echoseg.geometry.level_set import mask_contour
from echoseg.io import image, volume
from echoseg.io.image import is_image
from echoseg.io.reading import open_volume, read_image, read_voxels
from echoseg.utils.parallel import map_in_order

ENDINGS = (*volume.ENDINGS, *image.ENDINGS)
SUFFIXES = tuple(mark + word for mark in "_-" for word in ("gt", "seg", "segmentation", "label", "labels", "mask"))
"""What a mask's name bears behind that of its image."""

_VIEWS = {"2ch": "A2C", "a2c": "A2C", "4ch": "A4C", "a4c": "A4C", "psax": "PSAX", "sax": "SAX"}
_TOKEN = re.compile(rf"(.+?)[_-](ed|es|{'|'.join(_VIEWS)}|(?:frame|slice|time|t|z)[_-]?\d+)", re.IGNORECASE)
_LOSSY = (".jpg", ".jpeg")  # their masks are near black and near white


class MaskPair(NamedTuple):
    """A recording to be read.

    Attributes:
        recording: Without tracings, spacing and thickness.
        mask: The file of its masks.
        phases: Frame → "ED" or "ES", where that is known.
        phase: Of all other frames.
    """

    recording: Recording
    mask: Path
    phases: Mapping[int, str] = MappingProxyType({})
    phase: str = ""


class _Read(NamedTuple):
    recording: Recording | None
    faults: list[Fault]
    empty: int


def read_masks(
    folder: Path, masked: Sequence[MaskPair], faults: Sequence[Fault], labels: tuple[int, ...] | None
) -> Dataset:
    """Read masks, several at a time.

    Args:
        folder: Of the data set.
        masked: What to read.
        faults: What is known to be wrong already.
        labels: Values of the masks that are inside; None where all but 0 are, if they are one.

    Raises:
        DataError: Nothing is usable, or masks hold several labels and `labels` does not say which.
    """
    read = map_in_order(partial(_read, folder=folder, labels=labels), masked)
    found = list(tqdm(read, total=len(masked), desc="masks", unit="file", disable=None))
    recordings = tuple(one.recording for one in found if one.recording is not None)
    faults = [*faults, *(fault for one in found for fault in one.faults)]
    if not recordings:
        why = f"{faults[0]} (fault 1 of {len(faults)})" if faults else "it holds no pairs of image and mask"
        raise DataError(f"{folder}: nothing usable in it; {why}")
    return Dataset(folder, "points", recordings, tuple(faults), sum(one.empty for one in found))


def stem_of(path: Path) -> str:
    """A file's name without its ending."""
    ending = next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), "")
    return path.name[: len(path.name) - len(ending)]


def parse_stem(stem: str) -> tuple[str, str, str]:
    """Patient, phase and view, as far as a name tells: "p1_4CH_ED", "p1_frame01", "p1_ES_slice3"."""
    phase = view = ""
    while match := _TOKEN.fullmatch(stem):
        stem, token = match.groups()
        phase = token.upper() if token.lower() in ("ed", "es") else phase
        view = _VIEWS.get(token.lower(), view)
    return stem, phase, view


def _read(masked: MaskPair, *, folder: Path, labels: tuple[int, ...] | None) -> _Read:
    recording, mask = masked.recording, masked.mask
    file = mask.relative_to(folder).as_posix()
    try:
        values, spacing, thickness = read_pair(recording.path, mask)
    except DataError as error:
        whose = mask if str(error).startswith(f"{mask}: ") else recording.path
        reason = str(error).removeprefix(f"{whose}: ")
        return _Read(None, [Fault(whose.relative_to(folder).as_posix(), None, reason)], 0)
    inside = select_label(values, labels, f"{folder / file}", folder)
    contours = [mask_contour(frame) for frame in inside]
    tracings = tuple(
        Tracing(frame, contour, 0, masked.phases.get(frame, masked.phase), file)
        for frame, contour in enumerate(contours)
        if len(contour)
    )
    if not tracings:
        lacking = f"holds none of the label {', '.join(map(str, labels))}" if labels and values.any() else "is empty"
        return _Read(None, [Fault(file, None, f"{lacking}; replace or remove it")], 0)
    recording = dataclasses.replace(recording, tracings=tracings, spacing=spacing, thickness=thickness)
    return _Read(recording, [], len(contours) - len(tracings))


def read_pair(image: Path, mask: Path) -> tuple[NDArray[Any], tuple[float, float], float]:
    """(T, H, W) values of the mask, laid out as its image, and the image's spacing and thickness."""
    if is_image(image) or is_image(mask):
        if is_image(image) != is_image(mask):
            raise DataError(f"{mask}: is of another kind of file than {image.name}; convert one of them")
        seen, drawn = read_image(image), read_image(mask)
        _compare(mask, drawn.shape[::-1], seen.shape[::-1])
        drawn = drawn >= 128 if mask.suffix.lower() in _LOSSY else drawn
        return drawn[None], (np.nan, np.nan), np.nan
    stack, drawn_stack = open_volume(image), open_volume(mask)
    _compare(mask, drawn_stack.file_shape, stack.file_shape)
    is_stack = np.isfinite(stack.thickness)  # what is none is taken as stored, wherever it says that it lies
    if is_stack and stack.affine is not None and drawn_stack.affine is not None:
        lies, drawn_lies = ("".join(map(str, aff2axcodes(one.affine))) for one in (stack, drawn_stack))
        if lies != drawn_lies:
            raise DataError(f"{mask}: lies as {drawn_lies}, its image as {lies}; save it with the image's affine")
    values = read_voxels(dataclasses.replace(stack, path=mask))
    return values, stack.spacing, stack.thickness


def _compare(mask: Path, size: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if size != wanted:
        sides, others = ("×".join(map(str, sides)) for sides in (size, wanted))
        raise DataError(f"{mask}: is {sides}, its image {others}; give both one size")


def select_label(values: NDArray[Any], labels: tuple[int, ...] | None, file: str, folder: Path) -> NDArray[np.bool_]:
    """(T, H, W): what is inside.

    Raises:
        DataError: There are several labels and nobody says which one is meant.
    """
    if labels is not None:
        whole = values if values.dtype.kind in "iub" else np.rint(values)
        return np.any([whole == label for label in labels], axis=0)
    inside = values != 0
    if (found := np.unique(values[inside])).size > 1:
        some = ", ".join(f"{value:g}" for value in found[:8])
        raise DataError(
            f"{file}: holds {found.size} labels ({some}); write which one is the left ventricle into "
            f'{folder / "dataset.json"}, for instance {{"labels": {{"LV": {found[0]:g}}}}}'
        )
    return inside
