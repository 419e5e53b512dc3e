"""The worker process that decodes files; started by `worker_pool`. Only this module calls the pixel readers."""

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
from echoseg.io import dicom, dicom_file, image, video
from echoseg.io.clip import MAX_BYTES, Clip
from echoseg.io.file_types import content_reason

MEMORY_LIMIT = "ECHOSEG_DECODE_GIB"
"""Environment variable: the memory that one worker process may use."""
DTYPES = frozenset(np.dtype(code).str for code in "?bBhHiIqQfd")
"""The dtypes that a response may contain."""

Response = tuple[dict[str, Any], list[NDArray[Any]]]


def respond(request: dict[str, Any]) -> Response:
    """Decode the file of a request.

    Args:
        request: `task`, `path` and `argument`, as `worker_pool.request` sends them.

    Returns:
        Metadata and arrays. A file that cannot be used has the metadata entry "error" and no arrays.
    """
    path = Path(request["path"])
    try:
        metadata, arrays = TASKS[request["task"]](path, request["argument"])
        arrays = [_to_sendable(array) for array in arrays]
        if sum(array.nbytes for array in arrays) <= MAX_BYTES:
            return metadata, arrays
        error = f"contains more than {MAX_BYTES >> 30} GiB of pixels; split the file"
    except DataError as caught:
        error = content_reason(path) or str(caught).removeprefix(f"{path}: ")
    except MemoryError:
        error = f"needs more memory to decode than the limit; if the file is valid, raise {MEMORY_LIMIT}"
    except Exception as caught:  # an exception of the decoder that no reader anticipated
        error = (
            content_reason(path)
            or f"its decoder failed ({type(caught).__name__}); convert it to another type, or replace the file"
        )
    return {"error": error}, []


def _clip_response(clip: Clip) -> Response:
    names = [field.name for field in dataclasses.fields(clip) if field.name != "frames"]
    return {name: getattr(clip, name) for name in names}, [clip.frames]


def _read_pages(path: Path, argument: Any) -> Response:
    pages = image.read_pages(path, argument)
    metadata = pages._asdict()
    return metadata, [metadata.pop("pixels")]


def _read_slices(path: Path, argument: Any) -> Response:
    from echoseg.io import series, volume  # importing nibabel takes half a second

    if path.is_dir():
        return _clip_response(series.read_series(path))
    opened = volume.open_volume(path, argument)
    voxels = volume.read_voxels(path)
    volume.check_colours(path, voxels)
    frames = volume.to_grey(opened.arrange(voxels))
    clip = Clip(frames, opened.fps, opened.spacing, opened.thickness, note=opened.note, time_points=opened.time_points)
    return _clip_response(clip)


def _open_volume(path: Path, argument: Any) -> Response:
    from echoseg.io import multiframe, series, volume

    if image.is_image(path):
        pages = image.read_pages(path, argument)
        facts = (pages.spacing, pages.thickness, (2, 1, 0), (), None, pages.time_points, pages.fps, pages.note)
        opened = volume.Volume(path, pages.pixels.shape, *facts)
    elif dicom_file.is_dicom(path):
        opened = multiframe.open_frames(path)
    else:
        opened = series.open_series(path).volume if path.is_dir() else volume.open_volume(path, argument)
    metadata = vars(opened).copy()
    del metadata["path"]
    affine = metadata.pop("affine")
    return metadata, [] if affine is None else [affine]


def _read_voxels(path: Path, argument: Any) -> Response:
    from echoseg.io import series, volume

    if path.is_dir():
        return {}, [series.read_series_voxels(series.open_series(path))]
    return {}, [volume.read_voxels(path)]


def _series_files(path: Path, argument: Any) -> Response:
    from echoseg.io.series import series_files

    return {}, [np.frombuffer(b"\0".join(os.fsencode(file.name) for file in series_files(path)), np.uint8)]


def _dicom_headers(path: Path, argument: Any) -> Response:
    from echoseg.io import series

    paths = [found.path for found in series.open_series(path).slices] if path.is_dir() else [path]
    headers = [[each.name, dicom_file.read_header(each)] for each in paths]
    return {}, [np.frombuffer(json.dumps(headers).encode(), np.uint8)]


def _decode_frames(path: Path, numbers: list[int]) -> Response:
    decoded = video.decode_frames(path, numbers)
    metadata = {
        "numbers": list(decoded.frames),
        "passed": decoded.passed,
        "declared": decoded.declared,
        "fps": decoded.fps,
        "turned": decoded.turned,
    }
    return metadata, list(decoded.frames.values())


def _read_labels(path: Path, argument: Any) -> Response:
    from echoseg.io import label_image

    return {}, [label_image.read_labels(path, by_colour=bool(argument))]


def _read_palette(path: Path, argument: Any) -> Response:
    from echoseg.io import label_image

    return {}, [label_image.read_palette(path)]


TASKS: dict[str, Callable[[Path, Any], Response]] = {
    "video": lambda path, _: _clip_response(video.read_video(path)),
    "dicom": lambda path, axis3: _clip_response(dicom.read_dicom(path, axis3)),
    "slices": _read_slices,
    "video frames": _decode_frames,
    "pages": _read_pages,
    "labels": _read_labels,
    "palette": _read_palette,
    "volume": _open_volume,
    "voxels": _read_voxels,
    "series files": _series_files,
    "DICOM headers": _dicom_headers,
}
"""Task name → the function that reads a file, given its path and the request's argument."""
FOLDER_TASKS = frozenset(("slices", "volume", "voxels", "series files", "DICOM headers"))
"""The tasks that also read a folder, with a DICOM series."""


def main() -> None:
    """Respond to requests on stdin until it closes."""
    requests, responses = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not mix with the responses
    cv2.setNumThreads(1)
    _limit_resources(float(sys.argv[2]))
    while size := int.from_bytes(requests.read(4), "little"):
        request = json.loads(requests.read(size))
        faulthandler.dump_traceback_later(request["seconds"] + 1, exit=True)  # in case the parent has ended
        metadata, arrays = respond(request)
        header = json.dumps([metadata, [[array.dtype.str, array.shape] for array in arrays]]).encode()
        responses.write(len(header).to_bytes(4, "little") + header)
        for array in arrays:
            responses.write(array.data)
        responses.flush()
        faulthandler.cancel_dump_traceback_later()


def _limit_resources(gib: float) -> None:
    if sys.platform == "win32":
        return
    import resource

    limits = {resource.RLIMIT_AS: int(gib * 2**30), resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}
    for kind, limit in limits.items():
        with contextlib.suppress(OSError, ValueError):  # macOS does not limit the address space
            resource.setrlimit(kind, (limit, limit))


def _to_sendable(array: NDArray[Any]) -> NDArray[Any]:
    """The array C-contiguous, in native byte order, with one of `DTYPES`."""
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    return array if array.dtype.str in DTYPES else array.astype(np.float64)
