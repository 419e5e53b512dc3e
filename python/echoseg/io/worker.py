"""What a decoding child does; see `isolation`. The only place that calls the readers of pixels."""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from echoseg.errors import DataError
from echoseg.io import dicom, image, video
from echoseg.io.clip import MAX_BYTES, Clip

GIB = "ECHOSEG_DECODE_GIB"
"""Environment variable: how much memory a child has."""
DTYPES = frozenset(np.dtype(code).str for code in "?bBhHiIqQfd")
"""What arrays may be of."""

Answer = tuple[dict[str, Any], list[NDArray[Any]]]


def answer(request: dict[str, Any]) -> Answer:
    """Facts and arrays of a file; what is wrong with it is the fact "error"."""
    path = Path(request["path"])
    try:
        facts, arrays = TASKS[request["task"]](path, request["argument"])
        arrays = [_plain(array) for array in arrays]
        if sum(array.nbytes for array in arrays) <= MAX_BYTES:
            return facts, arrays
        error = f"holds more than {MAX_BYTES >> 30} GiB; cut it"
    except DataError as found:
        error = str(found).removeprefix(f"{path}: ")
    except MemoryError:
        error = f"takes more memory to decode than its decoder has; if the file is sound, set {GIB}"
    except Exception as found:  # a decoder's own, on a file that no reader foresaw
        error = f"made its decoder fail ({type(found).__name__}); replace the file"
    return {"error": error}, []


def _of_clip(clip: Clip) -> Answer:
    facts = {one.name: getattr(clip, one.name) for one in dataclasses.fields(clip) if one.name != "frames"}
    return facts, [clip.frames]


def _read_slices(path: Path, argument: Any) -> Answer:
    from echoseg.io import volume  # nibabel takes half a second

    opened = volume.open_volume(path)
    frames = volume.to_grey(opened.arrange(volume.read_voxels(path)))
    return _of_clip(Clip(frames, np.nan, opened.spacing, opened.thickness))


def _open_volume(path: Path, argument: Any) -> Answer:
    from echoseg.io.volume import open_volume

    facts = vars(open_volume(path)).copy()
    del facts["path"]
    affine = facts.pop("affine")
    return facts, [] if affine is None else [affine]


def _read_voxels(path: Path, argument: Any) -> Answer:
    from echoseg.io.volume import read_voxels

    return {}, [read_voxels(path)]


def _find_frames(path: Path, numbers: list[int]) -> Answer:
    found = video.decode_frames(path, numbers)
    facts = {"numbers": list(found.frames), "passed": found.passed, "declared": found.declared, "fps": found.fps}
    return facts, list(found.frames.values())


TASKS: dict[str, Callable[[Path, Any], Answer]] = {
    "video": lambda path, _: _of_clip(video.read_video(path)),
    "dicom": lambda path, _: _of_clip(dicom.read_dicom(path)),
    "slices": _read_slices,
    "video frames": _find_frames,
    "image": lambda path, _: ({}, [image.read_image(path)]),
    "volume": _open_volume,
    "voxels": _read_voxels,
}
"""Name → what reads a file, given its path and an argument."""


def main() -> None:
    """Answer requests until there are no more."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    cv2.setNumThreads(1)
    _limit_itself(float(sys.argv[2]))
    while size := int.from_bytes(requests.read(4), "little"):
        request = json.loads(requests.read(size))
        faulthandler.dump_traceback_later(request["seconds"] + 1, exit=True)  # its parent may be gone
        facts, arrays = answer(request)
        header = json.dumps([facts, [[array.dtype.str, array.shape] for array in arrays]]).encode()
        answers.write(len(header).to_bytes(4, "little") + header)
        for array in arrays:
            answers.write(array.data)
        answers.flush()
        faulthandler.cancel_dump_traceback_later()


def _limit_itself(gib: float) -> None:
    if sys.platform == "win32":
        return
    import resource

    for kind, most in ((resource.RLIMIT_AS, int(gib * 2**30)), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(OSError, ValueError):  # macOS knows no limit of address space
            resource.setrlimit(kind, (most, most))


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """In one piece, of a type that is sent."""
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    return array if array.dtype.str in DTYPES else array.astype(np.float64)
