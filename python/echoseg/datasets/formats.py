"""Detects the format of a data set, and reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from echoseg.datasets import camus, decathlon, echonet, pairs, pediatric
from echoseg.datasets.patients import apply_rule
from echoseg.datasets.recording import Dataset
from echoseg.errors import DataError
from echoseg.io.description import DESCRIPTION


class Format(NamedTuple):
    """A data set format.

    Attributes:
        matches: Whether a folder has this format; opens no image.
        read: Reads the tracings of a structure, by its name, from a folder.
        files: Lists the files that a data set consists of.
        example: The file names that identify the format, for error messages.
    """

    matches: Callable[[Path], bool]
    read: Callable[[Path, str | None], Dataset]
    files: Callable[[Path], Iterable[Path]]
    example: str


FORMATS: dict[str, Format] = {
    "EchoNet": Format(echonet.matches, echonet.read_echonet, echonet.files_of, echonet.FILE_LIST),
    "EchoNet-Pediatric": Format(pediatric.matches, pediatric.read_pediatric, pediatric.files_of, "A4C/ and PSAX/"),
    "CAMUS": Format(camus.matches, camus.read_camus, camus.files_of, "patient0001/patient0001_2CH_ED.nii.gz"),
    "nnU-Net": Format(decathlon.matches, decathlon.read_decathlon, decathlon.files_of, "imagesTr/ and labelsTr/"),
    "pairs": Format(pairs.matches, pairs.read_pairs, pairs.files_of, "x.nii.gz with x_gt.nii.gz"),
}
"""Format name → format; if several match, the first one is used."""


def read_dataset(folder: str | Path, structure: str | None = None, patients: str | None = None) -> Dataset:
    """Read a data set of any known format; no video is opened.

    Args:
        folder: The data set's folder, in one of `FORMATS`.
        structure: The name of the structure to read, a label where the masks have several. None: the left ventricle,
            or the only label.
        patients: A regular expression whose one group is the patient; see `echoseg.datasets.patients.apply_rule`.

    Raises:
        DataError: The folder is missing, in no known format, or contains nothing usable, or has no such structure.
    """
    return apply_rule(_find_format(Path(folder)).read(Path(folder), structure), patients)


def format_of(folder: Path) -> str:
    """The name of a data set's format.

    Raises:
        DataError: The folder is missing or in no known format.
    """
    found = _find_format(folder)
    return next(name for name, known in FORMATS.items() if known is found)


def files_of(folder: Path) -> Iterable[Path]:
    """List the files that a data set consists of, in a fixed order.

    Raises:
        DataError: The folder is missing or in no known format.
    """
    files = list(_find_format(folder).files(folder))
    description = folder / DESCRIPTION
    return files if description in files or not description.is_file() else [description, *files]


def _find_format(folder: Path) -> Format:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give one that contains a data set")
    for known in FORMATS.values():
        if known.matches(folder):
            return known
    examples = ", ".join(f"{known.example} ({name})" for name, known in FORMATS.items())
    raise DataError(f"{folder}: in no known format; give a folder that contains {examples}")
