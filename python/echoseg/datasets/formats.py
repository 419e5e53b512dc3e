"""Which format a folder is in, told by looking at it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from echoseg.datasets import camus, decathlon, echonet, pairs, pediatric
from echoseg.datasets.recording import Dataset
from echoseg.errors import DataError


class Format(NamedTuple):
    """How a kind of data set is known and read.

    Attributes:
        looks_like: Whether a folder is one of these; opens no image.
        read: Folder → data set.
        files: Folder → the files that it is made of.
        sign: What a folder of it holds, in words.
    """

    looks_like: Callable[[Path], bool]
    read: Callable[[Path], Dataset]
    files: Callable[[Path], Iterable[Path]]
    sign: str


FORMATS: dict[str, Format] = {
    "EchoNet": Format(echonet.looks_like, echonet.read_echonet, echonet.files_of, echonet.FILE_LIST),
    "EchoNet-Pediatric": Format(pediatric.looks_like, pediatric.read_pediatric, pediatric.files_of, "A4C/ and PSAX/"),
    "CAMUS": Format(camus.looks_like, camus.read_camus, camus.files_of, "patient0001/patient0001_2CH_ED.nii.gz"),
    "nnU-Net": Format(decathlon.looks_like, decathlon.read_decathlon, decathlon.files_of, "imagesTr/ and labelsTr/"),
    "pairs": Format(pairs.looks_like, pairs.read_pairs, pairs.files_of, "x.nii.gz with x_gt.nii.gz"),
}
"""Name → format; where several look right, the first one is."""


def read_dataset(folder: str | Path) -> Dataset:
    """Read a data set of any known format.

    Args:
        folder: Its folder; see `FORMATS`.

    Raises:
        DataError: The folder is missing, in no known format, or has nothing usable in it.
    """
    return _find_format(Path(folder)).read(Path(folder))


def files_of(folder: Path) -> Iterable[Path]:
    """The files that a data set is made of, in a fixed order.

    Raises:
        DataError: The folder is missing or in no known format.
    """
    return _find_format(folder).files(folder)


def _find_format(folder: Path) -> Format:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give one that holds a data set")
    for known in FORMATS.values():
        if known.looks_like(folder):
            return known
    signs = ", ".join(f"{known.sign} ({name})" for name, known in FORMATS.items())
    raise DataError(f"{folder}: in no known format; give a folder that holds {signs}")
