"""The list of all file types that are read, and what a user can do about files of other types."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

VIDEO_SUFFIXES = (
    ".avi",
    ".mp4",
    ".m4v",
    ".mov",
    ".3gp",
    ".mkv",
    ".webm",
    ".mpg",
    ".mpeg",
    ".vob",
    ".mts",
    ".wmv",
    ".asf",
)
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
VOLUME_SUFFIXES = (".nii.gz", ".nii", ".mhd", ".mha", ".nrrd", ".nhdr", ".hdr")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".pgm", ".ppm", ".jp2")
SUFFIXES = (*VIDEO_SUFFIXES, *DICOM_SUFFIXES, *VOLUME_SUFFIXES, *IMAGE_SUFFIXES)
"""The suffixes of all files that can be read, in lower case. DICOM files are also recognised by their content."""

_CURES = {
    "unpack it": (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar"),
    "save it as PNG": (".heic", ".heif", ".avif", ".psd", ".svg", ".exr", ".pcx", ".tga", ".jxl"),
    "convert it to MP4 or AVI": (".flv", ".ts", ".ogv", ".rm", ".swf", ".h264", ".264", ".m2v", ".mxf"),
    "save it as .nii.gz or as PNG": (".mat", ".npy", ".npz", ".h5", ".hdf5", ".pkl", ".mgz", ".mgh", ".mnc", ".vtk"),
    "convert it to .nii.gz, PNG or AVI": (".czi", ".lif", ".svs", ".ndpi", ".vti", ".par", ".rec", ".fdf", ".vol"),
    "export it as DICOM or AVI": (".v00", ".pat", ".3dm", ".dvol"),
    "download the file itself": (".lnk", ".url", ".webloc", ".part", ".crdownload"),
    "convert its outlines to masks or to VolumeTracings.csv": (".roi", ".nrd", ".con"),
}
_HEADERS = {".img": (".hdr",), ".raw": (".mhd", ".nhdr"), ".zraw": (".mhd",)}
_CONTENTS = {
    b"version https://git-lfs": "is a pointer of Git LFS, not the file itself; run git lfs pull",
    b"<!doctype html": "is a web page, not the file itself; download it again",
    b"<html": "is a web page, not the file itself; download it again",
    b"PK\x03\x04": "is a ZIP archive; unpack it",
    b"BZh": "is compressed by bzip2; unpack it",
    b"\xfd7zXZ": "is compressed by xz; unpack it",
    b"7z\xbc\xaf": "is a 7z archive; unpack it",
    b"Rar!": "is a RAR archive; unpack it",
    b"%PDF": "is a PDF document; save its images as PNG",
    b"\x89HDF": "is an HDF5 file, as of MATLAB 7.3; save its frames as .nii.gz, PNG or AVI",
    b"MATLAB 5": "is a MATLAB file; save its frames as .nii.gz, PNG or AVI",
    b"\x93NUMPY": "is a NumPy array; save its frames as .nii.gz, PNG or AVI",
}
_TYPES = {
    rb"\x89PNG\r\n": ("a PNG image", ".png", IMAGE_SUFFIXES),
    rb"\xff\xd8\xff": ("a JPEG image", ".jpg", IMAGE_SUFFIXES),
    rb"GIF8": ("a GIF image", ".gif", IMAGE_SUFFIXES),
    rb"II[*+]\0|MM\0[*+]": ("a TIFF image", ".tif", IMAGE_SUFFIXES),
    rb"\0\0\0\x0cjP  ": ("a JPEG 2000 image", ".jp2", IMAGE_SUFFIXES),
    rb"RIFF....WEBP": ("a WebP image", ".webp", IMAGE_SUFFIXES),
    rb"RIFF....AVI ": ("an AVI video", ".avi", VIDEO_SUFFIXES),
    rb"....ftyp(?!hei|hev|mif1|msf1|avi[fs])": ("an MP4 or MOV video", ".mp4", VIDEO_SUFFIXES),
    rb"\x1aE\xdf\xa3": ("a Matroska or WebM video", ".mkv", VIDEO_SUFFIXES),
    rb"NRRD000": ("an NRRD file", ".nrrd", (".nrrd", ".nhdr")),
    rb"(ObjectType|NDims) *=": ("a MetaImage", ".mha", (".mha", ".mhd")),
    rb".{128}DICM": ("a DICOM file", ".dcm", DICOM_SUFFIXES),
    rb"(\x5c\x01\0\0|\0\0\x01\x5c).{340}(n.1|ni1)\0": ("a NIfTI file", ".nii", (".nii", ".nii.gz", ".hdr")),
    rb"\x1f\x8b": ("compressed by gzip", "", (".nii", ".nii.gz")),
}
"""The first bytes of types that are read, as patterns: the name of the type, its suffix, and those that do as well."""


_UID = re.compile(r"[0-9]+(\.[0-9]+){3,}")


def suffix_of(name: str) -> str:
    """The suffix of a file's name, with one of compression, as in ".nii.gz"; "" for a UID, which names DICOM files."""
    if _UID.fullmatch(name):
        return ""
    inner, compression = (name[:-3], name[-3:]) if name.lower().endswith(".gz") else (name, "")
    return PurePath(inner).suffix + compression


def unread_reason(path: Path) -> str:
    """Why a file is not read, and the cure, by its suffix; "" if it is read, or is a table, a text or a hidden file."""
    name = path.name.lower()
    if name.startswith(".") or name.endswith(SUFFIXES):
        return ""
    cure = next((cure for cure, suffixes in _CURES.items() if name.endswith(suffixes)), "")
    for suffix, headers in _HEADERS.items():
        if name.endswith(suffix) and not _find_header(path, headers):
            cure = f"add its header, {' or '.join(headers)}"
    return f"is of a type that is not read; {cure}" if cure else ""


def content_reason(path: Path) -> str:
    """Why a file is not read, and the cure, by its first bytes; "" if they do not tell, or are those of its suffix."""
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError:
        return ""
    if not head:
        return "is empty; replace the file"
    text = head.lstrip().lower()
    if reason := next((reason for start, reason in _CONTENTS.items() if text.startswith(start.lower())), ""):
        return reason
    found = next((item for start, item in _TYPES.items() if re.match(start, head, re.DOTALL)), None)
    name = path.name.lower()
    is_read_anyway = found is not None and found[2] in (DICOM_SUFFIXES, VIDEO_SUFFIXES) and not name.endswith(SUFFIXES)
    if found is None or is_read_anyway or name.endswith(found[2]):
        return ""
    return f"is {found[0]} by its content; {f'rename it to {found[1]}' if found[1] else 'unpack it'}"


def header_reason(path: Path) -> str:
    """For a file of voxels without a header of its own: which file to give instead; "" for every other file."""
    header = _find_header(path, _HEADERS.get(path.suffix.lower(), ()))
    return f"holds voxels without their header; give {header.name}" if header else ""


def _find_header(path: Path, suffixes: tuple[str, ...]) -> Path | None:
    """The header beside a file: of the same name if there is one, else any, since the header names the file."""
    headers = [other for other in sorted(path.parent.iterdir()) if suffixes and other.suffix.lower() in suffixes]
    return next((header for header in headers if header.stem == path.stem), headers[0] if headers else None)
