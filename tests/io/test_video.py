from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from _folders import FRAMES, SIZE, SUNNYBROOK, grey_of, write_video
from echoseg.errors import DataError
from echoseg.io.reading import decode_clip, read_clip, read_frames
from echoseg.io.video import decode_frames

JPEG_START = b"\xff\xd8\xff"


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "v.avi")


@pytest.fixture(scope="module")
def speckle(tmp_path_factory):
    """Five textured grey frames, written as EchoNet-Dynamic's are: three equal channels, Motion JPEG."""
    return write_speckle(tmp_path_factory.mktemp("video") / "speckle.avi", "MJPG")


def write_speckle(path, code):
    random = np.random.default_rng(0)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), 50, (112, 112))
    for _ in range(5):
        image = cv2.GaussianBlur(random.integers(0, 256, (112, 112), dtype=np.uint8), (0, 0), 2)
        writer.write(cv2.cvtColor(cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX), cv2.COLOR_GRAY2BGR))
    writer.release()
    return path


def jpegs(path) -> list[bytes]:
    """The JPEG images inside an AVI, found without any video reader."""
    data = path.read_bytes()
    start = data.find(JPEG_START)
    found = []
    while start >= 0:
        found.append(data[start : start + int.from_bytes(data[start - 4 : start], "little")])
        start = data.find(JPEG_START, start + len(found[-1]))
    return found


def are_frames(images, frames) -> bool:
    """Whether each image has the grey level of its frame number."""
    return len(images) == len(frames) and all(
        abs(int(image.mean()) - grey_of(frame)) <= 5 for image, frame in zip(images, frames, strict=True)
    )


@pytest.mark.parametrize("code", ["MJPG", "XVID", "mp4v"])
def test_all_or_some_frames_are_read_in_grey(tmp_path, code):
    path = write_video(tmp_path / ("v.mp4" if code == "mp4v" else "v.avi"), code=code)
    all_frames = read_frames(path)
    assert all_frames.shape == (FRAMES, *SIZE)
    assert all_frames.dtype == np.uint8
    assert are_frames(all_frames, range(FRAMES))
    for frames in ([0], [FRAMES - 1], [1, 2, 6]):
        np.testing.assert_array_equal(read_frames(path, frames), all_frames[frames])


def test_pixels_are_the_luminance_of_the_jpeg(speckle):
    expected = np.stack([cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) for data in jpegs(speckle)])
    error = np.abs(read_frames(speckle).astype(int) - expected)
    assert error.max() <= 1
    assert error.mean() < 0.001


def test_ffmpeg_differs_by_at_most_two_grey_levels(speckle, tmp_path):
    frames = read_frames(speckle)
    cut_off = tmp_path / "cut.avi"
    cut_off.write_bytes(speckle.read_bytes()[:-20])  # without its index the file is decoded by FFmpeg
    by_ffmpeg = read_frames(cut_off, range(len(frames)))
    assert by_ffmpeg.shape == frames.shape
    assert np.abs(by_ffmpeg.astype(int) - frames).max() <= 2


@pytest.mark.skipif(not SUNNYBROOK.is_dir(), reason="the shared data set is missing")
def test_real_videos():
    assert [len(read_frames(path)) for path in sorted(SUNNYBROOK.glob("Videos/*.avi"))] == [18, 18, 20, 18]


def test_a_damaged_frame_is_missing_and_later_ones_keep_their_numbers(video, tmp_path):
    data = bytearray(video.read_bytes())
    third = data.find(jpegs(video)[3])
    data[third : third + 200] = bytes(200)
    path = tmp_path / "damaged.avi"
    path.write_bytes(data)
    found, count = decode_frames(path)[:2]
    assert count == FRAMES
    assert sorted(found) == [0, 1, 2, 4, 5, 6, 7]
    assert are_frames([found[5], found[7]], [5, 7])
    with pytest.raises(DataError, match=r"damaged\.avi: frame 3 cannot be read"):
        read_frames(path, [1, 3])


