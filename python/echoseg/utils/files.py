"""Files and folders that appear whole or not at all, and checksums."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from echoseg.errors import DataError

_KEPT = 40  # signs of a name: where it is as long as a name may be, nothing could be put to it


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that is forced to disk and becomes `out` if all goes well, and vanishes if not.

    What processes that were killed had begun for the same `out` is removed.

    Raises:
        FileExistsError: `out` exists, or came to exist meanwhile.
        OSError: Something cannot be written; its `filename` lies in `out`.
    """
    taken = FileExistsError(f"{out}: exists already; choose another name or remove it")
    if out.exists():
        raise taken
    with naming(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(out.parent.glob(f".{glob.escape(out.name[:_KEPT])}.????????.part"))
    temporary, lock = _make_locked(out)
    try:
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
                raise taken from None
            raise
        _force_folder_to_disk(out.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    finally:
        if lock is not None:
            with contextlib.suppress(OSError):
                os.close(lock)


def replace_file(path: Path, write: Callable[[Path], object], *, keep: Path | None = None) -> None:
    """Let `write` fill a file beside `path`, force it to disk and put it in the place of `path`.

    Where `keep` is given, what stood at `path` moves there; killed between the two moves, `keep` is all there is.

    Raises:
        OSError: It cannot be written; `filename` is `path`, and what stood there stands there or at `keep`.
    """
    replace_files({path: write}, keep=keep)


def replace_files(files: Mapping[Path, Callable[[Path], object]], *, keep: Path | None = None) -> None:
    """As `replace_file`, of one folder: all are on disk before the first one is moved, in their order."""
    temporaries = {path: path.with_name(path.name + ".part") for path in files}
    try:
        for path, temporary in temporaries.items():
            with naming(path, temporary):
                files[path](temporary)
                _force_to_disk(temporary)
        for path, temporary in temporaries.items():
            with naming(path, temporary):
                if keep is not None and path.exists():
                    path.replace(keep)
                temporary.replace(path)
        _force_folder_to_disk(path.parent)
    except BaseException:
        for temporary in temporaries.values():
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise


def check_avi(path: Path) -> None:
    """See that an AVI is no shorter than its header says: OpenCV's writer does not tell of a full disk.

    Raises:
        OSError: It is not.
    """
    with path.open("rb") as file:
        head = file.read(8)
    length = int.from_bytes(head[4:], "little")
    if not head.startswith(b"RIFF") or not 0 < length <= path.stat().st_size - len(head):
        raise OSError(errno.ENOSPC, "written in part; is there space left?", str(path))


def remove_abandoned(folders: Iterable[Path]) -> None:
    """Remove those of `new_folder`'s unfinished folders that no living process holds; where none can tell, none."""
    with contextlib.suppress(OSError):
        for folder in folders:
            with contextlib.suppress(OSError):
                lock = _lock(folder)
                if lock is not None:
                    shutil.rmtree(folder, ignore_errors=True)
                    os.close(lock)


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def opencv_name(path: Path) -> str:
    """A path as OpenCV takes it: in UTF-8 alone; any other ends the process by a segmentation fault.

    Raises:
        DataError: It is none.
    """
    try:
        return os.fsencode(path).decode()
    except UnicodeDecodeError:
        raise DataError(f"{path}: its name is not UTF-8, which OpenCV needs; rename it") from None


def _make_locked(out: Path) -> tuple[Path, int | None]:
    """A hidden folder beside `out`, and a lock on it, which ends with this process; None where there are no locks."""
    while True:
        temporary = out.parent / f".{out.name[:_KEPT]}.{secrets.token_hex(4)}.part"
        with naming(out, temporary):
            temporary.mkdir()
        try:
            lock = _lock(temporary)
        except (BlockingIOError, FileNotFoundError):  # another process takes it for abandoned
            continue
        except OSError:
            return temporary, None
        if temporary.exists():
            return temporary, lock
        if lock is not None:
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """Hold a folder until the handle that is returned is closed; None on Windows.

    Raises:
        BlockingIOError: Another process holds it.
        OSError: There is no such folder, or its disk knows no locks.
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
    """Let an OSError of writing `path` name it: most bear no name, and others that of `temporary`."""
    temporary = temporary or path
    try:
        yield
    except OSError as error:
        if error.errno is None:  # NumPy's own: as many bytes wanted as did not fit
            if str(path) not in str(error):
                raise OSError(errno.EIO, f"cannot be written ({error})", str(path)) from error
            raise
        named = str(error.filename or temporary)
        if named.startswith(str(temporary)):
            error.filename = str(path) + named.removeprefix(str(temporary))
        raise


def _force_to_disk(path: Path) -> None:
    if sys.platform == "win32":  # Windows syncs neither folders nor files opened for reading
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _force_folder_to_disk(path: Path) -> None:
    """Where that is known: some network disks sync files alone, and what was moved stands in its place already."""
    with contextlib.suppress(OSError):
        _force_to_disk(path)
