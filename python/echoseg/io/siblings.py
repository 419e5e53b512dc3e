"""What other files of a data set say about the third axis of a volume whose header leaves it open.

They are the files with the nearest names in the same folder, masks included; then those of the same name in the folders
beside it, whatever the numbers: `patient002/patient002_frame01.nii.gz` for `patient001/patient001_frame12.nii.gz`.
"""

from __future__ import annotations

import bisect
import glob
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from echoseg.errors import DataError
from echoseg.io.axes import Axis3, taken_for
from echoseg.io.file_types import VOLUME_SUFFIXES

_MAX_FILES = 16


class Sibling(NamedTuple):
    """The shape of a volume without axes of length 1 at the end, and what its third axis is by its header."""

    shape: tuple[int, ...]
    axis3: Axis3


def decide_by_siblings(path: Path, shape: Sequence[int], own: Axis3, read: Callable[[Path], Sibling]) -> Axis3:
    """Decide the third axis of a file by other files, if they agree; files whose images have its size come first.

    Args:
        path: The file.
        shape: The sizes of its three axes.
        own: What its own header says.
        read: Reads the header of another file.

    Returns:
        The decision, with a note; `own` if the other files leave it open too.
    """
    for files in (_beside(path), _in_other_folders(path)):
        votes = []
        for file in files:
            try:
                sibling = read(file)
            except DataError:
                continue
            vote = _vote(sibling, shape)
            if vote is not None:
                votes.append((sibling.shape[:2] == tuple(shape[:2]), vote, file.name))
        votes = [vote for vote in votes if vote[0]] or votes
        if len({is_time for _, is_time, _ in votes}) == 1:
            _, is_time, name = votes[0]
            return taken_for(is_time, shape, f"as in {name}")
    return own


def _vote(sibling: Sibling, shape: Sequence[int]) -> bool | None:
    """Whether the third axis of a file of this shape is time, by another file; None if that does not say it."""
    if len(sibling.shape) == 3:
        return None if sibling.axis3.is_open or sibling.shape[2] == 1 else sibling.axis3.is_time
    if len(sibling.shape) < 3 or sibling.shape[:2] != tuple(shape[:2]):
        return None
    slices, times = sibling.shape[2:4]
    return {(True, False): False, (False, True): True}.get((shape[2] == slices, shape[2] == times))


def _beside(path: Path) -> Iterator[Path]:
    """The volumes of the folder of a file whose names are nearest to its own."""
    names = _volumes(path.parent, path.parent.stat().st_mtime_ns)
    place = bisect.bisect_left(names, path.name)
    nearest = names[max(0, place - _MAX_FILES // 2) : place + _MAX_FILES // 2 + 1]
    return (file for name in nearest if name != path.name and (file := path.parent / name).is_file())


def _in_other_folders(path: Path) -> Iterator[Path]:
    """The files of the folders beside that of a file which have the same names, but for the numbers."""
    folder, name = (re.sub(r"\d+", "[0-9]*", glob.escape(part)) for part in (path.parent.name, path.name))
    if folder == path.parent.name:
        return iter(())
    numbered = re.compile(re.sub(r"\d+", r"\\d+", re.escape(f"{path.parent.name}/{path.name}")))
    found = (file for file in path.parent.parent.glob(f"{folder}/{name}") if file.parent != path.parent)
    alike = (file for file in found if numbered.fullmatch(f"{file.parent.name}/{file.name}") and file.is_file())
    return itertools.islice(alike, _MAX_FILES)


@lru_cache(maxsize=4)
def _volumes(folder: Path, modified: int) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if file.name.lower().endswith(VOLUME_SUFFIXES))
