"""Hashes of a data set's files, to detect changes since a store was made."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from echoseg.datasets.file_contents import FILES
from echoseg.datasets.formats import files_of
from echoseg.utils.files import hash_file
from echoseg.utils.parallel import map_in_order


def hash_source(folder: Path, corrections: Path | None, options: object) -> str:
    """Hash everything that a store depends on: file names, sizes and modification times; images are not read.

    Args:
        folder: The data set's folder.
        corrections: A table of corrected tracings, with `Files.csv` beside it if it is there; or None.
        options: The options of `prepare`; hashed by their `repr`.

    Returns:
        SHA-256 in hexadecimal.

    Raises:
        DataError: The folder is missing or in no known format.
    """
    digest = hashlib.sha256(repr(options).encode())
    for path in files_of(folder):
        status = path.stat(follow_symlinks=path.exists())  # a broken link is reported later, as a fault of its video
        digest.update(repr((_name(path, folder), status.st_size, status.st_mtime_ns)).encode())
    for table in () if corrections is None else (corrections, corrections.with_name(FILES)):
        if table.is_file():
            digest.update(table.read_bytes())
    return digest.hexdigest()


def hash_files(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a data set, by its path in the folder; "" if the file cannot be read.

    Raises:
        DataError: The folder is missing or in no known format.
    """
    files = list(files_of(folder))
    names = (_name(path, folder) for path in files)
    return dict(zip(names, map_in_order(_hash, files), strict=True))


def changed_files(folder: Path, hashes: dict[str, str]) -> dict[str, str]:
    """Compare the content of a data set's files with earlier hashes.

    Reading the content also detects disk errors, which change neither the size nor the modification time of a file.

    Args:
        folder: The data set's folder.
        hashes: An earlier result of `hash_files`.

    Returns:
        "changed", "gone" or "new" for each file that differs, by its path in the folder.

    Raises:
        DataError: The folder is missing or in no known format.
    """
    now = hash_files(folder)
    changes = {name: "gone" if name not in now else "changed" for name in hashes if now.get(name) != hashes[name]}
    return changes | {name: "new" for name in now if name not in hashes}


def _name(path: Path, folder: Path) -> str:
    """The path from the folder; some files of a data set may be beside it."""
    return Path(os.path.relpath(path, folder)).as_posix()


def _hash(path: Path) -> str:
    try:
        return hash_file(path)
    except OSError:
        return ""
