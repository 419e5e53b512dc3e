from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from echoseg.errors import DataError
from echoseg.io.reading import read_clip


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def write_raw_avi(path: Path, frames: np.ndarray, *, bits: int = 24, top_down: bool = False, fourcc=b"\0" * 4) -> Path:
    """Write (T, H, W) uint8 frames without compression, as MATLAB's VideoWriter does."""
    count, height, width = frames.shape
    stride = (width * bits // 8 + 3) // 4 * 4
    palette = np.arange(256, dtype=np.uint8)[::-1].repeat(4).tobytes() if bits == 8 else b""
    bitmap = struct.pack(
        "<IiiHH4sIiiII", 40, width, -height if top_down else height, 1, bits, fourcc, stride * height, 0, 0, 0, 0
    )
    stream = b"vids" + fourcc + struct.pack("<IHHIIIIIIII4h", 0, 0, 0, 0, 1, 40, 0, count, 0, 0, 0, 0, 0, width, height)
    main = struct.pack("<14I", 25000, 0, 0, 16, count, 0, 1, 0, width, height, 0, 0, 0, 0)
    streams = chunk(b"LIST", b"strl" + chunk(b"strh", stream) + chunk(b"strf", bitmap + palette))
    header = chunk(b"LIST", b"hdrl" + chunk(b"avih", main) + streams)
    movie = b"movi"
    for frame in frames:
        values = 255 - frame if bits == 8 else np.repeat(frame[..., None], bits // 8, axis=2)
        rows = values.reshape(height, -1)[:: 1 if top_down else -1]
        movie += chunk(b"00db", np.pad(rows, ((0, 0), (0, stride - rows.shape[1]))).tobytes())
        movie += chunk(b"01wb", b"sound")
    path.write_bytes(chunk(b"RIFF", b"AVI " + header + chunk(b"LIST", movie)))
    return path


@pytest.mark.parametrize("bits", [8, 24, 32])
@pytest.mark.parametrize("top_down", [False, True])
@pytest.mark.parametrize("width", [5, 8])
def test_uncompressed_frames_are_read_exactly(tmp_path, bits, top_down, width):
    frames = np.random.default_rng(0).integers(0, 256, (4, 6, width), dtype=np.uint8)
    clip = read_clip(write_raw_avi(tmp_path / "a.avi", frames, bits=bits, top_down=top_down))
    np.testing.assert_array_equal(clip.frames, frames)
    assert (clip.fps, clip.declared) == (40, 0)


def test_the_codec_dib_is_uncompressed_too(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (2, 6, 8), dtype=np.uint8)
    clip = read_clip(write_raw_avi(tmp_path / "a.avi", frames, fourcc=b"DIB "))
    np.testing.assert_array_equal(clip.frames, frames)


def test_a_file_cut_off_in_a_frame(tmp_path):
    path = write_raw_avi(tmp_path / "a.avi", np.zeros((4, 6, 8), np.uint8))
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(DataError, match="frame 3 is damaged or cut off"):
        read_clip(path)


def test_sixteen_bits_are_refused_with_the_cure(tmp_path):
    path = write_raw_avi(tmp_path / "a.avi", np.zeros((1, 6, 8), np.uint8))
    path.write_bytes(
        path.read_bytes().replace(struct.pack("<HH4s", 1, 24, b"\0" * 4), struct.pack("<HH4s", 1, 16, b"\0" * 4))
    )
    with pytest.raises(DataError, match="16 bits a pixel; convert it"):
        read_clip(path)
