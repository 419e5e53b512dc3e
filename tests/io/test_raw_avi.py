from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from _folders import write_frames_avi
from echoseg.errors import DataError
from echoseg.io.reading import decode_clip, read_clip


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


def empty_chunk(path, number, name=b"00db"):
    """Make the chunk of a frame empty, as capture programs do for a frame that they have lost."""
    content = path.read_bytes()
    start = content.index(b"movi") + 4
    for _ in range(number):
        start = content.index(name, start) + 4
    start = content.index(name, start)
    size = int.from_bytes(content[start + 4 : start + 8], "little")
    size += size % 2
    data = bytearray(content[: start + 4] + bytes(4) + content[start + 8 + size :])
    movie = data.index(b"movi") - 4
    data[movie : movie + 4] = (int.from_bytes(data[movie : movie + 4], "little") - size).to_bytes(4, "little")
    data[4:8] = (len(data) - 8).to_bytes(4, "little")
    path.write_bytes(data)


def test_an_empty_chunk_repeats_the_frame_before_it(tmp_path):  # L-SMASH-Works, issue 69
    frames = np.random.default_rng(0).integers(0, 256, (5, 6, 8), dtype=np.uint8)
    path = write_raw_avi(tmp_path / "a.avi", frames)
    for number in (2, 1):
        empty_chunk(path, number)
    np.testing.assert_array_equal(read_clip(path).frames, frames[[0, 0, 0, 3, 4]])
    np.testing.assert_array_equal(decode_clip(path, [2, 3]).frames[2], frames[0])
    np.testing.assert_array_equal(decode_clip(path, [2, 3]).frames[3], frames[3])


@pytest.mark.parametrize("has_index", [False, True])
def test_an_empty_chunk_of_motion_jpeg_repeats_the_frame_before_it(tmp_path, has_index):
    greys = [20, 60, 100, 140, 180]
    path = write_frames_avi(tmp_path / "a.avi", [np.full((32, 40), grey, np.uint8) for grey in greys])
    content = path.read_bytes()
    content = content[: content.index(b"idx1")].replace(b"MJPG", b"mjpg")  # FFmpeg decodes it
    path.write_bytes(content[:4] + (len(content) - 8).to_bytes(4, "little") + content[8:])
    empty_chunk(path, 2, b"00dc")
    if has_index:
        add_index(path)
    assert read_clip(path).frames[:, 9, 9].tolist() == pytest.approx([20, 60, 60, 140, 180], abs=2)
    decoded = decode_clip(path, [2, 3]).frames
    assert [int(decoded[number][9, 9]) for number in (2, 3)] == pytest.approx([60, 140], abs=2)


@pytest.mark.parametrize("decoder", ["FFmpeg", "OpenCV", "raw"])
def test_empty_chunks_at_the_start_show_the_frame_after_them(tmp_path, decoder):
    frames = [np.full((32, 40), grey, np.uint8) for grey in (20, 60, 100, 140)]
    path = tmp_path / "a.avi"
    if decoder == "raw":
        write_raw_avi(path, np.stack(frames))
    else:
        content = write_frames_avi(path, frames).read_bytes()
        content = content[: content.index(b"idx1")].replace(b"MJPG", b"MJPG" if decoder == "OpenCV" else b"mjpg")
        path.write_bytes(content[:4] + (len(content) - 8).to_bytes(4, "little") + content[8:])
    for number in (1, 0):
        empty_chunk(path, number, b"00db" if decoder == "raw" else b"00dc")
    decoded = decode_clip(path, [0, 1, 2, 3]).frames
    assert {number: int(frame[9, 9]) for number, frame in decoded.items()} == pytest.approx({2: 100, 3: 140}, abs=2)
    clip = read_clip(path)
    assert clip.frames[:, 9, 9].tolist() == pytest.approx([100, 100, 100, 140], abs=2)
    assert clip.note == "2 empty frames at the start, in place of which frame 2 is taken"


def test_an_avi_without_any_frame_or_with_a_damaged_first_one_is_refused(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (2, 6, 8), dtype=np.uint8)
    path = write_raw_avi(tmp_path / "a.avi", frames)
    for number in (1, 0):
        empty_chunk(path, number)
    with pytest.raises(DataError, match="contains no frame that can be decoded"):
        read_clip(path)
    damaged = write_frames_avi(tmp_path / "b.avi", [np.full((32, 40), grey, np.uint8) for grey in (20, 60)])
    content = bytearray(damaged.read_bytes())
    start = content.index(b"\xff\xd8\xff")  # of the first JPEG
    content[start : start + 200] = bytes(200)
    damaged.write_bytes(content)
    with pytest.raises(DataError, match="frame 0 is damaged or cut off"):
        read_clip(damaged)


def add_index(path):
    content = path.read_bytes()
    movie = content.index(b"movi")
    position, entries = movie + 4, b""
    while content[position + 2 : position + 4] == b"dc":
        size = int.from_bytes(content[position + 4 : position + 8], "little")
        entries += content[position : position + 4] + struct.pack("<III", 16, position - movie, size)
        position += 8 + size + size % 2
    content += chunk(b"idx1", entries)
    path.write_bytes(content[:4] + (len(content) - 8).to_bytes(4, "little") + content[8:])


@pytest.mark.parametrize(("form", "count"), [(b"AVIX", 5), (b"KEYE", 4)])
def test_further_parts_of_a_file_are_read_if_they_hold_frames(tmp_path, form, count):  # bioformats, pull request 3190
    frames = np.random.default_rng(0).integers(0, 256, (5, 6, 8), dtype=np.uint8)
    path = write_raw_avi(tmp_path / "a.avi", frames[:4])
    more = write_raw_avi(tmp_path / "b.avi", frames[4:]).read_bytes()
    movie = more[more.index(b"movi") - 8 :]
    path.write_bytes(path.read_bytes() + chunk(b"RIFF", form + movie))
    np.testing.assert_array_equal(read_clip(path).frames, frames[:count])


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
