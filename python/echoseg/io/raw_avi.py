"""Reads AVI files with uncompressed frames of 8, 24 or 32 bits, as MATLAB and frame grabbers write them.

OpenCV's decoder aborts the process on some of them (https://github.com/opencv/opencv/issues/4609). An empty chunk means
that the frame before it is shown again; capture programs write it for a frame that they have lost, and FFmpeg drops it
(https://github.com/HomeOfAviSynthPlusEvolution/L-SMASH-Works/issues/69).

Source: https://learn.microsoft.com/en-us/windows/win32/directshow/avi-riff-file-reference
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from echoseg.errors import DataError
from echoseg.io.clip import MAX_PIXELS

_MAX_HEADER = 1 << 16
_LISTS = (b"RIFF", b"LIST")
_RIFF_FORMS = (b"AVI ", b"AVIX")  # other parts of a file hold data of other programs


class RawAvi:
    """The frames of an AVI without compression; has the methods of `cv2.VideoCapture` that `video` uses.

    Args:
        path: The file.
        header: The content of its `strh` chunk.
        bitmap: The content of its `strf` chunk, a `BITMAPINFO`.

    Raises:
        DataError: The number of bits is not supported, or the frames are too large.
    """

    def __init__(self, path: Path, header: bytes, bitmap: bytes) -> None:
        self.width, height = struct.unpack_from("<ii", bitmap, 4)
        self.bits = struct.unpack_from("<H", bitmap, 14)[0]
        self.height, self.is_top_down = abs(height), height < 0
        if self.bits not in (8, 24, 32):
            raise DataError(f"{path}: its frames have {self.bits} bits a pixel; convert it to Motion JPEG or H.264")
        if not 0 < self.width * self.height <= MAX_PIXELS:
            raise DataError(
                f"{path}: declares frames of {self.width}×{self.height} pixels, more than the limit of {MAX_PIXELS}; "
                "make them smaller, or replace the file"
            )
        scale, rate = struct.unpack_from("<II", header, 20)
        self.fps = rate / scale if scale else 0.0
        self.stride = (self.width * self.bits // 8 + 3) // 4 * 4
        self.palette = _palette(bitmap) if self.bits == 8 else None
        self.file = path.open("rb")
        self.chunks = _frame_chunks(self.file, path.stat().st_size)
        self.position = self.size = 0

    def grab(self) -> bool:
        """Go to the next frame; False at the end."""
        found = next(self.chunks, None)
        if found is None:
            return False
        if found[1]:
            self.position, self.size = found
        self.file.seek(self.position)
        return True

    def retrieve(self) -> tuple[bool, NDArray[np.uint8] | None]:
        """Whether the frame is whole, and its (H, W) or (H, W, 3) uint8 pixels, the latter in the order BGR."""
        data = self.file.read(min(self.size, self.stride * self.height))
        if len(data) < self.stride * self.height:
            return False, None
        rows = np.frombuffer(data, np.uint8).reshape(self.height, self.stride)[:: 1 if self.is_top_down else -1]
        if self.palette is not None:
            return True, self.palette[rows[:, : self.width]]
        pixels = rows[:, : self.width * self.bits // 8].reshape(self.height, self.width, self.bits // 8)
        return True, np.ascontiguousarray(pixels[..., :3])

    def get(self, prop: int) -> float:
        """The frame rate; no other property is known."""
        return self.fps if prop == cv2.CAP_PROP_FPS else 0.0


class WithEmptyFrames:
    """The frames of an AVI, given those that FFmpeg decodes; has the methods of `cv2.VideoCapture` that `video` uses.

    Args:
        capture: The opened video, of a codec that stores each frame by itself.
        is_empty: (T,) bool, whether the chunk of each frame is empty.
    """

    def __init__(self, capture: cv2.VideoCapture, is_empty: NDArray[np.bool_]) -> None:
        self.capture, self.is_empty, self.number, self.has_frame = capture, is_empty, -1, False

    def grab(self) -> bool:
        """Go to the next frame; False at the end."""
        self.number += 1
        if self.number < len(self.is_empty) and self.is_empty[self.number]:
            return True
        self.has_frame = bool(self.capture.grab())
        return self.has_frame

    def retrieve(self) -> tuple[bool, NDArray[np.uint8] | None]:
        """Whether the frame is whole, and its pixels."""
        if not self.has_frame:  # no frame is before the empty ones
            return False, None
        success, image = self.capture.retrieve()
        return success, None if image is None else np.asarray(image, np.uint8)

    def get(self, prop: int) -> float:
        """A property of the video."""
        return float(self.capture.get(prop))


def empty_frames(path: Path) -> NDArray[np.bool_]:
    """(T,) bool: whether the chunk of each frame is empty, by the index of an AVI, else by the chunks."""
    size = path.stat().st_size
    with path.open("rb") as file:
        sizes = _index_sizes(file, size)
        return np.array([length for _, length in _frame_chunks(file, size)] if sizes is None else sizes) == 0


def _index_sizes(file: BinaryIO, size: int) -> NDArray[np.uint32] | None:
    """The sizes of the frames of the first video stream by the chunk `idx1`; None without it."""
    position = 12
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"idx1":
            content = file.read(min(length, size - position - 8))
            entries = np.frombuffer(content[: len(content) // 16 * 16], "<u4").reshape(-1, 4)
            names = entries[:, 0].copy().view("S4")
            frames = [name for name in names if name[2:] in (b"db", b"dc")]
            return entries[names == frames[0], 3] if frames else entries[:0, 3]
        position += 8 + length + length % 2
    return None


def open_raw_avi(path: Path) -> RawAvi | None:
    """Open an AVI whose video stream is not compressed; None for every other file.

    Raises:
        DataError: The frames are uncompressed, but of an unsupported kind.
    """
    header = bitmap = b""
    with path.open("rb") as file:
        for name, position, size in _chunks(file, path.stat().st_size):
            if name in (b"strh", b"strf") and size <= _MAX_HEADER:
                file.seek(position)
                data = file.read(size)
                if name == b"strh":
                    header = data if data.startswith(b"vids") else b""
                elif header:
                    bitmap = data
                    break
            elif name[2:] in (b"db", b"dc"):
                break
    if len(header) < 36 or len(bitmap) < 40 or bitmap[16:20] not in (b"\0\0\0\0", b"DIB ", b"RGB "):
        return None
    return RawAvi(path, header, bitmap)


def _palette(bitmap: bytes) -> NDArray[np.uint8]:
    """(256, 3) uint8, BGR; grey if the file has no palette."""
    start, used = struct.unpack_from("<I", bitmap)[0], struct.unpack_from("<I", bitmap, 32)[0] or 256
    colours = np.frombuffer(bitmap[start : start + 4 * min(used, 256)], np.uint8)
    palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    if len(colours) % 4 == 0 and len(colours):
        palette[: len(colours) // 4] = colours.reshape(-1, 4)[:, :3]
    return palette


def _frame_chunks(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Position and size of each frame of the first video stream."""
    stream = b""
    for name, position, length in _chunks(file, size):
        if name[2:] in (b"db", b"dc") and (not stream or name[:2] == stream):
            stream = name[:2]
            yield position, length


def _chunks(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, position and size of each chunk; lists are entered."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8))
        if name in _LISTS and (name != b"RIFF" or file.read(4) in _RIFF_FORMS):
            position += 12
            continue
        yield name, position + 8, length
        position += 8 + length + length % 2
