"""Writes files and folders atomically: they appear complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from echoseg.errors import DataError

TEMPORARY_FOLDERS = ".*.????????.part"
"""The pattern of the names of temporary folders, for `remove_abandoned`."""

_MAX_NAME = 40  # characters of a name in a temporary name, which would otherwise exceed the file system's limit


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Write a folder atomically.

    The context is a temporary folder beside `out`. On success it is synced to disk and renamed to `out`; on an
    exception it is removed. Temporary folders that killed processes left for the same `out` are removed too.

    Args:
        out: The folder to write; it must not exist.

    Raises:
        FileExistsError: `out` exists at the start or at the end.
        OSError: Something cannot be written; `filename` is a path in `out`.
    """
    exists = FileExistsError(f"{out}: exists already; choose another name or remove it")
    if out.exists():
        raise exists
    with naming(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with _temporary_beside(out) as temporary:
        with naming(out, temporary):
            yield temporary
            for folder, _, files in os.walk(temporary):
                for name in files:
                    _force_to_disk(Path(folder, name))
                _force_folder_to_disk(Path(folder))
        try:
            with naming(out, temporary):
                temporary.rename(out)
        except OSError:
            if out.exists():
                raise exists from None
            raise
        _force_folder_to_disk(out.parent)


def replace_file(path: Path, write: Callable[[Path], object], *, keep: Path | None = None) -> None:
    """Write or replace a file atomically, also if several processes or threads write it at the same time.

    Args:
        path: The file to write.
        write: Writes the content to the temporary path that it is called with.
        keep: Where to move an existing file; None replaces it. If the process is killed between the two renames, only
            `keep` exists.

    Raises:
        OSError: The file cannot be written; `filename` is `path`. The existing file is unchanged, at `path` or `keep`.
    """
    replace_files({path: write}, keep=keep)


def replace_files(files: Mapping[Path, Callable[[Path], object]], *, keep: Path | None = None) -> None:
    """Write or replace several files of one folder; see `replace_file`.

    They are written to a temporary folder, as by `new_folder`, and synced to disk before the first one is renamed; they
    are renamed in the given order.

    Args:
        files: Path → the function that writes the content.
        keep: Where to move an existing file; None replaces it.

    Raises:
        OSError: A file cannot be written; `filename` is its path.
    """
    first = next(iter(files))
    with _temporary_beside(first) as folder:
        temporaries = {path: folder / path.name for path in files}
        for path, temporary in temporaries.items():
            with naming(path, temporary):
                files[path](temporary)
                _force_to_disk(temporary)
        for path, temporary in temporaries.items():
            with naming(path, temporary):
                if keep is not None and path.exists():
                    path.replace(keep)
                temporary.replace(path)
        _force_folder_to_disk(first.parent)


def check_avi(path: Path) -> None:
    """Check that an AVI is not shorter than its header declares: OpenCV's writer does not report a full disk.

    Raises:
        OSError: The file is shorter.
    """
    with path.open("rb") as file:
        head = file.read(8)
    length = int.from_bytes(head[4:], "little")
    if not head.startswith(b"RIFF") or not 0 < length <= path.stat().st_size - len(head):
        raise OSError(errno.ENOSPC, "written only in part; free some disk space", str(path))


def remove_abandoned(folders: Iterable[Path]) -> None:
    """Remove temporary folders of `new_folder` and `replace_files` that no running process has locked.

    Without file locks, for example on Windows, nothing is removed.
    """
    with contextlib.suppress(OSError):
        for folder in folders:
            with contextlib.suppress(OSError):
                lock = _lock(folder)
                if lock is not None:
                    shutil.rmtree(folder, ignore_errors=True)
                    os.close(lock)


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def opencv_name(path: Path) -> str:
    """A path as a string for OpenCV, which crashes on names that are not UTF-8.

    On Windows, OpenCV takes this string for text in the system's code page, except where it calls FFmpeg. So an
    existing path that is not ASCII is given by its short name (8.3), where it has one. This has not run on Windows.

    Raises:
        DataError: The name is not UTF-8.
    """
    try:
        name = os.fsencode(path).decode()
    except UnicodeDecodeError:
        raise DataError(f"{path}: its name is not UTF-8, which OpenCV needs; rename it") from None
    return name if name.isascii() else _short_name(name)


@contextlib.contextmanager
def written_avi(path: Path, *, platform: str = sys.platform) -> Iterator[str]:
    """The name under which OpenCV is to write an AVI, which is then at `path` and is checked to be complete.

    On Windows, a path that is not ASCII is written to the folder for temporary files first, because OpenCV would write
    a file of another name. This has not run on Windows.

    Args:
        path: The file to write.
        platform: The name of the operating system, as in `sys.platform`.

    Raises:
        DataError: OpenCV cannot be given the name.
        OSError: The file is written only in part, or cannot be moved to `path`.
    """
    if platform != "win32" or str(path).isascii():
        yield opencv_name(path)
    else:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            name, temporary = opencv_name(Path(folder)), Path(folder, "video.avi")
            if not name.isascii():
                raise DataError(f"{folder}: OpenCV cannot write here; set TEMP to a folder with an ASCII name")
            yield str(Path(name, temporary.name))
            with naming(path, temporary):
                shutil.move(temporary, path)
    check_avi(path)


def _short_name(name: str) -> str:
    """The short name of an existing path on Windows; the same name if it has none, and elsewhere."""
    if sys.platform != "win32":
        return name
    import ctypes

    short = ctypes.create_unicode_buffer(1 << 15)
    ctypes.windll.kernel32.GetShortPathNameW(name, short, len(short))
    return short.value or name


@contextlib.contextmanager
def _temporary_beside(out: Path) -> Iterator[Path]:
    """A new folder beside `out` that is removed at the end; those that killed processes left are removed first."""
    remove_abandoned(out.parent.glob(f".{glob.escape(out.name[:_MAX_NAME])}.????????.part"))
    temporary, lock = _make_locked(out)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if lock is not None:
            with contextlib.suppress(OSError):
                os.close(lock)


def _make_locked(out: Path) -> tuple[Path, int | None]:
    """Make a hidden folder beside `out` and lock it for the life of this process; the lock is None if unsupported."""
    while True:
        temporary = out.parent / f".{out.name[:_MAX_NAME]}.{secrets.token_hex(4)}.part"
        with naming(out, temporary):
            temporary.mkdir()
        try:
            lock = _lock(temporary)
        except (BlockingIOError, FileNotFoundError):  # another process is removing it as abandoned
            continue
        except OSError:
            return temporary, None
        if temporary.exists():
            return temporary, lock
        if lock is not None:
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """Lock a folder until the returned handle is closed; None on Windows.

    Raises:
        BlockingIOError: Another process has locked it.
        OSError: The folder does not exist, or its file system does not support locks.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


@contextlib.contextmanager
def naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Set the `filename` of an OSError to `path`, if it has none or names the temporary file.

    Args:
        path: The file that is written.
        temporary: The file that is written first and then renamed to `path`; None if `path` is written directly.

    Raises:
        OSError: The context raised it.
    """
    temporary = temporary or path
    try:
        yield
    except OSError as error:
        if error.errno is None:  # NumPy reports a short write in this way
            if str(path) not in str(error):
                raise OSError(errno.EIO, f"cannot be written ({error})", str(path)) from error
            raise
        named = str(error.filename or temporary)
        if named.startswith(str(temporary)):
            error.filename = str(path) + named.removeprefix(str(temporary))
        raise


def _force_to_disk(path: Path) -> None:
    if sys.platform == "win32":  # Windows cannot sync folders, nor files opened for reading
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _force_folder_to_disk(path: Path) -> None:
    """Sync a folder to disk; ignored if unsupported, as on some network file systems."""
    with contextlib.suppress(OSError):
        _force_to_disk(path)
