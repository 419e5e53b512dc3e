"""Names of structures: which label of a data set is meant, and what it is called in results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from echoseg.errors import DataError

LEFT_VENTRICLE = "left ventricle"

_CHOICE = "choose one of these by --structure of check, prepare or train (a run segments what it was trained on)"
_CAVITY = r"( ?(c|cavity|blood ?pool|endo|endocardi(um|al)|lumen))?( (blood ?pool|cavity))?"
_CHAMBERS = {
    f"{side} {chamber}": re.compile(rf"({side[0]}{chamber[0]}|{side} {chamber[:-2]}({ending})){_CAVITY}")
    for side in ("left", "right")
    for chamber, ending in (("ventricle", "le|ular"), ("atrium", "um|al"))
}


class Label(NamedTuple):
    """The label of one structure in masks.

    Attributes:
        structure: The name of the structure; the same name chooses this label again.
        values: The mask values.
        declared: The mask values that a `dataset.json` names, with background and other structures.
        by_colour: Whether a `dataset.json` names them by colours such as "#ff0000", greys included.
    """

    structure: str
    values: tuple[int, ...]
    declared: tuple[int, ...] = ()
    by_colour: bool = False

    def __str__(self) -> str:
        return f"label {' and '.join(map(str, self.values))}"


def is_chamber(structure: str) -> bool:
    """Whether a structure is one of the four chambers, by any of its names; these have no holes."""
    return structure_name(structure) in _CHAMBERS


def structure_name(label: str) -> str:
    """The name of a structure in results: "LA", "left_atrium" and "LA cavity" are the left atrium.

    The names of other structures than the four chambers are returned with spaces in place of underscores.
    """
    words = " ".join(re.sub(r"[^a-z]+", " ", label.lower()).split())
    chamber = next((name for name, pattern in _CHAMBERS.items() if pattern.fullmatch(words)), None)
    return chamber or " ".join(label.replace("_", " ").split())


def is_same_structure(first: str, second: str) -> bool:
    """Whether two names are of the same structure; see `structure_name`."""
    return structure_name(first).lower() == structure_name(second).lower()


def choose_label(labels: Mapping[str, tuple[int, ...]], structure: str | None, source: Path) -> Label:
    """Choose the label of a structure by name.

    Args:
        labels: The mask values of each label, without the background.
        structure: The name of a label, or another name of the same chamber. None chooses the only label; of several,
            the left ventricle's.
        source: The file or folder that names the labels, for error messages.

    Raises:
        DataError: No label, or more than one, has that name.
    """
    names = {label: structure_name(label).lower() for label in labels}
    wanted = structure_name(structure or LEFT_VENTRICLE).lower()
    matching = [label for label, name in names.items() if name == wanted]
    if structure is None and len(labels) == 1:
        matching = list(labels)
    elif structure is not None and structure in labels:
        matching = [structure]
    listed = ", ".join(labels)[:200] or "none"
    if len(matching) > 1:
        raise DataError(f"{source}: several labels could be the {wanted} ({listed}); {_CHOICE}")
    if not matching:
        title = "LV or left ventricle" if structure is None else structure
        raise DataError(f"{source}: no label is named {title} ({listed}); {_CHOICE}, or rename it")
    label = matching[0]
    is_unique = list(names.values()).count(names[label]) == 1
    return Label(structure_name(label) if is_unique else label, labels[label])
