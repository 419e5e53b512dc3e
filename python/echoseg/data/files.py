"""Files and folders that appear whole or not at all, and checksums."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that is forced to disk and becomes `out` if all goes well, and vanishes if not.

    Raises:
        FileExistsError: `out` exists, or came to exist meanwhile.
    """
    taken = FileExistsError(f"{out}: exists already; choose another name or remove it")
    if out.exists():
        raise taken
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.parent / f".{out.name}.{secrets.token_hex(4)}.part"
    temporary.mkdir()
    try:
        yield temporary
        for folder, _, files in os.walk(temporary):
            for name in files:
                _force_to_disk(Path(folder, name))
            _force_to_disk(Path(folder))
        try:
            temporary.rename(out)
        except OSError:
            if out.exists():
                raise taken from None
            raise
        _force_to_disk(out.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def replace_file(path: Path, write: Callable[[Path], object], *, keep: Path | None = None) -> None:
    """Let `write` fill a file beside `path`, force it to disk and put it in the place of `path`.

    Where `keep` is given, what stood at `path` moves there; killed between the two moves, `keep` is all there is.
    """
    temporary = path.with_name(path.name + ".part")
    write(temporary)
    _force_to_disk(temporary)
    if keep is not None and path.exists():
        path.replace(keep)
    temporary.replace(path)
    _force_to_disk(path.parent)


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _force_to_disk(path: Path) -> None:
    if os.name == "nt":  # Windows syncs neither folders nor files opened for reading
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
