"""DICOM files: grey frames, frame rate, spacing, and the sector without the burnt-in text around it."""

from __future__ import annotations

import contextlib

import cv2
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.examples import get_path
from pydicom.uid import ExplicitVRLittleEndian, JPEGLosslessSV1, RLELossless

from _ultrasound import BOX, cine, region, write_dicom
from echoseg.errors import DataError
from echoseg.io.dicom_file import is_dicom
from echoseg.io.reading import read_clip


def test_a_real_apical_cine_is_read_and_cropped_to_its_sector():
    clip = read_clip(get_path("ybr_color"))
    assert clip.frames.shape == (30, 240, 320)
    assert clip.fps == pytest.approx(30, abs=0.01)
    assert clip.spacing == pytest.approx((1.021, 1.021), abs=0.001)  # its region refers to 640 × 480 pixels
    assert clip.square == pytest.approx((18, 78, 184), abs=6)  # as cropped by hand
    for black in ((slice(0, 40), slice(0, 70)), (slice(208, 240), slice(0, 320)), (slice(15, 23), slice(183, 193))):
        assert not clip.frames[(slice(None), *black)].any()  # name, menu and orientation mark
    data = pydicom.dcmread(get_path("ybr_color"))
    raw = next(pydicom.encaps.generate_frames(data.PixelData, number_of_frames=30))
    grey = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_GRAYSCALE)
    kept = clip.frames[0] > 0
    assert kept.mean() > 0.3
    np.testing.assert_allclose(clip.frames[0][kept], grey[kept], atol=1)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize("kind", ["MONOCHROME2", "MONOCHROME1", "RGB", "YBR_FULL"])
def test_photometric_interpretations_give_the_same_grey(tmp_path, kind, syntax):
    frames = cine()
    pixels = {
        "MONOCHROME2": frames,
        "MONOCHROME1": 255 - frames,
        "RGB": frames[..., None].repeat(3, axis=3),
        "YBR_FULL": np.stack([frames, np.full_like(frames, 90), np.full_like(frames, 128)], axis=3),
    }[kind]
    clip = read_clip(write_dicom(tmp_path / "no suffix", pixels, kind, syntax=syntax))
    kept = clip.frames.any(axis=0)
    np.testing.assert_array_equal(clip.frames[:, kept], frames[:, kept])
    assert np.isnan([clip.fps, *clip.spacing, clip.thickness]).all()
    sector = np.argwhere(kept)
    assert (*sector.min(axis=0), *sector.max(axis=0) + 1) == pytest.approx(BOX, abs=2)
    assert clip.square == pytest.approx((10, 30, 100), abs=2)


@pytest.mark.parametrize(("slope", "intercept"), [(None, None), (2.0, -1000.0)])
def test_16_bits_are_scaled_by_the_window(tmp_path, slope, intercept):
    values = np.linspace(0, 4000, 12, dtype=np.uint16).reshape(1, 3, 4)
    tags = {"Modality": "MR", "PixelSpacing": [1.5, 1.25], "WindowCenter": [1000.5, 3], "WindowWidth": [2001, 5]}
    if slope:
        tags |= {"RescaleSlope": slope, "RescaleIntercept": intercept}
    clip = read_clip(write_dicom(tmp_path / "a.dcm", values, **tags))
    modality = values * (slope or 1) + (intercept or 0)
    np.testing.assert_allclose(clip.frames, (modality / 2000 * 255).clip(0, 255), atol=0.5)
    assert clip.spacing == (1.5, 1.25)
    assert clip.square is None
    plain = read_clip(write_dicom(tmp_path / "b.dcm", values, Modality="MR"))
    assert (plain.frames.min(), plain.frames.max()) == (0, 255)
    flat = read_clip(write_dicom(tmp_path / "c.dcm", np.full_like(values, 7), Modality="MR"))
    assert len(np.unique(flat.frames)) == 1


@pytest.mark.parametrize(
    ("tags", "fps"),
    [
        ({"FrameTime": 20}, 50),
        ({"FrameTimeVector": [0, 25, 25, 24, 25, 200]}, 40),
        ({"CineRate": 30}, 30),
        ({"RecommendedDisplayFrameRate": 24}, 24),
        ({"FrameTime": 0, "CineRate": 60}, 60),
        ({"FrameTime": 1e9}, np.nan),
        ({}, np.nan),
    ],
)
def test_the_frame_rate_comes_from_the_first_plausible_tag(tmp_path, tags, fps):
    assert read_clip(write_dicom(tmp_path / "a.dcm", cine(2), **tags)).fps == pytest.approx(fps, nan_ok=True)


