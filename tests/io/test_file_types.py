"""Files of types that are not read: each has a reason with the cure, whether it is given or found in a folder."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from echoseg.errors import DataError
from echoseg.io.file_types import SUFFIXES, unread_reason
from echoseg.io.reading import read_clip

NOT_READ = {
    "a.heic": (b"\0\0\0\x18ftypheic", "save it as PNG"),
    "a.AVIF": (b"\0\0\0\x18ftypavif", "save it as PNG"),
    "a.flv": (b"FLV\1", "convert it to MP4 or AVI"),
    "a.zip": (b"PK\3\4", "unpack it"),
    "a.tar.gz": (b"\x1f\x8b", "unpack it"),
    "a.npy": (b"\x93NUMPY", "save it as .nii.gz or as PNG"),
    "a.mat": (b"MATLAB 5.0", "save it as .nii.gz or as PNG"),
    "a.img": (b"", "add its header, .hdr"),
    "a.raw": (b"", "add its header, .mhd or .nhdr"),
}


@pytest.mark.parametrize("name", NOT_READ)
def test_the_cure_is_named(tmp_path, name):
    content, cure = NOT_READ[name]
    (tmp_path / name).write_bytes(content + bytes(99))
    assert unread_reason(tmp_path / name) == f"is of a type that is not read; {cure}"
    with pytest.raises(DataError, match=f"{name}: is of a type that is not read; {cure}"):
        read_clip(tmp_path / name)


def test_a_photograph_that_is_called_jpg_is_no_video(tmp_path):
    (tmp_path / "a.jpg").write_bytes(NOT_READ["a.heic"][0] + bytes(99))
    with pytest.raises(DataError, match=r"a\.jpg: cannot be opened as an image; convert it to PNG"):
        read_clip(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", ["IM0001", "1.2.840.4.5"])
def test_a_dicom_file_without_a_suffix_is_not_to_be_renamed(tmp_path, name):
    (tmp_path / name).write_bytes(bytes(128) + b"DICM")
    with pytest.raises(DataError) as caught:
        read_clip(tmp_path / name)
    assert "rename" not in str(caught.value)


@pytest.mark.parametrize("name", ["README", "README.md", "a.csv", "a.json", "notes.txt", ".a.zip", "._a.heic", "a.py"])
def test_tables_texts_and_hidden_files_are_passed_over(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    assert unread_reason(tmp_path / name) == ""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_listed_types_have_no_reason(tmp_path, suffix):
    assert unread_reason(tmp_path / f"a{suffix.upper()}") == ""


def test_voxels_beside_their_header_are_passed_over(tmp_path):
    nibabel.save(nibabel.Nifti1Pair(np.zeros((4, 5, 3), np.int16), np.eye(4)), tmp_path / "a.hdr")
    assert unread_reason(tmp_path / "a.img") == ""
    with pytest.raises(DataError, match=r"a\.img: holds voxels without their header; give a\.hdr"):
        read_clip(tmp_path / "a.img")


@pytest.mark.parametrize("name", ["a.avi", "a.png", "a.nii.gz", "a.dcm"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 12345\n",
            "pointer of Git LFS.*git lfs pull",
        ),
        (b"\n<!DOCTYPE html>\n<title>Sign in</title>", "is a web page.*download it again"),
        (b"PK\3\4" + bytes(99), "is a ZIP archive; unpack it"),
        (b"%PDF-1.7\n" + bytes(99), "is a PDF document; save its images as PNG"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "is an HDF5 file.*; save its frames as"),
        (b"NRRD0004\n" + bytes(99), "is an NRRD file by its content; rename it to .nrrd"),
        (b"ObjectType = Image\n" + bytes(99), "is a MetaImage by its content; rename it to .mha"),
        (b"", "is empty; replace the file"),
    ],
)
def test_what_lies_under_a_wrong_name_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}: .*{message}"):
        read_clip(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.nii.gz", b"\x89PNG\r\n\x1a\n", "is a PNG image by its content; rename it to .png"),
        ("a.dcm", b"\xff\xd8\xff\xe0", "is a JPEG image by its content; rename it to .jpg"),
        ("a.png", b"\0\0\0\x20ftypisom", "is an MP4 or MOV video by its content; rename it to .mp4"),
        ("a.nii", bytes(128) + b"DICM", "is a DICOM file by its content; rename it to .dcm"),
        ("a.nrrd", b"\x1f\x8b" + bytes(99), "is compressed by gzip by its content; unpack it"),
        ("a.png", b"\xff\xd8\xff\xe0", "is damaged, or an image of a kind"),
        ("a.mp4", b"RIFF\0\0\0\0AVI LIST", "cannot be opened as a video"),
        ("a.nii", b"hello" * 99, "is no NIfTI or Analyze file by its content; rename it"),
    ],
)
def test_another_type_under_the_name_of_one_that_is_read(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}: {message}"):
        read_clip(tmp_path / name)
