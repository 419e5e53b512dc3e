"""Grey frames from a video file, by frame number, with OpenCV.

An AVI of JPEG frames (what EchoNet and the phantom are) goes to OpenCV's own reader, everything else to FFmpeg. Three
reasons, measured at 112×112: it skips to a frame at 1 µs instead of 40 µs a frame; it returns the luminance that the
JPEG holds (FFmpeg's way through BGR is off by one grey level on average); and where a frame is damaged it keeps the
count, while FFmpeg drops the frame without a word and every later tracing would lie on the wrong one.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from echoseg.data.files import opencv_name
from echoseg.errors import DataError

Frame = NDArray[np.uint8]


def read_frames(path: str | Path, frames: Sequence[int] | None = None) -> NDArray[np.uint8]:
    """Decode frames of a video.

    Args:
        path: The video file.
        frames: Indices from 0, increasing; None decodes every frame.

    Returns:
        (T, H, W) uint8, grey.

    Raises:
        DataError: The file is missing, cannot be opened as a video, ends before the last frame asked for, or changes
            its size; where every frame is asked for, one is damaged or the file is cut.
        ValueError: `frames` is empty, negative or not increasing.
    """
    found, count = decode_frames(path, frames)
    if frames is not None and len(found) < len(frames):
        lacking = next(frame for frame in frames if frame not in found)
        raise DataError(f"{path}: frame {lacking} cannot be read, {count} frames found; replace the file or the number")
    if not found:
        raise DataError(f"{path}: holds no frame that can be decoded; replace the file")
    if frames is None and (len(found) < count or is_cut(Path(path))):
        lacking = next((frame for frame in range(count) if frame not in found), count)
        raise DataError(f"{path}: frame {lacking} is damaged or cut off; replace the file")
    images = [found[frame] for frame in sorted(found)]
    if any(image.shape != images[0].shape for image in images):
        raise DataError(f"{path}: its frames are not all of one size; replace the file")
    return np.stack(images)


def decode_frames(path: str | Path, frames: Sequence[int] | None = None) -> tuple[dict[int, Frame], int]:
    """Decode what can be decoded of the frames asked for, and go no further than the last of them.

    Args:
        path: The video file.
        frames: Indices from 0, increasing; None decodes every frame.

    Returns:
        Frame number → (H, W) uint8, grey, for those found; and how many frames the walk passed. A frame that is there
        but damaged is missing from the first and counts in the second.

    Raises:
        DataError: The file is missing or cannot be opened as a video.
        ValueError: `frames` is empty, negative or not increasing.
    """
    path = Path(path)
    wanted = None if frames is None else [int(frame) for frame in frames]
    if wanted is not None and (not wanted or wanted[0] < 0 or any(b <= a for a, b in itertools.pairwise(wanted))):
        raise ValueError(f"frames: expected increasing numbers from 0, got {wanted}")
    found: dict[int, Frame] = {}
    count = 0
    with _open(path) as capture:
        asked = None if wanted is None else set(wanted)
        while (wanted is None or count <= wanted[-1]) and capture.grab():
            if asked is None or count in asked:
                image = _retrieve(capture)
                if image is not None:
                    found[count] = image
            count += 1
    return found, count


def read_frame_rate(path: str | Path) -> float:
    """Frames a second as the file's header says, or 25 where it says nothing sensible.

    Raises:
        DataError: The file is missing or cannot be opened as a video.
    """
    with _open(Path(path)) as capture:
        rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if 1 <= rate <= 1000 else 25.0


def _retrieve(capture: cv2.VideoCapture) -> Frame | None:
    """The grabbed frame in grey, or None where it is damaged."""
    try:
        good, image = capture.retrieve()
    except cv2.error:
        return None
    if not good or image is None:
        return None
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return np.asarray(grey, dtype=np.uint8)


def _is_avi(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:16] == b"AVI LIST"


def is_cut(path: Path) -> bool:
    """Whether an AVI is shorter than its head says; it then lacks the index at its end, and frames."""
    with path.open("rb") as file:
        head = file.read(16)
    return _is_avi(head) and int.from_bytes(head[4:8], "little") + 8 > path.stat().st_size


@contextlib.contextmanager
def _open(path: Path) -> Iterator[cv2.VideoCapture]:
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    if not head:
        raise DataError(f"{path}: is empty; replace the file")
    name = opencv_name(path)
    capture = cv2.VideoCapture()
    try:
        with _hushed():
            motion_jpeg = _is_avi(head) and b"MJPG" in head and not is_cut(path)
            opened = motion_jpeg and capture.open(name, cv2.CAP_OPENCV_MJPEG)
            if not opened and not capture.open(name, cv2.CAP_FFMPEG):
                raise DataError(f"{path}: cannot be opened as a video; replace the file")
        yield capture
    finally:
        capture.release()


_hush_lock = threading.Lock()
_hush_depth = 0
_hush_level = 0


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Silence OpenCV while any thread is inside: what is wrong with a file, the caller says in one line.

    The log level is one for the whole process. FFmpeg's is read from the environment when the first video is opened and
    kept from then on; whoever sets it keeps his own.
    """
    global _hush_depth, _hush_level
    with _hush_lock:
        if _hush_depth == 0:
            _hush_level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        _hush_depth += 1
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        yield
    finally:
        with _hush_lock:
            _hush_depth -= 1
            if _hush_depth == 0:
                cv2.utils.logging.setLogLevel(_hush_level)
