"""The files that a data set is made of: whether they are still those that a store was made from."""

from __future__ import annotations

import hashlib
from pathlib import Path

from echoseg.datasets.formats import files_of
from echoseg.utils.files import hash_file
from echoseg.utils.parallel import map_in_order


def hash_source(folder: Path, corrections: Path | None, options: object) -> str:
    """What a store of this folder depends on, as one number: names, sizes and times of change; no file is read.

    Args:
        folder: Of a data set.
        corrections: A table that takes the place of tracings.
        options: Whatever else counts, by its `repr`.
    """
    digest = hashlib.sha256(repr(options).encode())
    for path in files_of(folder):
        state = path.stat(follow_symlinks=path.exists())  # a broken link is one video's fault, found in its turn
        digest.update(repr((path.relative_to(folder).as_posix(), state.st_size, state.st_mtime_ns)).encode())
    if corrections is not None and corrections.is_file():
        digest.update(corrections.read_bytes())
    return digest.hexdigest()


def hash_files(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a data set, by its path in the folder; "" of one that cannot be read."""
    files = list(files_of(folder))
    names = (path.relative_to(folder).as_posix() for path in files)
    return dict(zip(names, map_in_order(_hash, files), strict=True))


def changed_files(folder: Path, hashes: dict[str, str]) -> dict[str, str]:
    """Compare a data set with what it was.

    Bits that rot on a disk change neither the size nor the time of a file.

    Args:
        folder: Of the data set.
        hashes: Of `hash_files` at the time.

    Returns:
        "changed", "gone" or "new", by the file's path in the folder.
    """
    now = hash_files(folder)
    told = {name: "gone" if name not in now else "changed" for name in hashes if now.get(name) != hashes[name]}
    return told | {name: "new" for name in now if name not in hashes}


def _hash(path: Path) -> str:
    try:
        return hash_file(path)
    except OSError:
        return ""
