"""The list of all file types that are read, and what a user can do about files of other types."""

from __future__ import annotations

from pathlib import Path

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
}


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
    """Why a file is not read, and the cure, by its first bytes; "" if they do not tell."""
    try:
        with path.open("rb") as file:
            head = file.read(64).lstrip().lower()
    except OSError:
        return ""
    return next((reason for start, reason in _CONTENTS.items() if head.startswith(start.lower())), "")


def header_reason(path: Path) -> str:
    """For a file of voxels without a header of its own: which file to give instead; "" for every other file."""
    header = _find_header(path, _HEADERS.get(path.suffix.lower(), ()))
    return f"holds voxels without their header; give {header.name}" if header else ""


def _find_header(path: Path, suffixes: tuple[str, ...]) -> Path | None:
    """The header beside a file: of the same name if there is one, else any, since the header names the file."""
    headers = [other for other in sorted(path.parent.iterdir()) if suffixes and other.suffix.lower() in suffixes]
    return next((header for header in headers if header.stem == path.stem), headers[0] if headers else None)