def test_black_frames_before_a_cine_of_16_bits_do_not_change_its_greys(tmp_path):
    frames = cine().astype(np.uint16) * 16
    black = np.zeros_like(frames[:3])
    plain = read_clip(write_dicom(tmp_path / "a.dcm", frames, Modality="MR"))
    later = read_clip(write_dicom(tmp_path / "b.dcm", np.concatenate([black, frames]), Modality="MR"))
    assert not later.frames[:3].any()
    np.testing.assert_array_equal(later.frames[3:], plain.frames)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize(
    "wrong",
    [
        {"Rows": 65535, "Columns": 65535},
        {"NumberOfFrames": 2**31 - 1},
        {"Rows": 4000, "Columns": 4000},
        {"Rows": 0},
        {"NumberOfFrames": -3},
        {"BitsAllocated": 64},
    ],
)
def test_a_header_with_a_wrong_size_is_refused(tmp_path, wrong, syntax):
    path = write_dicom(tmp_path / "a.dcm", cine(), syntax=syntax, **wrong)
    with pytest.raises(DataError) as caught:
        read_clip(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Doe" not in str(caught.value)


def test_an_unavailable_decoder_and_missing_pixels_are_reported(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", cine(), syntax=RLELossless)
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    data.save_as(path)
    with pytest.raises(DataError, match=r"JPEG Lossless.*pip install"):
        read_clip(path)
    del data.PixelData
    data.save_as(path)
    with pytest.raises(DataError, match="contains no image"):
        read_clip(path)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize("declared", [4, 9, 100_000])
def test_all_frames_are_read_whatever_number_is_declared(tmp_path, declared, syntax):
    clip = read_clip(write_dicom(tmp_path / "a.dcm", cine(), syntax=syntax, Modality="MR", NumberOfFrames=declared))
    np.testing.assert_array_equal(clip.frames, cine())
    assert clip.declared == declared


def test_without_a_number_of_frames_all_are_read(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", cine(), Modality="MR")
    data = pydicom.dcmread(path)
    del data.NumberOfFrames
    data.save_as(path)
    assert (len(read_clip(path).frames), read_clip(path).declared) == (6, 1)


@pytest.mark.parametrize("declared", [6, 9])
def test_shared_colours_are_read(tmp_path, declared):
    pairs = cine().reshape(6, 120, 80, 2)
    packed = np.stack(
        [*np.moveaxis(pairs, -1, 0), np.full_like(pairs[..., 0], 90), np.full_like(pairs[..., 0], 140)], -1
    )
    tags = {"PhotometricInterpretation": "YBR_FULL_422", "PixelData": packed.tobytes(), "NumberOfFrames": declared}
    path = write_dicom(tmp_path / "a.dcm", cine()[..., None].repeat(3, -1), "RGB", Modality="MR", **tags)
    np.testing.assert_array_equal(read_clip(path).frames, cine())


def test_colours_said_to_be_shared_that_are_not(tmp_path):
    pixels = np.stack([cine(), np.full_like(cine(), 90), np.full_like(cine(), 128)], axis=3)
    path = write_dicom(tmp_path / "a.dcm", pixels, "YBR_FULL_422", Modality="MR")
    np.testing.assert_array_equal(read_clip(path).frames, cine())


@pytest.mark.parametrize(("bits", "largest"), [(8, 255), (16, 65535), (16, 255)])
def test_palettes_of_every_depth(tmp_path, bits, largest):
    table = (255 - np.arange(256)) * (largest // 255)
    data = table.astype(np.uint8 if bits == 8 else np.uint16).tobytes()
    tags = {"Modality": "MR"}
    for colour in ("Red", "Green", "Blue"):
        tags[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
        tags[f"{colour}PaletteColorLookupTableData"] = data
    clip = read_clip(write_dicom(tmp_path / "a.dcm", cine(), "PALETTE COLOR", **tags))
    np.testing.assert_array_equal(clip.frames, 255 - cine())


@pytest.mark.parametrize("name", ["a.dcm", "00000001", "IM.1.2.840"])
@pytest.mark.parametrize("what", ["prefix", "meta", "implicit", "big endian"])
def test_a_file_without_the_prefix_is_told_by_its_content(tmp_path, what, name):
    path = write_dicom(tmp_path / name, cine(), Modality="MR", FrameTime=20)
    data = pydicom.dcmread(path)
    if what == "prefix":
        path.write_bytes(path.read_bytes()[132:])
    else:
        bare = Dataset()
        bare.update(data)
        bare["PixelData"].VR = "OB"
        implicit, little = what == "implicit", what != "big endian"
        bare.save_as(path, implicit_vr=implicit, little_endian=little, enforce_file_format=False)
    assert is_dicom(path)
    clip = read_clip(path)
    np.testing.assert_array_equal(clip.frames, cine())
    assert clip.fps == 50


def test_other_files_are_not_dicom(tmp_path):
    contents = [b"", b"\x08\0", b"\x08\0\x05\0" * 40, b"RIFF" + bytes(200), bytes(300), b"\x02\0\x01\0" + bytes(300)]
    contents.append(np.random.default_rng(0).integers(6, 10, 4000).astype("<u2").tobytes())
    for content in contents:
        (tmp_path / "a").write_bytes(content)
        assert not is_dicom(tmp_path / "a"), content[:20]


def test_a_file_that_is_only_called_dcm(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"hello" * 100)
    with pytest.raises(DataError, match="no DICOM header; rename it"):
        read_clip(tmp_path / "a.dcm")


def test_a_file_cut_off_in_its_pixels(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", cine(), Modality="MR")
    path.write_bytes(path.read_bytes()[:-30000])
    clip = read_clip(path)
    np.testing.assert_array_equal(clip.frames, cine()[:4])
    assert clip.declared == 6


@pytest.fixture(scope="module", params=[ExplicitVRLittleEndian, RLELossless])
def valid_file(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("dicom") / "a.dcm"
    return write_dicom(
        path, cine(2), syntax=request.param, FrameTime=20, SequenceOfUltrasoundRegions=[region()]
    ).read_bytes()


@pytest.mark.parametrize("place", ["FrameTime", "WindowCenter", "TransferSyntaxUID", "PixelSpacing"])
def test_error_messages_contain_no_text_of_the_header(tmp_path, place):
    tags = {"FrameTime": "1111", "WindowCenter": "2222", "WindowWidth": "900", "PixelSpacing": ["3333", "1"]}
    path = write_dicom(tmp_path / "a.dcm", cine().astype(np.uint16), Modality="MR", **tags)
    old = {"FrameTime": b"1111", "WindowCenter": b"2222", "PixelSpacing": b"3333", "TransferSyntaxUID": b"0008.1.2.1"}
    data = path.read_bytes()
    assert old[place] in data
    path.write_bytes(data.replace(old[place], b"Doe^Jane__"[: len(old[place])]))
    with pytest.raises(DataError) as caught:
        read_clip(path)
    assert "Doe" not in str(caught.value)


def test_a_header_whose_elements_are_missing_or_invalid_is_not_called_damaged(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", cine(), Modality="MR", PixelSpacing=["1.25", "1.5"])
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1.25\\1.5", b"1,25\\1,5"))  # a decimal comma
    with pytest.raises(DataError) as caught:
        read_clip(path)
    assert str(caught.value) == (
        f"{path}: its header has an invalid PixelSpacing; correct it, or export the file again"
    )
    allocated = b"\x28\0\0\1US\2\0"
    assert allocated in content
    path.write_bytes(content.replace(allocated, b"\x28\0\0\2US\2\0"))
    with pytest.raises(DataError, match=r"a\.dcm: its header has no valid BitsAllocated; correct it, or export"):
        read_clip(path)


def test_what_is_no_image_is_named(tmp_path):
    write_dicom(tmp_path / "a.dcm", cine(), Modality="SEG")
    with pytest.raises(DataError, match=r"a\.dcm: is a segmentation, not an image; give the images that it belongs to"):
        read_clip(tmp_path / "a.dcm")
    path = write_dicom(tmp_path / "b.dcm", cine(1), Modality="MR")
    data = pydicom.dcmread(path)
    data.FloatPixelData = data.PixelData * 4
    del data.PixelData
    data.save_as(path)
    with pytest.raises(DataError, match=r"b\.dcm: its pixels are floating-point numbers, which are not read"):
        read_clip(path)


def test_an_infinite_spacing_is_unknown(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", cine(), SequenceOfUltrasoundRegions=[region(delta=float("inf"))])
    assert np.isnan(read_clip(path).spacing).all()
    path = write_dicom(tmp_path / "b.dcm", cine(1), Modality="MR", PixelSpacing=["1234", "1"])
    path.write_bytes(path.read_bytes().replace(b"1234", b"inf "))
    assert np.isnan(read_clip(path).spacing).all()


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=60)
@given(random=st.data())
def test_a_damaged_file_gives_a_clip_or_a_data_error(valid_file, tmp_path_factory, random):
    damaged = bytearray(valid_file[: random.draw(st.integers(133, len(valid_file)))])
    header = min(len(damaged), 1500)
    for index, value in random.draw(st.lists(st.tuples(st.integers(132, header - 1), st.integers(0, 255)), max_size=4)):
        damaged[index] = value
    path = tmp_path_factory.getbasetemp() / "damaged.dcm"
    path.write_bytes(damaged)
    with contextlib.suppress(DataError):
        assert read_clip(path).frames.dtype == np.uint8
