"""Decoding in child processes: a decoder's bug, or a file made to meet one, costs that file and not the program.

A child is a Python of its own that imports NumPy, OpenCV and what a file's kind needs, answers one request after the
other over its pipes, and has limits: time for each file, and on Linux memory; there and on macOS it can write no file.
Children are kept for the next request, at most one for each CPU, and end when their parent does. What one answers is
JSON and raw arrays, believed no more than the file: sizes are checked before memory is asked for, and the callers check
the rest.

Where Python does not know its own program, as in one that embeds it, files are decoded in the process itself.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import select
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from echoseg.errors import DataError
from echoseg.io.clip import MAX_BYTES, MAX_PIXELS
from echoseg.io.video import FFMPEG
from echoseg.io.worker import DTYPES, GIB, answer
from echoseg.utils.parallel import cpus

SECONDS = "ECHOSEG_DECODE_SECONDS"
"""Environment variable: how long one file may take."""
LIMITS = {SECONDS: 120.0, GIB: 8.0}

Built = TypeVar("Built")
Facts = dict[str, Any]
Arrays = list[NDArray[Any]]

_NONSENSE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
_HEADER = 1 << 20  # bytes of JSON at most
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from echoseg.io.worker import main; main()"
_WINDOWS = 0x08000200 if os.name == "nt" else 0  # a group of its own, no window
_ENVIRONMENT = {
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": FFMPEG,
    "OPENCV_FFMPEG_THREADS": "1",  # with more, a damaged video gives other pixels each time
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(MAX_PIXELS),
    "OPENBLAS_NUM_THREADS": "1",  # each would take address space
    "OMP_NUM_THREADS": "1",
}


@dataclass
class _Children:
    """Those of this process."""

    slots: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(cpus()))
    lock: threading.Lock = field(default_factory=threading.Lock)
    every: set[subprocess.Popen[bytes]] = field(default_factory=set)
    idle: list[subprocess.Popen[bytes]] = field(default_factory=list)


_children = _Children()


def ask(task: str, path: str | Path, build: Callable[[Facts, Arrays], Built], argument: Any = None) -> Built:
    """Let a child decode a file.

    Args:
        task: A name in `child.TASKS`.
        path: The file.
        build: Makes the result of what the child tells; any error that it raises means that the child told nonsense.
        argument: For the task; as JSON has it.

    Raises:
        DataError: The file cannot be used, its decoder crashed, or took too much memory or time.
    """
    _check_file(path)
    request = {"task": task, "path": str(Path(path).absolute()), "argument": argument}
    if sys.executable and not getattr(sys, "frozen", False):
        facts, arrays = _ask_child(request, path)
    else:
        facts, arrays = answer(request)
    if "error" in facts:
        raise DataError(f"{path}: {' '.join(str(facts['error']).split())[:500]}")
    try:
        return build(facts, arrays)
    except _NONSENSE:
        raise DataError(f"{path}: its decoder told nonsense; replace the file") from None


def end_children() -> None:
    """End every child; the next request starts a new one."""
    with _children.lock:
        for process in _children.every:
            _end(process)
        _children.every.clear()
        _children.idle.clear()


def _check_file(path: str | Path) -> None:
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read ({cause}); check the path") from None
    if not stat.S_ISREG(mode):
        raise DataError(f"{path}: cannot be read (it is no file); check the path")


def _ask_child(request: Facts, path: str | Path) -> tuple[Facts, Arrays]:
    seconds, gib = _limit(SECONDS), _limit(GIB)
    with _children.slots:
        process = _take(gib)
        end = time.monotonic() + seconds
        try:
            _send(process.stdin, {**request, "seconds": seconds})
            found = _receive(process.stdout, end)
        except BaseException as error:
            _drop(process)
            if not isinstance(error, (OSError, EOFError, *_NONSENSE)):
                raise
            late = time.monotonic() >= end
            raise DataError(f"{path}: {_why(error, process.returncode, late, seconds)}") from None
        with _children.lock:
            _children.idle.append(process)
        return found


def _why(error: BaseException, code: int | None, late: bool, seconds: float) -> str:
    if late:
        return f"takes longer than {seconds:g} s to decode; if the file is sound, set {SECONDS}"
    if isinstance(error, _NONSENSE):
        return "its decoder told nonsense; replace the file"
    how = f"ended with {code}"
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            how = f"was ended by {signal.Signals(-code).name}"
    return f"crashed its decoder, which {how}; replace the file"


def _limit(name: str) -> float:
    text = os.environ.get(name, "")
    try:
        value = float(text) if text else LIMITS[name]
    except ValueError:
        value = math.nan
    if not 0 < value < 1e6:
        raise DataError(f"{name}: expected a number above 0, got {text!r}; unset it")
    return value


def _take(gib: float) -> subprocess.Popen[bytes]:
    with _children.lock:
        while _children.idle:
            process = _children.idle.pop()
            if process.poll() is None:
                return process
            _children.every.discard(process)
            _end(process)
        process = _start(gib)
        _children.every.add(process)
        return process


def _start(gib: float) -> subprocess.Popen[bytes]:
    # isolated from the folder that the program runs in: it may hold a stranger's numpy.py
    home = Path(__file__).parents[2]
    paths = [str(home), *(str(Path(path).absolute()) for path in sys.path if path)]
    arguments = [sys.executable, "-I", "-B", "-W", "ignore", "-c", _START, json.dumps(paths), str(gib)]
    return subprocess.Popen(
        arguments,
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **_ENVIRONMENT},
        start_new_session=True,  # Ctrl-C is for the parent
        creationflags=_WINDOWS,
    )


def _send(stream: IO[bytes] | None, request: Facts) -> None:
    assert stream is not None
    text = json.dumps(request).encode()
    data = memoryview(len(text).to_bytes(4, "little") + text)
    while data:
        data = data[stream.write(data) :]


def _receive(stream: IO[bytes] | None, end: float) -> tuple[Facts, Arrays]:
    """An answer until a moment of the clock; its sizes are checked before there is room for it.

    Raises:
        TimeoutError: There was none; a child on Windows, where pipes cannot be waited for, ends by its own watch.
        EOFError: The child ended.
        ValueError: It told nonsense.
    """
    size = int.from_bytes(_fill(stream, bytearray(4), end), "little")
    if size > _HEADER:
        raise ValueError("a header too long")
    facts, kinds = json.loads(_fill(stream, bytearray(size), end))
    if not isinstance(facts, dict) or not isinstance(kinds, list):
        raise ValueError("no facts")
    arrays, total = [], 0
    for kind, shape in kinds:
        if kind not in DTYPES or not all(isinstance(side, int) and 0 <= side <= MAX_BYTES for side in shape):
            raise ValueError("no array")
        total += math.prod(shape) * np.dtype(kind).itemsize
        if total > MAX_BYTES:
            raise ValueError("too large")
        array = np.empty(shape, kind)
        _fill(stream, array.reshape(-1).view(np.uint8), end)
        arrays.append(array)
    return facts, arrays


def _fill(stream: IO[bytes] | None, buffer: Any, end: float) -> Any:
    assert stream is not None
    left = memoryview(buffer)
    if sys.platform != "win32":
        ready = select.poll()
        ready.register(stream, select.POLLIN)
    while left:
        if sys.platform != "win32" and not ready.poll(max(0.0, end - time.monotonic()) * 1000):
            raise TimeoutError
        got = stream.readinto(left)  # type: ignore[attr-defined]
        if not got:
            raise EOFError
        left = left[got:]
    return buffer


def _drop(process: subprocess.Popen[bytes]) -> None:
    _end(process)
    with _children.lock:
        _children.every.discard(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def _forget() -> None:
    """In a process that was forked: the children are its parent's, and must end with that one."""
    global _children
    for process in _children.every:
        process.returncode = 0  # so that nobody waits for another's child
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
    _children = _Children()


atexit.register(end_children)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
