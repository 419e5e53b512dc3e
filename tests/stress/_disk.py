"""Every operation that changes files below a folder, seen one by one before it happens: to count, to kill, to fail.

Python's own files are swapped for those of ``_pyio``, which are written in Python and do all they do through ``os``;
what libraries write from C (OpenCV's videos and pictures) is not seen here, see the full disks of ``faults.py``.
"""

from __future__ import annotations

import _pyio
import builtins
import contextlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Before = Callable[[str, str], None]  # the operation, the path; may raise or kill
OPERATIONS = ("open", "write", "close", "fsync", "ftruncate", "mkdir", "rename", "replace", "unlink", "rmdir")
_BY_PATH = ("mkdir", "rename", "replace", "unlink", "rmdir")
_BY_HANDLE = ("write", "fsync", "ftruncate")


@contextlib.contextmanager
def watched(folder: Path, before: Before) -> Iterator[None]:
    """Call ``before`` ahead of each of ``OPERATIONS`` on a path below ``folder``; closing comes after."""
    top = os.path.realpath(folder)
    real = {name: getattr(os, name) for name in OPERATIONS}
    opened, paths = io.open, dict[int, str]()

    def inside(path: Any) -> bool:
        return not isinstance(path, int) and os.path.realpath(os.fsdecode(path)).startswith(top + os.sep)

    def os_open(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        mine = inside(path) and "dir_fd" not in options
        if mine and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            before("open", os.fsdecode(path))
        handle = real["open"](path, flags, *arguments, **options)
        if mine:
            paths[handle] = os.fsdecode(path)
        return handle

    def os_close(handle: int) -> None:
        real["close"](handle)
        path = paths.pop(handle, None)
        if path is not None:
            before("close", path)

    def by_path(name: str) -> Callable[..., Any]:
        def change(path: Any, *arguments: Any, **options: Any) -> Any:
            if inside(path) or options.get("dir_fd") is not None:  # of rmtree, which looks at folders from within
                before(name, os.fsdecode(path))
            return real[name](path, *arguments, **options)

        return change

    def by_handle(name: str) -> Callable[..., Any]:
        def change(handle: int, *arguments: Any) -> Any:
            if handle in paths:
                before(name, paths[handle])
            return real[name](handle, *arguments)

        return change

    def open_file(path: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        writes = set(mode) & set("wax+") and not isinstance(path, int) and inside(path)
        return (_pyio.open if writes else opened)(path, mode, *arguments, **options)

    patched = {name: by_path(name) for name in _BY_PATH} | {name: by_handle(name) for name in _BY_HANDLE}
    patched |= {"open": os_open, "close": os_close}
    try:
        for name, function in patched.items():
            setattr(os, name, function)
        io.open = builtins.open = open_file
        yield
    finally:
        io.open = builtins.open = opened
        for name, function in real.items():
            setattr(os, name, function)
