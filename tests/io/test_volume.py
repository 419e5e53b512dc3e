"""Volumes and images as clips, and the field of view in millimetres that is cropped from them."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import aff2axcodes, axcodes2ornt, inv_ornt_aff, ornt_transform

from echoseg.errors import DataError
from echoseg.geometry.crop import Box, cut, fov_box, paste
from echoseg.io.nifti import write_mask
from echoseg.io.reading import open_volume, read_clip, read_voxels
from echoseg.io.volume import to_grey

AXIAL = np.diag([-1.0, -2.0, 8.0, 1.0])  # LPS orientation, with spacing 1, 2 and 8 mm


def save(path: Path, array: np.ndarray, affine: np.ndarray | None = AXIAL) -> Path:
    image = nibabel.Nifti1Image(array, affine)
    if affine is None:
        image.header.set_zooms((1.0, 2.0, 8.0, 1.0)[: array.ndim])
    nibabel.save(image, path)
    return path


@pytest.fixture
def voxels():
    return np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)


def test_an_axial_volume_is_read_in_radiological_orientation(tmp_path, voxels):
    clip = read_clip(save(tmp_path / "a.nii.gz", voxels))
    np.testing.assert_array_equal(clip.frames, voxels.transpose(2, 1, 0))
    assert (clip.spacing, clip.thickness) == ((2.0, 1.0), 8.0)
    assert math.isnan(clip.fps)


@pytest.mark.parametrize("codes", ["LPS", "RAS", "LAS", "PSL", "SRA", "AIL", "IPR"])
def test_frames_do_not_depend_on_the_stored_orientation(tmp_path, voxels, codes):
    transform = ornt_transform(axcodes2ornt("LPS"), axcodes2ornt(codes))
    stored = nibabel.orientations.apply_orientation(voxels, transform)
    affine = AXIAL @ inv_ornt_aff(transform, voxels.shape)
    assert "".join(aff2axcodes(affine)) == codes
    volume = open_volume(save(tmp_path / "a.nii", stored, affine))
    np.testing.assert_array_equal(read_voxels(volume), voxels.transpose(2, 1, 0))
    assert (volume.spacing, volume.thickness) == ((2.0, 1.0), 8.0)
    np.testing.assert_array_equal(volume.restore(read_voxels(volume)), stored)


@pytest.mark.parametrize(("thick", "up"), [(1, "S"), (0, "S")])
def test_superior_is_up_in_coronal_and_sagittal_slices(tmp_path, thick, up):
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine[thick, thick] *= 5
    voxels = np.zeros((4, 5, 6), np.uint8)
    voxels[:, :, -1] = 200  # the most superior voxels
    frames = read_clip(save(tmp_path / "a.nii", voxels, affine)).frames
    assert frames.shape == ((5, 6, 4) if thick == 1 else (4, 6, 5))
    assert (frames[:, 0] == 200).all()
    assert (frames[:, 1:] == 0).all()


def test_among_axes_of_equal_spacing_the_last_is_the_slice_axis(tmp_path, voxels):
    volume = open_volume(save(tmp_path / "a.nii", voxels, np.diag([-1.00001, -1.0, 1.0, 1.0])))
    np.testing.assert_array_equal(read_voxels(volume), voxels.transpose(2, 1, 0))
    assert volume.thickness == 1


def test_without_an_affine_the_stored_orientation_is_kept(tmp_path, voxels):
    for name, array in (("a.nii", voxels), ("b_sequence.nii", voxels), ("c.nii", voxels[:, :, None])):
        volume = open_volume(save(tmp_path / name, array, None))
        np.testing.assert_array_equal(read_voxels(volume), voxels.transpose(2, 1, 0))
        assert volume.spacing == (2.0, 1.0)
        assert (volume.thickness == 8) == (name == "a.nii")
    image = open_volume(save(tmp_path / "d.nii", voxels[:, :, 0], None))
    np.testing.assert_array_equal(read_voxels(image), voxels[:, :, 0].T[None])
    assert math.isnan(image.thickness)


def write_mhd(folder: Path, voxels: np.ndarray, data: bytes, **fields: str) -> Path:
    lines = {
        "ObjectType": "Image",
        "NDims": voxels.ndim,
        "DimSize": " ".join(map(str, voxels.shape)),
        "ElementSpacing": " ".join("128"[: voxels.ndim]),
        "ElementType": "MET_SHORT",
        **fields,
        "ElementDataFile": "a.raw",
    }
    (folder / "a.raw").write_bytes(data)
    (folder / "a.mhd").write_text("\n".join(f"{key} = {value}" for key, value in lines.items()))
    return folder / "a.mhd"


MHD = {
    "plain": (lambda data: data, "<i2", {}),
    "big endian": (lambda data: data, ">i2", {"BinaryDataByteOrderMSB": "True"}),
    "compressed": (zlib.compress, "<i2", {"CompressedData": "True"}),
    "after a header": (lambda data: b"header" + data, "<i2", {"HeaderSize": "6"}),
    "at the end": (lambda data: b"header" + data, "<i2", {"HeaderSize": "-1"}),
}


@pytest.mark.parametrize("case", MHD)
def test_a_metaimage_is_read(tmp_path, voxels, case):
    encode, kind, fields = MHD[case]
    data = encode(voxels.astype(kind).tobytes(order="F"))
    volume = open_volume(write_mhd(tmp_path, voxels, data, **fields))
    np.testing.assert_array_equal(read_voxels(volume), voxels.transpose(2, 1, 0))
    assert (volume.spacing, volume.thickness) == ((2.0, 1.0), 8.0)


@pytest.mark.parametrize("fields", [{}, {"CompressedData": "True"}])
def test_header_and_voxels_of_a_metaimage_in_one_file(tmp_path, voxels, fields):
    voxels = voxels.astype(np.int16)
    voxels[0, 0, 0] = int.from_bytes(b"\n=", "little")  # not a line of the header
    data = voxels.astype("<i2").tobytes(order="F")
    header = write_mhd(tmp_path, voxels, b"", **fields).read_text().replace("a.raw", "LOCAL\n")
    (tmp_path / "a.mha").write_bytes(header.encode() + (zlib.compress(data) if fields else data))
    volume = open_volume(tmp_path / "a.mha")
    np.testing.assert_array_equal(read_voxels(volume), voxels.transpose(2, 1, 0))
    assert (volume.spacing, volume.thickness) == ((2.0, 1.0), 8.0)


@pytest.mark.parametrize("version", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_gzip_is_told_by_content(tmp_path, voxels, name, big, version):
    image = version(voxels, np.diag([-1.0, -2, 8, 1]))
    if big:
        image = version(voxels, image.affine, image.header.as_byteswapped())
    content = image.to_bytes()
    (tmp_path / name).write_bytes(gzip.compress(content) if name == "a.nii" else content)
    volume = open_volume(tmp_path / name)
    np.testing.assert_array_equal(read_voxels(volume), voxels.transpose(2, 1, 0))
    assert (volume.spacing, volume.thickness) == ((2.0, 1.0), 8.0)
    write_mask(tmp_path / "mask.nii.gz", np.ones(volume.shape, np.uint8), volume)
    np.testing.assert_allclose(nibabel.load(tmp_path / "mask.nii.gz").affine, image.affine)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Pair, nibabel.AnalyzeImage])
def test_header_and_image_in_two_files(tmp_path, voxels, kind):
    image = kind(voxels.astype(np.int16), np.diag([-1.0, -2, 8, 1]))
    nibabel.save(image, tmp_path / "a.hdr")
    volume = open_volume(tmp_path / "a.hdr")
    expected = voxels.transpose(2, 1, 0)
    np.testing.assert_array_equal(read_voxels(volume), expected)
    assert (volume.spacing, volume.thickness) == ((2.0, 1.0), 8.0)
    assert (volume.affine is None) == (kind is nibabel.AnalyzeImage)
    write_mask(tmp_path / "mask.nii.gz", np.ones(volume.shape, np.uint8), volume)
    assert nibabel.load(tmp_path / "mask.nii.gz").shape == voxels.shape
    (tmp_path / "a.img").unlink()
    with pytest.raises(DataError, match=r"a\.hdr: .*a\.img"):
        open_volume(tmp_path / "a.hdr")


@pytest.mark.parametrize("field", ["TransformMatrix", "Rotation", "Orientation"])
def test_the_transform_of_a_metaimage_is_applied(tmp_path, voxels, field):
    data = voxels[::-1, ::-1].astype("<i2").tobytes(order="F")
    path = write_mhd(tmp_path, voxels, data, **{field: "-1 0 0 0 -1 0 0 0 1"})
    np.testing.assert_array_equal(read_voxels(open_volume(path)), voxels.transpose(2, 1, 0))


def test_voxels_that_are_text_are_refused(tmp_path, voxels):
    with pytest.raises(DataError, match=r"a\.mhd: its voxels are written as text; save it in binary form"):
        open_volume(write_mhd(tmp_path, voxels, b"1 2 3", BinaryData="False"))


def declare_too_much(path: Path) -> None:
    """Change the header to declare 2^31 voxels."""
    head = bytearray(path.read_bytes())
    head[40:56] = np.array([3, 2048, 1024, 1024, 1, 1, 1, 1], "<i2").tobytes()
    path.write_bytes(head)


def write_invalid(folder: Path, case: str) -> Path:
    voxels = np.zeros((5, 6, 3), np.int16)
    if case == "colour":
        return save(folder / "a.nii", np.zeros((4, 4, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")]))
    if case == "five dimensions":
        return save(folder / "a.nii", np.zeros((4, 4, 3, 2, 2), np.int16))
    if case == "short raw":
        return write_mhd(folder, voxels, b"12345")
    if case == "raw elsewhere":
        path = write_mhd(folder, voxels, b"")
        path.write_text(path.read_text().replace("a.raw", "../a.raw"))
        return path
    if case == "no MetaImage":
        (folder / "a.mhd").write_text("hello")
        return folder / "a.mhd"
    if case == "no image":
        (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        return folder / "a.png"
    if case == "missing":
        return folder / "none.nii.gz"
    path = save(folder / "a.nii", voxels)
    if case == "declares too much":
        declare_too_much(path)
    if case == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    compressed = folder / "a.nii.gz"
    compressed.write_bytes(gzip.compress(path.read_bytes()))
    if case == "compressed, declares too much":
        declare_too_much(path)
        compressed.write_bytes(gzip.compress(path.read_bytes()))
    if case == "compressed, cut":
        compressed.write_bytes(compressed.read_bytes()[:-20])
    if case == "empty":
        compressed.write_bytes(b"")
    return compressed if "compressed" in case or case == "empty" else path


@pytest.mark.parametrize(
    "case",
    [
        *("missing", "empty", "cut", "compressed, cut", "declares too much", "compressed, declares too much", "colour"),
        *("five dimensions", "short raw", "raw elsewhere", "no MetaImage", "no image"),
    ],
)
def test_an_invalid_file_is_refused_with_its_path(tmp_path, case):
    path = write_invalid(tmp_path, case)
    with pytest.raises(DataError) as caught:
        read_clip(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(20, 15, 3), (20, 15, 6, 3), (20, 15, 6, 4)])
def test_colours_of_grey_along_an_axis_are_refused(tmp_path, shape):  # dcmstack, issue 74
    voxels = np.repeat(np.random.default_rng(0).integers(0, 99, (*shape[:-1], 1), np.uint8), shape[-1], axis=-1)
    voxels[..., 3:] = 255
    path = save(tmp_path / "a.nii", voxels)
    message = f"a.nii: the {shape[-1]} images along its axis {len(shape)} are equal, as the colours of a grey image are"
    with pytest.raises(DataError, match=message):
        read_clip(path)
    voxels[0, 0, ..., 1] += 1
    assert len(read_clip(save(tmp_path / "b.nii", voxels)).frames) == np.prod(shape[2:])


def test_a_volume_compressed_twice_is_called_so(tmp_path, voxels):
    path = save(tmp_path / "a.nii.gz", voxels)
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataError, match=r"a\.nii\.gz: is compressed by gzip twice; unpack it once"):
        read_clip(path)


def change_size(path, sizes):
    content = bytearray(path.read_bytes())
    content[40:56] = np.array([*sizes, 1, 1, 1], "<i2").tobytes()
    path.write_bytes(content)


def change_code(path, code):
    content = bytearray(path.read_bytes())
    content[70:72] = np.array(code, "<i2").tobytes()
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: change_code(path, 1), "has a header that is not supported .*; save it again, with voxels of 8"),
        (lambda path: change_code(path, 128), "is a colour image; save it in grey"),
        (lambda path: change_size(path, [4, 5, 6, 3, 0]), r"has the shape \(5, 6, 3, 0\); give one volume"),
        (lambda path: change_code(path, 32), "contains complex64, not grey values; save it in grey"),
        (lambda path: path.write_bytes(path.read_bytes()[:300]), "is no NIfTI or Analyze file by its content"),
        (
            lambda path: path.write_bytes(path.read_bytes()[:-9]),
            r"is damaged .*\(Expected 180 bytes, got 171 bytes\); copy",
        ),
        (lambda path: path.write_bytes(gzip.compress(path.read_bytes())[:-20]), "is damaged or cut off .*; copy it"),
    ],
)
def test_only_a_damaged_volume_is_called_damaged(tmp_path, change, message):
    path = save(tmp_path / "a.nii", np.random.default_rng(0).integers(0, 99, (5, 6, 3), dtype=np.int16))
    change(path)
    with pytest.raises(DataError, match=rf"a\.nii: {message}"):
        read_clip(path)


@pytest.mark.slow
@settings(max_examples=150)
@given(offset=st.integers(0, 351), value=st.integers(0, 255))
def test_any_byte_in_a_nifti_header_gives_a_clip_or_a_data_error(tmp_path_factory, offset, value):
    path = save(tmp_path_factory.mktemp("nii") / "a.nii", np.arange(90, dtype=np.int16).reshape(5, 6, 3))
    data = bytearray(path.read_bytes())
    data[offset] = value
    path.write_bytes(data)
    try:
        clip = read_clip(path)
    except DataError:
        return
    assert clip.frames.ndim == 3
    assert clip.frames.dtype == np.uint8


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
@pytest.mark.parametrize("name", ["pipe", "folder", "x" * 300, "a.mhd", "a\0b"])
def test_the_voxels_of_a_metaimage_must_be_a_regular_file(tmp_path, voxels, name):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    path = write_mhd(tmp_path, voxels, b"")
    path.write_text(path.read_text().replace("a.raw", name))
    with pytest.raises(DataError, match=r"a\.mhd: "):
        read_clip(path)


def test_very_long_header_extensions_are_refused(tmp_path, voxels):
    path = save(tmp_path / "a.nii", voxels)
    data = bytearray(path.read_bytes())
    data[108:112] = np.float32(2**25).tobytes()  # vox_offset
    packed = tmp_path / "a.nii.gz"
    packed.write_bytes(gzip.compress(bytes(data) + bytes(2**26)))
    with pytest.raises(DataError, match="bytes before the voxels"):
        open_volume(packed)


INVALID_VALUES = [
    "",
    "nan nan nan",
    "0 0 0",
    "-1 2 3",
    "1e400 1 1",
    "9999999 9999999 9999999",
    "4",
    "True",
    "x",
    "a.mhd",
    "5 6 3 1",
]


FIELDS = [
    *("NDims", "DimSize", "ElementSpacing", "ElementType", "TransformMatrix", "Offset", "CompressedData", "HeaderSize"),
    *("ElementDataFile", "ElementNumberOfChannels"),
]


@pytest.mark.slow
@settings(max_examples=300)
@given(
    field=st.sampled_from(FIELDS),
    value=st.sampled_from(INVALID_VALUES) | st.text(max_size=9),
)
def test_any_value_in_a_metaimage_header_gives_a_clip_or_a_data_error(tmp_path_factory, field, value):
    voxels = np.zeros((5, 6, 3), np.int16)
    path = write_mhd(tmp_path_factory.mktemp("mhd"), voxels, voxels.tobytes())
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\n{field} = {value}\n")  # the reader uses the last value
    try:
        clip = read_clip(path)
    except DataError:
        return
    assert clip.frames.size == 90


def test_an_affine_with_nan_is_ignored(tmp_path, voxels):
    path = save(tmp_path / "a.nii", voxels)
    data = bytearray(path.read_bytes())
    data[280:284] = np.float32(np.nan).tobytes()  # the first number of the affine
    path.write_bytes(data)
    np.testing.assert_array_equal(read_voxels(open_volume(path)), voxels.transpose(2, 1, 0))


def test_one_window_is_used_for_all_slices():
    values = np.linspace(-500, 1500, 20000).reshape(2, 100, 100)
    grey = to_grey(values)
    assert (grey.min(), grey.max()) == (0, 255)
    assert grey[0].max() <= grey[1].min() + 1
    assert abs(np.diff(np.unique(grey).astype(int))).max() == 1
    assert not to_grey(np.full((1, 2, 2), 7.5)).any()
    assert not to_grey(np.full((1, 2, 2), np.nan)).any()
    assert to_grey(np.array([[[0, 0, np.inf, np.nan, 9.0]]])).shape == (1, 1, 5)
    same = np.arange(4, dtype=np.uint8)
    assert to_grey(same) is same


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_an_image_is_a_clip_of_one_frame(tmp_path, kind):
    image = np.arange(48, dtype=kind).reshape(6, 8) * (5 if kind == np.uint8 else 1000)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    clip = read_clip(tmp_path / "a.png")
    assert clip.frames.shape == (1, 6, 8)
    np.testing.assert_array_equal(clip.frames[0], to_grey(image))


@settings(max_examples=200)
@given(
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    spacing=st.tuples(st.floats(0.2, 5), st.floats(0.2, 5)),
    field=st.floats(0.5, 60),
)
def test_what_is_cut_comes_back_where_it_was(size, spacing, field):
    box = fov_box(Box(0, 0, *size), spacing, field)
    assert abs(box.height * spacing[0] - field) <= max(0.5, 1) * spacing[0]
    whole = np.random.default_rng(0).integers(1, 256, (2, *size), dtype=np.uint8)
    back = paste(cut(whole, box), box, size)
    rows, columns = np.nonzero(back[0])
    assert ((back == whole) | (back == 0)).all()
    seen = min(box.height, size[0]) * min(box.width, size[1])
    assert len(rows) == len(columns) == seen
    # the square is in the middle, to half a pixel
    assert abs(2 * box.top + box.height - size[0]) <= 1
    assert abs(2 * box.left + box.width - size[1]) <= 1


def test_without_spacing_there_is_no_field():
    part = Box(3, 0, 4, 4)
    assert fov_box(part, (math.nan, 1.0), 10.0) == part
    assert fov_box(part, (1.0, 1.0), None) == part
    with pytest.raises(DataError, match="check the spacing"):
        fov_box(part, (1e-6, 1e-6), 10.0)
