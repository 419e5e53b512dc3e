"""The SHA-256 of each file that was reviewed: another file of the same name must not get its corrections.

The table is not among those of `sha256.json`, so that a person can delete a row.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from echoseg.errors import DataError
from echoseg.io.reading import series_files
from echoseg.utils.files import hash_file
from echoseg.utils.parallel import map_in_order
from echoseg.utils.table import read_table
from echoseg.utils.words import counted

FILES = "Files.csv"
HEADERS_ONLY = (".mhd", ".nhdr", ".hdr")
"""The suffixes of headers whose voxels are in another file."""
_COLUMNS = ("FileName", "SHA256")
_MAX_HEADER = 1 << 16


def read_hashes(folder: Path) -> dict[str, str]:
    """Read the table of a folder of corrections: the SHA-256 of files, by their names in the tables.

    Raises:
        DataError: The table cannot be read.
    """
    path = folder / FILES
    if not path.exists() or path.read_bytes().count(b"\n") < 2:  # a folder of an earlier version, or all was undone
        return {}
    cells = read_table(path, _COLUMNS).cells
    return dict(zip(cells["FileName"], cells["SHA256"], strict=True))


def hash_table(hashes: Mapping[str, str]) -> bytes:
    """The content of the table, for `read_hashes`."""
    rows = (f"{name},{hashes[name]}" for name in sorted(hashes))
    return "\n".join([",".join(_COLUMNS), *rows, ""]).encode()


def hash_content(path: Path) -> str:
    """The SHA-256 of a file; of several files that are read as one, that of their sorted values.

    Args:
        path: A file; a header, with which the file of its voxels is read; or a folder with a series.

    Returns:
        The value in hexadecimal; "" if a file cannot be read.
    """
    try:
        files = series_files(path) if path.is_dir() else {path, *_voxel_files(path)}
        hashes = sorted(map(hash_file, files))
    except (OSError, DataError):
        return ""
    return hashes[0] if len(hashes) == 1 else hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def verify_contents(folder: Path, contents: Mapping[str, str], paths: Mapping[str, Path]) -> dict[str, str]:
    """Check that files are those for which the corrections of a folder were made.

    Args:
        folder: The folder of the corrections.
        contents: What `read_hashes` gives for it; a file without a row is accepted.
        paths: The files, by their names in the tables.

    Returns:
        The SHA-256 of each file that can be read, by its name in the tables.

    Raises:
        DataError: The corrections of a file were made for another one of its name.
    """
    found = dict(zip(paths, map_in_order(hash_content, paths.values()), strict=True))
    others = [name for name, content in found.items() if content and contents.get(name, content) != content]
    if others:
        more = f" (and those of {counted(len(others) - 1, 'more file')})" if len(others) > 1 else ""
        raise DataError(
            f"{paths[others[0]]}: the corrections of {others[0]} in {folder}{more} were made for another file of this"
            " name; give another folder by --corrections; if the file is the same recording, saved again, delete its"
            f" row in {folder / FILES}"
        )
    return {name: content for name, content in found.items() if content}


def _voxel_files(path: Path) -> list[Path]:
    """The files beside a header that it names, and the image of the same name, which is that of .hdr."""
    if path.suffix.lower() not in HEADERS_ONLY:
        return []
    with path.open("rb") as file:
        text = file.read(_MAX_HEADER).decode("utf-8", "replace").lower()
    named = {re.split("[:=]", line, maxsplit=1)[-1].strip() for line in text.splitlines()}
    named.add(f"{path.stem}.img".lower())
    return [other for other in path.parent.iterdir() if other.name.lower() in named and other.is_file()]
