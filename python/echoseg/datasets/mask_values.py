"""What the values of masks mean, decided once for all masks of a data set.

Masks are written as 0 and 1, 0 and 255, with a label for each structure, with noise from a change of type, or with soft
edges from JPEG, smoothing or resampling. A single file does not show which; the whole data set does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from echoseg.datasets.structure import Label
from echoseg.errors import DataError
from echoseg.io.label_image import COLOUR, label_name

MAX_NOISE = 0.05
"""The largest distance of a value from a whole number that counts as noise."""

_FULL_SCALES = (1, 255, 65535)  # what tools write for "inside"
_SCALE_FACTORS = (256, 257)  # from 8 to 16 bits
_MAX_LISTED = 8
_CHOICE = ", and choose one by --structure NAME"
_MIN_SHARE = 0.9  # of the masks that have the same only label, for the others to be exceptions
_EDGE = 0.06  # of full scale: what still counts as inside or outside in a soft mask
_FLAT, _MAX_FLAT_SHARE = 0.03, 0.02  # range in 3 × 3 pixels, of full scale; share of the pixels inside
_MIN_SOFT = 64  # full scale of whole numbers with soft edges


class MaskContent(NamedTuple):
    """The values of a mask.

    Attributes:
        pixels: Label other than 0 → number of pixels; at most 4096 labels.
        is_soft: Whether the values are one structure with soft edges, not labels.
        is_noisy: Whether the values were rounded.
    """

    pixels: Mapping[float, int]
    is_soft: bool
    is_noisy: bool


class MaskRule(NamedTuple):
    """Which pixels of a mask are the structure.

    Attributes:
        labels: Its labels; empty: all except 0.
        level: The value that a pixel of a soft mask must exceed.
    """

    labels: tuple[float, ...] = ()
    level: float = 0.5

    def select(self, values: NDArray[Any], content: MaskContent) -> NDArray[np.bool_]:
        """The pixels of the structure, C-contiguous bool, in values that `round_values` returned."""
        if content.is_soft:
            return np.ascontiguousarray(values > self.level)
        return np.ascontiguousarray(np.isin(values, self.labels) if self.labels else values != 0)


class Decision(NamedTuple):
    """What the masks of a data set mean.

    Attributes:
        rule: The pixels of the structure.
        odd: File → why it cannot be used although the others can.
        notes: What was guessed, a line each.
        unnamed: The values that the data set's description does not name.
    """

    rule: MaskRule
    odd: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()
    unnamed: frozenset[float] = frozenset()


def round_values(values: NDArray[Any]) -> tuple[NDArray[Any], bool]:
    """Whole numbers in place of values that differ from them by noise, and whether any did; not a number becomes 0."""
    if values.dtype.kind == "b":
        return values.astype(np.uint8), False
    if values.dtype.kind != "f":
        return values, False
    finite = np.where(np.isfinite(values), values, 0)
    rounded = np.rint(finite)
    difference = float(np.abs(finite - rounded).max(initial=0))
    if difference > MAX_NOISE or np.abs(rounded).max(initial=0) > 2**31:
        return finite, False
    return rounded.astype(np.int64), difference > 0


def examine(values: NDArray[Any], *, is_noisy: bool = False) -> MaskContent:
    """Count the labels of a mask.

    Args:
        values: (T, H, W), as `round_values` returned them.
        is_noisy: What `round_values` returned.
    """
    low, high = (values.min(), values.max()) if values.size else (0, 0)
    if values.dtype.kind != "f" and int(high) - int(low) < 1 << 16:
        counts = np.bincount((values.ravel() - low).astype(np.int64))
        found = np.flatnonzero(counts)
        labels, counts = found + int(low), counts[found]
    else:
        labels, counts = np.unique(values, return_counts=True)
    labels, counts = labels[labels != 0], counts[labels != 0]
    is_soft = len(labels) > 1 and labels[-1] < COLOUR and _is_soft(values, labels)
    pixels = dict(zip(labels[-4096:].tolist(), counts[-4096:].tolist(), strict=True))
    return MaskContent(pixels, is_soft, is_noisy)


def decide(
    contents: Mapping[str, MaskContent], label: Label | None, folder: Path, *, choice: str = _CHOICE
) -> Decision:
    """Decide what the masks of a data set mean.

    Args:
        contents: File, relative to the folder → what its mask contains.
        label: The structure in the data set's description; None without a description.
        folder: The folder, for error messages.
        choice: How the structure is chosen, for error messages.

    Raises:
        DataError: It is unclear which label is the structure.
    """
    notes: list[str] = []
    noisy = [file for file, content in contents.items() if content.is_noisy]
    if noisy:
        notes.append(f"values that are nearly whole numbers were rounded in {_files(noisy)}")
    mixed = {file for file, content in contents.items() if not content.is_soft and _is_mixed(content)}
    odd = dict.fromkeys(mixed, "has values between its labels; resample it by nearest neighbour")
    hard = {file: item for file, item in contents.items() if item.pixels and not item.is_soft and file not in mixed}
    soft = {file: item for file, item in contents.items() if item.is_soft}
    labels = {value for content in hard.values() for value in content.pixels}
    level = max((max(content.pixels) for content in soft.values()), default=1) / 2
    if soft and label is not None and (len({*label.declared, *label.values} - {0}) > 1 or 0 in label.values):
        odd |= dict.fromkeys(soft, "has soft edges, which mix its labels; save the labels as PNG, without smoothing")
    elif soft and any(value <= level and value != 1 for value in labels):
        first = next(iter(soft))
        raise DataError(
            f"{folder / first}: has soft edges up to {2 * level:g}, but other masks have the values {_names(labels)}; "
            "save all masks with the same values"
        )
    elif soft:
        notes.append(f"soft edges: pixels above {level:g} are the structure in {_files(soft)}")
    if label is not None:
        chosen, unnamed, note = _match(labels, label)
        return Decision(MaskRule(chosen, level), odd, (*notes, *note), unnamed)
    odd |= _find_odd(hard, folder, choice)
    values = {value for file, content in hard.items() if file not in odd for value in content.pixels}
    if len(values) > 1:
        notes.append(f"the values {_names(values)} of different masks were taken for the same label")
    return Decision(MaskRule((), level), odd, tuple(notes))


def decide_for_each(contents: Mapping[str, MaskContent], label: Label | None, folder: Path) -> Decision:
    """Decide as `decide` does what masks mean of which none can be left out, since a method is measured by them.

    A mask without the structure is empty only if all of its values have a name; one without a name may be that of the
    structure.

    Raises:
        DataError: It is unclear which label is the structure, or a file cannot be used.
    """
    decision = decide(contents, label, folder, choice="")
    for file, reason in decision.odd.items():
        raise DataError(f"{folder / file}: {reason}")
    for file, content in contents.items():
        labels = set(content.pixels)
        unnamed = labels & decision.unnamed
        if label is None or content.is_soft or not unnamed or labels & set(decision.rule.labels):
            continue
        description = folder / "dataset.json"
        raise DataError(
            f"{folder / file}: has no pixel of {label}, only of {_names(labels)}, and the dataset.json of these masks "
            f"names {_names(label.declared)}; name all labels of the masks in {description}, for example "
            f'{{"labels": {{"{label.structure}": {_as_json(min(unnamed))}}}}}'
        )
    return decision


def uses_colours(palettes: Sequence[NDArray[np.int32]], label: Label | None) -> bool:
    """Whether the labels of images with palettes are their colours, not their indices.

    The indices of palettes are labels, unless the palettes of a data set contradict each other, as those of tools do
    that sort colours or drop unused ones, or some files have none.

    Args:
        palettes: The labels of the palettes' colours, of each mask; empty where a file has no palette.
        label: The structure in the data set's description; None without a description.
    """
    if label is not None:
        return label.by_colour
    given = [palette for palette in palettes if palette.size]
    if not given:
        return False
    if len(given) < len(palettes) or any(palette[0] and not palette[1] for palette in given):
        return True
    distinct = np.unique(np.stack(given), axis=0)
    return any(len(np.unique(column[column != 0])) > 1 for column in distinct.T)


def _match(labels: Iterable[float], label: Label) -> tuple[tuple[float, ...], frozenset[float], tuple[str, ...]]:
    """The labels in the masks of a declared structure, those without a name, and a note about these or a scale."""
    found, declared = sorted(labels), sorted(set(label.declared or label.values) - {0})
    unnamed = frozenset(found) - set(declared) if label.declared else frozenset()
    note = (f"labels without a name in dataset.json: {_names(unnamed)}",) if unnamed else ()
    if not found or set(found) & set(declared) or len(found) != len(declared) or found[-1] >= COLOUR:
        return label.values, unnamed, note
    scale = found[-1] / declared[-1]
    is_scaled = found[-1] in _FULL_SCALES[1:] or scale in _SCALE_FACTORS
    if not is_scaled or any(abs(value - scale * number) > 1 for value, number in zip(found, declared, strict=True)):
        return label.values, unnamed, note
    actual = dict(zip(declared, found, strict=True))
    pairs = ", ".join(f"{label_name(value)} for {number}" for number, value in actual.items())
    chosen = tuple(actual.get(value, value) for value in label.values)
    return chosen, frozenset(), (f"labels are scaled: {pairs}",)


def _find_odd(hard: Mapping[str, MaskContent], folder: Path, choice: str) -> dict[str, str]:
    """File → why it does not fit the other masks, without a description.

    Raises:
        DataError: The masks have several labels, and no label is that of nearly all masks.
    """
    kinds = {file: tuple(sorted(content.pixels)) for file, content in hard.items()}
    if all(len(kind) == 1 for kind in kinds.values()):
        values = {kind[0] for kind in kinds.values()}
        if len(values) < 2 or values <= set(_FULL_SCALES):
            return {}
    (usual, count), *_ = Counter(kinds.values()).most_common(1)
    cure = f"name the labels in {folder / 'dataset.json'}"
    if len(usual) == 1 and count >= _MIN_SHARE * len(kinds):
        return {
            file: f"has {_describe(kind)}, but {count} of {len(kinds)} masks only {label_name(usual[0])}; {cure}"
            for file, kind in kinds.items()
            if kind != usual
        }
    example = f'{{"labels": {{"LV": {_as_json(usual[0])}}}}}'
    cure = f"name them in {folder / 'dataset.json'}, for example {example}{choice}"
    several = next((file for file, kind in kinds.items() if len(kind) > 1), None)
    if several is not None:
        raise DataError(f"{folder / several}: has {_describe(kinds[several])}; {cure}")
    files = {kind: [file for file in kinds if kinds[file] == kind] for kind in dict.fromkeys(kinds.values())}
    parts = "; ".join(f"{label_name(kind[0])} in {_files(files[kind])}" for kind in list(files)[:_MAX_LISTED])
    raise DataError(f"{folder}: masks have different labels ({parts}); {cure}")


def _is_mixed(content: MaskContent) -> bool:
    return any(value != int(value) for value in content.pixels)


def _describe(kind: Sequence[float]) -> str:
    return f"{len(kind)} label{'s' if len(kind) > 1 else ''} ({_names(kind)})"


def _names(labels: Iterable[float]) -> str:
    return ", ".join(map(label_name, sorted(labels)[:_MAX_LISTED]))


def _as_json(label: float) -> str:
    return label_name(label) if label < COLOUR else f'"{label_name(label)}"'


def _files(files: Iterable[str]) -> str:
    files = list(files)
    return f"{len(files)} masks ({files[0]}, …)" if len(files) > 1 else f"1 mask ({files[0]})"


def _is_soft(values: NDArray[Any], labels: NDArray[Any]) -> bool:
    """Whether the values have two humps: edges lie between them, but no region."""
    full = float(labels[-1])
    if labels[0] < 0 or (values.dtype.kind != "f" and full < _MIN_SOFT):
        return False
    between = labels[(labels > _EDGE * full) & (labels < full)]
    if len(between) < 2:
        return bool((labels >= (1 - _EDGE) * full).all())
    flat = inside = 0
    for frame in values:
        scaled = np.asarray(frame / full, dtype=np.float32)
        kernel = np.ones((3, 3), np.uint8)
        level = cv2.dilate(scaled, kernel) - cv2.erode(scaled, kernel) <= _FLAT
        flat += int((level & (scaled > _EDGE) & (scaled < 1 - _EDGE)).sum())
        inside += int((scaled >= 0.5).sum())
    return flat <= _MAX_FLAT_SHARE * inside
