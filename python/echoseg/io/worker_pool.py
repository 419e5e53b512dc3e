"""Untrusted files are decoded in worker processes: a crash of a decoder costs one file, not the program.

A worker is a separate Python process that imports NumPy, OpenCV and the reader of the file. It responds to one request
after the other over its pipes. Each file has a time limit and, on Linux, a memory limit; on Linux and macOS a worker
cannot write files. Workers are reused, at most one per CPU, and end with their parent. A response is JSON and raw
arrays, and is as untrusted as the file: this module checks the sizes before it allocates memory, and the caller checks
the content.

Where Python does not know its own executable, for example embedded in another program, the calling process decodes.
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
from echoseg.io.video import FFMPEG_OPTIONS
from echoseg.io.worker import DTYPES, FOLDER_TASKS, MEMORY_LIMIT, respond
from echoseg.utils.parallel import cpus

TIME_LIMIT = "ECHOSEG_DECODE_SECONDS"
"""Environment variable: the time that decoding one file may take."""
DEFAULT_LIMITS = {TIME_LIMIT: 120.0, MEMORY_LIMIT: 8.0}

Result = TypeVar("Result")
Metadata = dict[str, Any]
Arrays = list[NDArray[Any]]

_INVALID = "its decoder gave an invalid response; convert it to another type, or replace the file"
_INVALID_RESPONSE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
_MAX_HEADER = 1 << 20  # bytes of JSON
_WORKER_CODE = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from echoseg.io.worker import main; main()"
_WINDOWS_FLAGS = 0x08000200 if os.name == "nt" else 0  # CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP
_ENVIRONMENT = {
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": FFMPEG_OPTIONS,
    "OPENCV_FFMPEG_THREADS": "1",  # with more threads, a damaged video decodes to different pixels each time
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(MAX_PIXELS),
    "OPENBLAS_NUM_THREADS": "1",  # each thread would take address space
    "OMP_NUM_THREADS": "1",
}


@dataclass
class _Pool:
    """The worker processes of this process."""

    slots: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(cpus()))
    lock: threading.Lock = field(default_factory=threading.Lock)
    workers: set[subprocess.Popen[bytes]] = field(default_factory=set)
    idle: list[subprocess.Popen[bytes]] = field(default_factory=list)


_pool = _Pool()


def request(task: str, path: str | Path, build: Callable[[Metadata, Arrays], Result], argument: Any = None) -> Result:
    """Decode a file in a worker process.

    Args:
        task: A name in `worker.TASKS`.
        path: The file, or a folder for a task in `worker.FOLDER_TASKS`.
        build: Makes the result from the response. An exception that it raises means an invalid response.
        argument: The argument of the task; must be JSON serializable.

    Raises:
        DataError: The file cannot be used, its decoder crashed, or decoding exceeded the time or memory limit.
    """
    _check_file(path, folders=task in FOLDER_TASKS)
    message = {"task": task, "path": str(Path(path).absolute()), "argument": argument}
    if sys.executable and not getattr(sys, "frozen", False):
        metadata, arrays = _send_to_worker(message, path)
    else:
        metadata, arrays = respond(message)
    if "error" in metadata:
        raise DataError(f"{path}: {' '.join(str(metadata['error']).split())[:500]}")
    try:
        return build(metadata, arrays)
    except _INVALID_RESPONSE:
        raise DataError(f"{path}: {_INVALID}") from None


def end_workers() -> None:
    """End all worker processes; the next request starts a new one."""
    with _pool.lock:
        for process in _pool.workers:
            _kill(process)
        _pool.workers.clear()
        _pool.idle.clear()


def _check_file(path: str | Path, *, folders: bool) -> None:
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read ({cause}); check the path") from None
    if not os.access(path, os.R_OK):
        raise DataError(f"{path}: cannot be read (no permission); allow reading it, such as by chmod +r")
    if not stat.S_ISREG(mode) and not (folders and stat.S_ISDIR(mode)):
        raise DataError(f"{path}: cannot be read (not a regular file); check the path")


def _send_to_worker(message: Metadata, path: str | Path) -> tuple[Metadata, Arrays]:
    seconds, gib = _read_limit(TIME_LIMIT), _read_limit(MEMORY_LIMIT)
    with _pool.slots:
        process = _acquire(gib)
        deadline = time.monotonic() + seconds
        try:
            _send(process.stdin, {**message, "seconds": seconds})
            response = _receive(process.stdout, deadline)
        except BaseException as error:
            _discard(process)
            if not isinstance(error, (OSError, EOFError, *_INVALID_RESPONSE)):
                raise
            timed_out = time.monotonic() >= deadline
            raise DataError(f"{path}: {_describe_failure(error, process.returncode, timed_out, seconds)}") from None
        with _pool.lock:
            _pool.idle.append(process)
        return response


def _describe_failure(error: BaseException, exit_code: int | None, timed_out: bool, seconds: float) -> str:
    if timed_out:
        return f"takes longer than {seconds:g} s to decode; if the file is valid, raise {TIME_LIMIT}"
    if isinstance(error, _INVALID_RESPONSE):
        return _INVALID
    cause = f"exit code {exit_code}"
    if exit_code is not None and exit_code < 0:
        with contextlib.suppress(ValueError):
            cause = signal.Signals(-exit_code).name
    return f"its decoder crashed ({cause}); convert it to another type, or replace the file"


def _read_limit(variable: str) -> float:
    text = os.environ.get(variable, "")
    try:
        value = float(text) if text else DEFAULT_LIMITS[variable]
    except ValueError:
        value = math.nan
    if not 0 < value < 1e6:
        raise DataError(f"{variable}: expected a number greater than 0, got {text!r}; unset it")
    return value


def _acquire(gib: float) -> subprocess.Popen[bytes]:
    with _pool.lock:
        while _pool.idle:
            process = _pool.idle.pop()
            if process.poll() is None:
                return process
            _pool.workers.discard(process)
            _kill(process)
        process = _start(gib)
        _pool.workers.add(process)
        return process


def _start(gib: float) -> subprocess.Popen[bytes]:
    # -I: the working directory is not on the path, since it may contain an untrusted numpy.py
    package_parent = Path(__file__).parents[2]
    paths = [str(package_parent), *(str(Path(path).absolute()) for path in sys.path if path)]
    arguments = [sys.executable, "-I", "-B", "-W", "ignore", "-c", _WORKER_CODE, json.dumps(paths), str(gib)]
    return subprocess.Popen(
        arguments,
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **_ENVIRONMENT},
        start_new_session=True,  # Ctrl-C goes to the parent only
        creationflags=_WINDOWS_FLAGS,
    )


def _send(stream: IO[bytes] | None, message: Metadata) -> None:
    assert stream is not None
    text = json.dumps(message).encode()
    data = memoryview(len(text).to_bytes(4, "little") + text)
    while data:
        data = data[stream.write(data) :]


def _receive(stream: IO[bytes] | None, deadline: float) -> tuple[Metadata, Arrays]:
    """Read a response; its sizes are checked before memory is allocated.

    Raises:
        TimeoutError: No response arrived before the deadline. On Windows pipes have no timeout, and the worker ends
            itself instead.
        EOFError: The worker ended.
        ValueError: The response is invalid.
    """
    size = int.from_bytes(_fill(stream, bytearray(4), deadline), "little")
    if size > _MAX_HEADER:
        raise ValueError("header too long")
    metadata, descriptions = json.loads(_fill(stream, bytearray(size), deadline))
    if not isinstance(metadata, dict) or not isinstance(descriptions, list):
        raise ValueError("no metadata")
    arrays, total = [], 0
    for dtype, shape in descriptions:
        if dtype not in DTYPES or not all(isinstance(side, int) and 0 <= side <= MAX_BYTES for side in shape):
            raise ValueError("not an array")
        total += math.prod(shape) * np.dtype(dtype).itemsize
        if total > MAX_BYTES:
            raise ValueError("too large")
        array = np.empty(shape, dtype)
        _fill(stream, array.reshape(-1).view(np.uint8), deadline)
        arrays.append(array)
    return metadata, arrays


def _fill(stream: IO[bytes] | None, buffer: Any, deadline: float) -> Any:
    assert stream is not None
    remaining = memoryview(buffer)
    if sys.platform != "win32":
        poller = select.poll()
        poller.register(stream, select.POLLIN)
    while remaining:
        if sys.platform != "win32" and not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError
        count = stream.readinto(remaining)  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        remaining = remaining[count:]
    return buffer


def _discard(process: subprocess.Popen[bytes]) -> None:
    _kill(process)
    with _pool.lock:
        _pool.workers.discard(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    _close_pipes(process)


def _close_pipes(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def _reset_after_fork() -> None:
    """Leave the workers to the parent process: they belong to it and must end with it."""
    global _pool
    for process in _pool.workers:
        process.returncode = 0  # so that Popen does not wait for a process of the parent
        _close_pipes(process)
    _pool = _Pool()


atexit.register(end_workers)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
