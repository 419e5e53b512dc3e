"""Images: their pages and frames, their orientation, and messages about files that are no images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from echoseg.errors import DataError
from echoseg.io.file_types import IMAGE_SUFFIXES
from echoseg.io.reading import decode_clip, read_clip

PIXELS = (np.arange(20)[:, None] * 10 + np.arange(30)).astype(np.uint8)
FRAMES = np.stack([np.where(np.arange(600).reshape(20, 30) // 120 == t, 250, PIXELS) for t in range(5)]).astype(
    np.uint8
)


@pytest.mark.parametrize(
    ("suffix", "fps", "options"),
    [
        (".tif", np.nan, {}),
        (".tiff", np.nan, {"compression": "tiff_lzw"}),
        (".gif", 25, {"duration": 40, "optimize": True}),
        (".png", 25, {"duration": 40}),
        (".webp", 25, {"duration": 40, "lossless": True}),
    ],
)
def test_pages_and_frames_are_the_frames_of_a_clip(tmp_path, suffix, fps, options):
    images = [Image.fromarray(frame) for frame in FRAMES]
    path = tmp_path / f"a{suffix}"
    images[0].save(path, save_all=True, append_images=images[1:], **options)
    clip = read_clip(path)
    np.testing.assert_array_equal(clip.frames, FRAMES)
    np.testing.assert_equal(clip.fps, fps)
    guess = "its 5 pages are taken for time points, since it does not call them slices; to overrule this, use --axis3"
    assert clip.note.startswith(guess) if suffix.startswith(".tif") else clip.note == ""
    decoded = decode_clip(path, [1, 4, 9])
    assert (list(decoded.frames), decoded.passed) == ([1, 4], 5)


def test_pages_of_16_bits_have_one_window(tmp_path):
    images = [Image.fromarray(PIXELS.astype(np.uint16) * factor) for factor in (1, 100)]
    images[0].save(tmp_path / "a.tif", save_all=True, append_images=images[1:])
    frames = read_clip(tmp_path / "a.tif").frames
    assert frames.shape == (2, 20, 30)
    assert frames[0].max() < 5 < 200 < frames[1].max()


def test_pages_of_another_size_are_left_out_with_a_note(tmp_path):
    thumbnail = Image.fromarray(PIXELS[:5, :6])
    Image.fromarray(PIXELS).save(tmp_path / "a.tif", save_all=True, append_images=[thumbnail])
    clip = read_clip(tmp_path / "a.tif")
    np.testing.assert_array_equal(clip.frames, PIXELS[None])
    assert "1 of its 2 pages have another size" in clip.note


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_pixels_are_read_as_stored_and_a_turned_image_is_noted(tmp_path, orientation, suffix):
    image = Image.fromarray(PIXELS)
    exif = image.getexif()
    exif[274] = orientation
    path = tmp_path / f"a{suffix}"
    image.save(path, exif=exif, quality=95)
    np.testing.assert_allclose(
        read_clip(path).frames[0].astype(int), PIXELS, atol=0 if suffix in (".png", ".tif") else 8
    )
    assert (f"orientation {orientation}" in read_clip(path).note) == (orientation > 1)


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_every_listed_type_is_read(tmp_path, suffix):
    Image.fromarray(PIXELS).save(tmp_path / f"a{suffix}", **({"lossless": True} if suffix == ".webp" else {}))
    frames = read_clip(tmp_path / f"a{suffix}").frames
    np.testing.assert_allclose(frames.astype(int), PIXELS[None], atol=8 if suffix in (".jpg", ".jpeg", ".jp2") else 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; replace the file"),
        (b"\x89PNG\r\n\x1a\n", "is damaged"),
        (b"hello", "cannot be opened as an image; convert"),
        (b"<!DOCTYPE html><p>404", "is a web page, not the file itself; download it again"),
        (b"version https://git-lfs.github.com/spec/v1", "is a pointer of Git LFS, .*; run git lfs pull"),
    ],
)
def test_only_a_damaged_image_is_called_damaged(tmp_path, content, message):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.png: .*{message}"):
        read_clip(tmp_path / "a.png")
