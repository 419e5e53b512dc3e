"""Grey frames from a video file, by frame number, with OpenCV.

An AVI of JPEG frames (what EchoNet and the phantom are) goes to OpenCV's own reader, everything else to FFmpeg. Three
reasons, measured at 112×112: it skips to a frame at 1 µs instead of 40 µs a frame; it returns the luminance that the
JPEG holds (FFmpeg's way through BGR is off by one grey level on average); and where a frame is damaged it keeps the
count, while FFmpeg drops the frame without a word and every later tracing would lie on the wrong one.

These functions decode in the process that calls them. For files of strangers use those of `reading`.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from echoseg.errors import DataError
from echoseg.io.clip import MAX_BYTES, MAX_PIXELS, Clip
from echoseg.utils.files import opencv_name

Frame = NDArray[np.uint8]

CONTAINERS = {
    "AVI": rb"RIFF....AVI LIST",
    "MP4 or MOV": rb"....(ftyp|moov|mdat|wide|free|skip|pnot)",
    "Matroska or WebM": rb"\x1aE\xdf\xa3",
    "ASF (WMV)": rb"0&\xb2u\x8ef\xcf\x11\xa6\xd9\0\xaa\0b\xcel",
    "MPEG-PS": rb"\0\0\x01\xba",
    "MPEG-TS": rb"G.{187}G.{187}G",
}
"""Name → how such a file begins. Nothing else is given to FFmpeg: no playlist, no list of files, no pictures."""

CODECS = {
    "Motion JPEG": ("MJPG",),
    "MPEG-1, -2": ("MPG1", "MPG2"),
    "MPEG-4": ("FMP4", "MP4V", "XVID", "DIVX", "DX50", "DIV3", "MP41", "MP42", "MP43", "MPG4"),
    "H.264": ("H264", "X264", "AVC1"),
    "HEVC": ("HEVC", "H265", "HEV1", "HVC1"),
    "VP8, VP9, AV1": ("VP80", "VP90", "AV01"),
    "WMV": ("WMV1", "WMV2", "WMV3", "WVC1"),
    "lossless": ("FFV1", "FFVH", "HFYU", "MPNG"),
    "raw AVI": ("\0\0\0\0",),
}
"""Name → the FOURCCs that FFmpeg may have for it, in capitals."""

FFMPEG = (
    "protocol_whitelist;file|format_whitelist;avi,mov,matroska,asf,mpeg,mpegts|codec_whitelist;"
    "mjpeg,mpeg1video,mpeg2video,mpeg4,msmpeg4v1,msmpeg4v2,msmpeg4,h264,hevc,vp8,vp9,libdav1d,av1,wmv1,wmv2,wmv3,vc1,"
    "ffv1,ffvhuff,huffyuv,png,rawvideo"
)
"""The same two lists as OPENCV_FFMPEG_CAPTURE_OPTIONS; what a file refers to is opened by no other protocol."""

_RAW = rb"\0{4}|\x03\0{3}|DIB |RGB |RAW |GREY|Y8  |Y800|I420|IYUV|YV12|YUY2|UYVY|RGBA|BGRA"
_RAW_AVI = re.compile(rb"strh.{4}vids.{52}strf.{4}.{16}(" + _RAW + rb")", re.DOTALL)


class DecodedFrames(NamedTuple):
    """What was found of the frames asked for.

    Attributes:
        frames: Frame number → (H, W) uint8, grey. One that is there but damaged is missing.
        passed: How many frames the walk passed, the damaged ones too.
        declared: How many the header tells of; 0 where it tells none, or guesses. Not to be believed.
        fps: Frames a second as the header says, or 25 where it says nothing sensible.
    """

    frames: dict[int, Frame]
    passed: int
    declared: int
    fps: float


def read_video(path: Path) -> Clip:
    """Decode every frame.

    Raises:
        DataError: The file is missing, cannot be opened as a video, is cut or changes its size, or a frame is damaged.
    """
    found = decode_frames(path)
    frames = stack(path, found, None)
    declared = 0 if found.declared == len(frames) else found.declared
    return Clip(frames, found.fps, (np.nan, np.nan), np.nan, declared=declared)


def decode_frames(path: Path, frames: Sequence[int] | None = None) -> DecodedFrames:
    """Decode what can be decoded of the frames asked for, and go no further than the last of them.

    Args:
        path: The video file.
        frames: Indices from 0, increasing; None decodes every frame.

    Raises:
        DataError: The file is missing, cannot be opened as a video, or holds more than is believed.
        ValueError: `frames` is empty, negative or not increasing.
    """
    wanted = None if frames is None else check_numbers(frames)
    found: dict[int, Frame] = {}
    passed = size = 0
    with _open(path) as (capture, declared):
        rate = capture.get(cv2.CAP_PROP_FPS)
        asked = None if wanted is None else set(wanted)
        while (wanted is None or passed <= wanted[-1]) and capture.grab():
            if asked is None or passed in asked:
                image = _retrieve(capture)
                if image is not None:
                    found[passed] = image
                    size += image.size
            passed += 1
            if size > MAX_BYTES:
                raise DataError(f"{path}: holds more than {MAX_BYTES >> 30} GiB of frames; cut it")
    return DecodedFrames(found, passed, declared, rate if 1 <= rate <= 1000 else 25.0)


def stack(path: Path, found: DecodedFrames, frames: Sequence[int] | None) -> NDArray[np.uint8]:
    """(T, H, W): what was found of the frames asked for, or of all.

    Raises:
        DataError: One is missing or damaged, the file is cut, or they are of several sizes.
    """
    if frames is not None and len(found.frames) < len(frames):
        lacking = next(frame for frame in frames if frame not in found.frames)
        raise DataError(
            f"{path}: frame {lacking} cannot be read, {found.passed} frames found; replace the file or the number"
        )
    if not found.frames:
        raise DataError(f"{path}: holds no frame that can be decoded; replace the file")
    if frames is None and (len(found.frames) < found.passed or is_cut(path)):
        lacking = next((frame for frame in range(found.passed) if frame not in found.frames), found.passed)
        raise DataError(f"{path}: frame {lacking} is damaged or cut off; replace the file")
    images = list(found.frames.values())
    if any(image.shape != images[0].shape for image in images):
        raise DataError(f"{path}: its frames are not all of one size; replace the file")
    return np.stack(images)


def check_numbers(frames: Sequence[int]) -> list[int]:
    """Frame numbers as they may be asked for.

    Raises:
        ValueError: They are none, negative or not increasing.
    """
    wanted = [int(frame) for frame in frames]
    if not wanted or wanted[0] < 0 or any(b <= a for a, b in itertools.pairwise(wanted)):
        raise ValueError(f"frames: expected increasing numbers from 0, got {wanted}")
    return wanted


def is_cut(path: Path) -> bool:
    """Whether an AVI is shorter than its head says; it then lacks the index at its end, and frames."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(16)
    return _is_avi(head) and _u32(head, 4) + 8 > path.stat().st_size


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


