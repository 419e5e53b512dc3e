"""Calls a function before each operation that changes files in a folder: to count operations, to kill, or to fail.

Python's file objects are replaced by those of `_pyio`, which do all operations through `os`. Files that C libraries
write (videos and images of OpenCV) are not covered; the full disks of `faults.py` cover them.
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

Callback = Callable[[str, str], None]
"""Called with the operation and the path; may raise an exception or kill the process."""
OPERATIONS = ("open", "write", "close", "fsync", "ftruncate", "mkdir", "rename", "replace", "unlink", "rmdir")
_BY_PATH = ("mkdir", "rename", "replace", "unlink", "rmdir")
_BY_HANDLE = ("write", "fsync", "ftruncate")


@contextlib.contextmanager
def intercept(folder: Path, callback: Callback) -> Iterator[None]:
    """Call `callback` before each of `OPERATIONS` on a path in `folder`, but after a file is closed."""
    top = os.path.realpath(folder)
    original = {name: getattr(os, name) for name in OPERATIONS}
    original_open, paths = io.open, dict[int, str]()

    def inside(path: Any) -> bool:
        return not isinstance(path, int) and os.path.realpath(os.fsdecode(path)).startswith(top + os.sep)

    def os_open(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        is_inside = inside(path) and "dir_fd" not in options
        if is_inside and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            callback("open", os.fsdecode(path))
        handle = original["open"](path, flags, *arguments, **options)
        if is_inside:
            paths[handle] = os.fsdecode(path)
        return handle

    def os_close(handle: int) -> None:
        original["close"](handle)
        path = paths.pop(handle, None)
        if path is not None:
            callback("close", path)

    def by_path(name: str) -> Callable[..., Any]:
        def change(path: Any, *arguments: Any, **options: Any) -> Any:
            if inside(path) or options.get("dir_fd") is not None:  # rmtree uses paths relative to a folder
                callback(name, os.fsdecode(path))
            return original[name](path, *arguments, **options)

        return change

    def by_handle(name: str) -> Callable[..., Any]:
        def change(handle: int, *arguments: Any) -> Any:
            if handle in paths:
                callback(name, paths[handle])
            return original[name](handle, *arguments)

        return change

    def open_file(path: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        writes = set(mode) & set("wax+") and not isinstance(path, int) and inside(path)
        return (_pyio.open if writes else original_open)(path, mode, *arguments, **options)

    patched = {name: by_path(name) for name in _BY_PATH} | {name: by_handle(name) for name in _BY_HANDLE}
    patched |= {"open": os_open, "close": os_close}
    try:
        for name, function in patched.items():
            setattr(os, name, function)
        io.open = builtins.open = open_file
        yield
    finally:
        io.open = builtins.open = original_open
        for name, function in original.items():
            setattr(os, name, function)