def test_a_cut_off_video_gives_its_frames_and_reports_a_missing_one(video, tmp_path, capfd):
    data = video.read_bytes()
    path = tmp_path / "cut.avi"
    path.write_bytes(data[: data.find(jpegs(video)[5]) - 8])
    assert are_frames(read_frames(path, [1, 4]), [1, 4])
    with pytest.raises(DataError, match=r"cut\.avi: frame 6 cannot be read, 5 frames found"):
        read_frames(path, [1, 6])
    assert capfd.readouterr() == ("", "")


def test_a_video_that_changes_its_frame_size_is_refused(video, speckle, tmp_path):
    data, small = speckle.read_bytes(), jpegs(video)[0]
    large = jpegs(speckle)[2]
    path = tmp_path / "mixed.avi"
    path.write_bytes(data.replace(large, small + bytes(len(large) - len(small))))
    assert decode_frames(path).frames[2].shape == SIZE
    with pytest.raises(DataError, match=r"mixed\.avi: its frames differ in size"):
        read_frames(path)


def test_a_frame_beyond_the_end_is_refused(video):
    with pytest.raises(DataError, match=r"v\.avi: frame 8 cannot be read, 8 frames found"):
        read_frames(video, [2, 8])


def test_a_wrong_frame_count_in_the_header_is_ignored_and_reported(video, tmp_path):
    data = bytearray(video.read_bytes())
    for count in (0, 1, 2**31 - 1):
        data[48:52] = count.to_bytes(4, "little")  # dwTotalFrames of avih
        path = tmp_path / f"{count}.avi"
        path.write_bytes(data)
        assert are_frames(read_frames(path), range(FRAMES))
        assert read_clip(path).declared == count
        assert read_clip(video).declared == 0


def test_a_wrong_frame_count_of_an_mp4_is_reported(tmp_path):
    path = write_video(tmp_path / "v.mp4", code="mp4v")
    assert read_clip(path).declared == 0
    data = bytearray(path.read_bytes())
    count = data.find(b"stsz") + 12
    data[count : count + 4] = (FRAMES - 3).to_bytes(4, "big")
    path.write_bytes(data)
    clip = read_clip(path)
    assert (len(clip.frames), clip.declared) == (FRAMES - 3, FRAMES)


def test_frames_that_the_header_asks_to_turn_are_turned_and_noted(tmp_path):  # OpenCV, issue 15499
    frame = np.zeros((32, 48), np.uint8)
    frame[:8] = 200
    path = tmp_path / "a.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 25, (48, 32))
    for _ in range(3):
        writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    writer.release()
    assert read_clip(path).note == ""
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 44
    content[matrix : matrix + 36] = np.array([0, 1 << 16, 0, -1 << 16, 0, 0, 32 << 16, 0, 1 << 30], ">i4").tobytes()
    path.write_bytes(content)
    clip = read_clip(path)
    np.testing.assert_allclose(clip.frames[0].astype(int), np.rot90(frame, -1), atol=20)
    assert clip.note == "the frames are turned by 90 degrees, as the header asks for"
    assert decode_clip(path, [0]).turned == 90


@pytest.mark.parametrize(("scale", "rate", "fps"), [(1, 50, 50), (1, 2000, np.nan), (2, 1, np.nan), (1, 0, np.nan)])
def test_an_implausible_rate_is_unknown(video, tmp_path, scale, rate, fps):
    content = bytearray(video.read_bytes())
    strh = content.index(b"strh") + 28
    content[strh : strh + 8] = np.array([scale, rate], "<u4").tobytes()
    (tmp_path / "a.avi").write_bytes(content)
    np.testing.assert_equal(read_clip(tmp_path / "a.avi").fps, fps)