@contextlib.contextmanager
def _open(path: Path) -> Iterator[tuple[cv2.VideoCapture, int]]:
    """The opened video, and how many frames its header tells of."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    if not head:
        raise DataError(f"{path}: is empty; replace the file")
    container = next((one for one, start in CONTAINERS.items() if re.match(start, head, re.DOTALL)), None)
    if container is None:
        raise DataError(f"{path}: cannot be opened as a video ({', '.join(CONTAINERS)}); replace the file")
    name, capture = opencv_name(path), cv2.VideoCapture()
    try:
        motion_jpeg = _is_avi(head) and b"MJPG" in head and _u32(head, 4) + 8 <= size
        opened = motion_jpeg and capture.open(name, cv2.CAP_OPENCV_MJPEG)
        if not opened and not capture.open(name, cv2.CAP_FFMPEG):
            raise DataError(f"{path}: cannot be opened as a video; replace the file")
        _check(path, capture, head)
        yield capture, _declared(capture, container, head, size)
    finally:
        capture.release()


def _check(path: Path, capture: cv2.VideoCapture, head: bytes) -> None:
    """Refuse what is compressed in an unknown way, or tells of frames that nobody has."""
    code = (int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF).to_bytes(4, "little").decode("latin-1").upper()
    known = any(code in codes for codes in CODECS.values())
    if not known or (not code.strip("\0") and not _RAW_AVI.search(head)):
        raise DataError(f"{path}: is compressed in none of the ways that are read ({', '.join(CODECS)}); convert it")
    width, height = (capture.get(side) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    if not width * height <= MAX_PIXELS:
        raise DataError(f"{path}: tells of frames of {width:.0f}×{height:.0f} pixels, which is not believed")


def _declared(capture: cv2.VideoCapture, container: str, head: bytes, size: int) -> int:
    """Frames that the header counts, where it does; a large AVI counts those of its first part alone."""
    if container == "MP4 or MOV":
        return max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    counts = container == "AVI" and head[24:28] == b"avih" and len(head) >= 52 and _u32(head, 4) + 8 >= size - 1
    return _u32(head, 48) if counts else 0


def _is_avi(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:16] == b"AVI LIST"


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")