@pytest.mark.parametrize("kept", ["up to the index", "half of the index", "the first bytes"])
def test_an_unfinished_mp4_is_called_so(tmp_path, kept):  # "moov atom not found"
    path = write_video(tmp_path / "a.mp4", frames=8, code="mp4v")
    content = path.read_bytes()
    index = content.index(b"moov") - 4
    size = {"up to the index": index, "half of the index": (index + len(content)) // 2, "the first bytes": 40}[kept]
    path.write_bytes(content[:size])
    with pytest.raises(DataError) as caught:
        read_frames(path)
    assert str(caught.value) == (
        f"{path}: has no index (moov): it is cut off, or was not finished; copy or export it again"
    )


def test_an_avi_cut_off_in_its_header_is_called_so(video, tmp_path):
    content = video.read_bytes()
    path = tmp_path / "a.avi"
    path.write_bytes(content[:3000])
    with pytest.raises(DataError, match=r"a\.avi: is shorter than its header declares: it is cut off"):
        read_frames(path)


def test_a_damaged_video_gives_the_same_pixels_each_time(tmp_path):
    path = write_speckle(tmp_path / "v.mp4", "mp4v")
    data = path.read_bytes()
    for offset in range(1500, len(data) - 800, 400):  # FFmpeg's concealment would be random with several threads
        path.write_bytes(data[:offset] + bytes(40) + data[offset + 40 :])
        first, *others = (read_frames(path) for _ in range(4))
        assert all(np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("code", ["cvid", "MSVC", "IV50", "\0\0\0\1"])
def test_a_codec_that_is_not_listed_is_refused(video, tmp_path, code):
    path = tmp_path / "v.avi"
    path.write_bytes(video.read_bytes().replace(b"MJPG", code.encode()))
    with pytest.raises(DataError, match=r"v\.avi: (its codec is not supported|cannot be opened)"):
        read_frames(path)


def test_an_implausible_frame_size_is_refused(tmp_path):
    path = write_video(tmp_path / "v.avi", code="I420")
    assert are_frames(read_frames(path), range(FRAMES))
    data = bytearray(path.read_bytes())
    sizes = data.find(b"strf") + 12
    data[sizes : sizes + 8] = np.array([16000, 16000], "<u4").tobytes()
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"v\.avi: declares frames of 16000×16000 pixels, more than the limit of \d+; "):
        read_frames(path)


REFERRING_FILES = {
    "playlist": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{0}\n#EXT-X-ENDLIST\n",
    "list of files": "ffconcat version 1.0\nfile '{0}'\n",
    "session": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 26\n",
    "manifest": '<?xml version="1.0"?><MPD><BaseURL>{0}</BaseURL></MPD>',
}


@pytest.mark.parametrize("ending", ["avi", "mp4", "m3u8", "ffconcat"])
@pytest.mark.parametrize("content", REFERRING_FILES)
def test_a_file_cannot_make_ffmpeg_open_another(video, tmp_path, content, ending):
    path = tmp_path / f"v.{ending}"
    path.write_text(REFERRING_FILES[content].format(video))
    with pytest.raises(DataError, match="cannot be opened as a video"):
        read_frames(path)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
@pytest.mark.parametrize("name", ["concat:a|b", "subfile,,start,0,end,9,,:a.avi", "frame%03d.png.avi", "http:__a.avi"])
def test_a_file_name_is_not_interpreted_as_a_protocol(video, tmp_path, monkeypatch, name):
    path = tmp_path / name
    with pytest.raises(DataError, match="cannot be read"):
        read_frames(path)
    path.write_bytes(video.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert are_frames(read_frames(name), range(FRAMES))


INVALID_VIDEOS = {
    "empty": b"",
    "text": b"hello " * 1000,
    "zeros": bytes(5000),
    "four bytes": b"RIFF",
    "header only": b"RIFF\xff\xff\xff\xffAVI LIST",
    "wrong header": b"RIFF\x10\0\0\0AVI MJPG" + bytes(500),
}


@pytest.mark.parametrize("content", INVALID_VIDEOS)
def test_an_invalid_video_gives_a_one_line_message_and_no_output(tmp_path, content, capfd):
    path = tmp_path / "v.avi"
    path.write_bytes(INVALID_VIDEOS[content])
    with pytest.raises(DataError, match=r"replace the file|copy or export it again") as caught:
        read_frames(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"no\.avi: cannot be read"):
        read_frames(tmp_path / "no.avi")
    with pytest.raises(DataError, match="cannot be read"):
        read_frames(tmp_path)


@pytest.mark.parametrize("frames", [[], [-1], [2, 2], [3, 1]])
def test_frame_numbers_must_increase(video, frames):
    with pytest.raises(ValueError, match="increasing"):
        read_frames(video, frames)


def test_threads_get_the_same_frames(video):
    expected = read_frames(video)
    with ThreadPoolExecutor(8) as pool:
        for images in pool.map(lambda _: read_frames(video), range(32)):
            np.testing.assert_array_equal(images, expected)
