"""Puts markers wherever a patient's name may be, runs the commands, and searches their outputs for the markers.

There are different markers in all text elements of DICOM, also private ones; in the headers of NIfTI, MetaImage, AVI,
MP4, PNG and JPEG; in the names of videos, patients and folders; in an unused column of the table; in the user name and
the home folder. Then init, check, prepare, train, evaluate, predict, report, export and review run on these files; with
--all also effort, experiments, exports of graphs and others. All files and terminal outputs are searched: as they are,
in UTF-16, base64, gzip, zip and the text of images. A marker may only be in the outputs that `ALLOWED` lists.

Run `python tests/stress/privacy.py --all`. It prints a summary, and exits with 1 if a marker is in another output.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import io
import os
import re
import struct
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from unittest import mock

import nibabel
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

sys.path.insert(0, str(Path(__file__).parents[1]))

from _folders import write_folder, write_video
from _masks import ellipse, save_nifti
from _reviewing import request, review_server
from echoseg.cli import main as echoseg

MARKER = re.compile(rb"(zq[a-z]{3,20})xw")
TINY = ["--size", "32", "32", "--width", "4", "--depth", "2", "--epochs", "1", "--device", "cpu"]
TEXT = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}  # value representations of free text

NAMES = {"zqvideoa", "zqvideob", "zqvideoc", "zqlost", "zqpatienta", "zqpatientb", "zqpatientc", "zqclip", "zqstack"}
FOLDERS = {"zqparent", "zqdata", "zqinputs"}
ALL_NAMES = NAMES | FOLDERS
ALLOWED = {
    # the table of samples, and the source of the data
    "store/samples.csv": NAMES,
    "store/manifest.json": ALL_NAMES,
    # findings name the files of the data set
    **dict.fromkeys(("check/check.csv", "ceiling/check.csv"), NAMES),
    **dict.fromkeys(("check/check.html", "ceiling/check.html"), NAMES | {"zqdata"}),
    # a run contains the path of its data, the command, and a table of the evaluated images
    "run-*/config.yaml": FOLDERS,
    "run-*/environment.json": FOLDERS,
    "run-*/training_state.pt": FOLDERS,
    "*/images_*.csv": NAMES,
    "*/volumes_*.csv": NAMES,
    "effort.csv": NAMES,
    # one row per file; the folders of the results have the names of the files
    "predicted/results.csv": NAMES,
    "predicted/manifest-0.jsonl": NAMES,
    # terminal outputs name the files and folders of the command
    **dict.fromkeys(
        ("check.txt", "ceiling.txt", "predict.txt", "prepare.txt", "train.txt", "train-mask.txt"), ALL_NAMES
    ),
    **dict.fromkeys(("evaluate.txt", "compare.txt", "paper.txt"), ALL_NAMES),
    # the review page shows the names of the files
    "review.txt": ALL_NAMES,
    "corrections/*": NAMES,
    # requested by --names
    "names.html": ALL_NAMES,
}
"""Output → the markers that it may contain."""


def write_data(folder: Path) -> Path:
    """Write an EchoNet folder with markers as names, patients, in the videos and in an extra column."""
    write_folder(folder, names=[f"zqvideo{letter}xw" for letter in "abc"])
    path = folder / "FileList.csv"
    head, *rows = path.read_text().splitlines()
    rows = [f"{row},zqpatient{letter}xw,zqextraxw" for row, letter in zip(rows, "abc", strict=True)]
    rows.append("zqlostxw,50,40,90,112,112,50,200,TRAIN,zqpatientaxw,zqextraxw")
    path.write_text("\n".join([f"{head},PatientId,Remark", *rows]))
    for video in (folder / "Videos").iterdir():
        add_riff_text(video, b"zqriffxw")
    return folder


def add_riff_text(path: Path, text: bytes) -> None:
    """Append an INFO list to an AVI."""
    text += b"\0" * (len(text) % 2)
    info = b"INFO" + b"".join(key + struct.pack("<I", len(text)) + text for key in (b"INAM", b"IART"))
    data = path.read_bytes() + b"LIST" + struct.pack("<I", len(info)) + info
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])


def write_inputs(folder: Path) -> Path:
    """Write files of all formats to segment."""
    folder.mkdir(parents=True)
    add_riff_text(write_video(folder / "zqclipxw.avi"), b"zqriffxw")
    movie = write_video(folder / "film.mp4", code="mp4v")
    movie.write_bytes(movie.read_bytes() + struct.pack(">I", 16) + b"udta" + b"zqatomxw")
    write_dicom(folder / "cine.dcm")
    path = save_nifti(folder / "zqstackxw.nii.gz", np.stack([ellipse(12) * 90 + 40] * 3), thickness=8)
    stack = nibabel.load(path)
    for key in ("descrip", "aux_file", "db_name", "intent_name"):
        stack.header[key] = f"zq{key.replace('_', '')}xw".encode()
    stack.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"zqextensionxw"))
    nibabel.save(nibabel.Nifti1Image(np.asarray(stack.dataobj), stack.affine, stack.header), path)
    header = "ObjectType = Image\nNDims = 3\nDimSize = 48 40 2\nElementSpacing = 0.5 0.5 8\nComment = zqcommentxw\n"
    data = np.full((2, 40, 48), 90, np.uint8).tobytes()
    (folder / "image.mha").write_bytes((header + "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n").encode() + data)
    text = PngInfo()
    text.add_text("Patient", "zqpngxw")
    text.add_text("Comment", "zqzippedxw", zip=True)
    Image.fromarray(ellipse(12) * 90).save(folder / "image.png", pnginfo=text)
    exif = Image.Exif()
    exif[270] = "zqexifxw"
    Image.fromarray(ellipse(12) * 90).save(folder / "photo.jpg", exif=exif, comment=b"zqjpegxw")
    (folder / "broken.avi").write_bytes((folder / "zqclipxw.avi").read_bytes()[:200])
    return folder


def write_dicom(path: Path) -> None:
    """Write a cine with a marker in each text element."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.3.1"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.PrivateInformationCreatorUID, meta.PrivateInformation = "1.2", b"zqmetaxw"
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"zqpreamblexw".ljust(128, b"\0"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the marker is not a valid value of some elements
        for tag, (kind, _, _, _, keyword) in DicomDictionary.items():
            if kind in TEXT and keyword and tag >> 16 not in (0x0000, 0x0002, 0x0028):
                setattr(data, keyword, "zqtagxw")
    data.SOPClassUID = data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.3.1"
    data.Modality, data.SpecificCharacterSet = "US", "ISO_IR 100"
    block = data.private_block(0x0011, "zqcreatorxw", create=True)
    block.add_new(1, "LO", "zqprivatexw")
    inner = Dataset()
    inner.PatientName = "zqnestedxw"
    data.ReferencedPatientSequence = [inner]
    data.NumberOfFrames, data.Rows, data.Columns, data.SamplesPerPixel = 2, 40, 48, 1
    data.PhotometricInterpretation, data.PixelRepresentation = "MONOCHROME2", 0
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelData = 7, np.full((2, 40, 48), 90, np.uint8).tobytes()
    data.save_as(path, enforce_file_format=True)


def find_markers(data: bytes, depth: int = 3) -> set[str]:
    """The markers in data, also in encoded and compressed parts, up to a depth."""
    found = {marker.decode() for marker in MARKER.findall(data.lower().replace(b"\0", b""))}  # also in UTF-16
    inside: list[bytes] = []
    if data.startswith(b"\x1f\x8b"):
        inside.append(_inflate(data, 31))
    if data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            inside += [archive.read(name) for name in archive.namelist()]
    if data.startswith(b"\x89PNG"):
        compressed = re.findall(rb"(?:zTXt|iTXt|iCCP)[^\0]{1,79}\0\0?\0?(.*)", data, re.DOTALL)
        inside += [_inflate(chunk) for chunk in compressed]
    for run in re.findall(rb"[A-Za-z0-9+/]{16,}", data):
        pieces = (run[start : start + (len(run) - start) // 4 * 4] for start in range(4))
        inside += [base64.b64decode(piece) for piece in pieces]
    return found.union(*(find_markers(part, depth - 1) for part in inside if depth))


def _inflate(data: bytes, window: int = 15) -> bytes:
    with contextlib.suppress(zlib.error):
        return zlib.decompressobj(window).decompress(data)
    return b""


def run_commands(work: Path, *, all_commands: bool) -> list[str]:
    """Run the commands, and write their terminal outputs to files; returns the names of those that failed."""
    out = work / "out"
    data, inputs = write_data(work / "zqparentxw/zqdataxw"), write_inputs(work / "zqparentxw/zqinputsxw")
    out.mkdir()
    run, tiny = out / "run-landmark", ["--data", data, *TINY]
    commands = {
        "init": ["init", out / "new", "--layout", "nnunet"],
        "check": ["check", data, "--out", out / "check"],
        "prepare": ["prepare", data, "--out", out / "store"],
        "train": ["train", "--approach", "landmark", "--landmarks", "5", *tiny, "--out", run],
        "evaluate": ["evaluate", run, "--split", "all", "--videos", "--out", out / "evaluated"],
        "predict": ["predict", run, inputs, "--out", out / "predicted", "--keep", "masks", "overlay", "gif", "frames"],
        "report": ["report", run, "--out", out / "report.html"],
        "names": ["report", run, "--names", "--out", out / "names.html"],
        "paper": ["report", run, "--paper", out / "paper"],
        "huggingface": ["export", run, "--format", "huggingface", "--out", out / "hub"],
        "info": ["info"],
    }
    if all_commands:
        settings = ["--data", data, "--scale", "0.0005", "--width", "4", "--device", "cpu"]
        commands |= {
            "train-mask": [
                "train",
                "--approach",
                "mask",
                "--data",
                data,
                "--out",
                out / "run-mask",
                "--attention",
                *TINY,
            ],
            "compare": ["evaluate", run, "--split", "all", "--compare-postprocess", "--out", out / "compared"],
            "effort": ["effort", run, "--split", "all", "--out", out / "effort.csv"],
            "onnx": ["export", run, "--format", "onnx", "--out", out / "run.onnx"],
            "torch": ["export", run, "--format", "torch", "--out", out / "run.pt2"],
            "ceiling": ["check", data, "--landmarks", "--out", out / "ceiling"],
            "experiments": ["experiments", *settings, "--out", out / "experiments"],
            "ablation": ["experiments", "--landmarks", "--seeds", "1", *settings, "--out", out / "ablation"],
        }
    failed = []
    for name, command in commands.items():
        with _output_to(out / f"{name}.txt"):
            if echoseg([str(word) for word in command]):
                failed.append(name)
    _use_review_page(work, out)
    return failed


@contextlib.contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Redirect stdout and stderr of Python and of C libraries to a file."""
    with path.open("w+", encoding="utf-8") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        originals = [os.dup(number) for number in (1, 2)]
        try:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            yield
        finally:
            file.flush()
            for number, original in enumerate(originals, start=1):
                os.dup2(original, number)
                os.close(original)


def _use_review_page(work: Path, out: Path) -> None:
    """Request files and clips of the review page, and write the responses to a file."""
    (work / "data").symlink_to(work / "zqparentxw/zqdataxw")
    with _output_to(out / "review.txt"), review_server(work) as page:
        _, headers, _ = request(page.port, "GET", page.links[0].removeprefix(f"http://127.0.0.1:{page.port}"))
        cookie = {"Cookie": headers["set-cookie"].split(";")[0]}
        for path in ("/", "/api/clips", "/api/clips/0", "/static/main.js", "/api/none", "/api/clips/9"):
            print(path, request(page.port, "GET", path, **cookie)[::2])
    (work / "corrections").rename(out / "corrections")


def find_problems(out: Path, markers: set[str]) -> Iterator[str]:
    """Outputs with markers that they must not contain."""
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        found = find_markers(path.read_bytes()) if path.is_file() else set()
        allowed = set().union(*(names for pattern, names in ALLOWED.items() if fnmatch(name, pattern)))
        wrong = (found & markers) - allowed
        if not name.startswith("predicted/"):
            wrong |= find_markers(path.name.encode())
        if wrong:
            yield f"{name}: {', '.join(sorted(wrong))}"


def run(work: Path, *, all_commands: bool = False) -> tuple[int, int, list[str]]:
    """Run the commands and search the outputs; returns the number of markers and of outputs, and the problems."""
    user = {"USER": "zquserxw", "LOGNAME": "zquserxw", "USERNAME": "zquserxw", "HOME": str(work / "zqhomexw")}
    with mock.patch.dict(os.environ, {**user, "ECHOSEG_CACHE": str(work / "cache")}):
        (work / "zqhomexw").mkdir()
        failed = [f"{name} failed" for name in run_commands(work, all_commands=all_commands)]
    files = [path for path in (work / "zqparentxw").rglob("*") if path.is_file()]
    in_files = (find_markers(path.read_bytes()) | find_markers(bytes(path)) for path in files)
    markers = {"zquser", "zqhome"}.union(*in_files)
    outputs = sum(path.is_file() for path in (work / "out").rglob("*"))
    return len(markers), outputs, failed + list(find_problems(work / "out", markers))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="also run the slow commands, which take minutes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        markers, outputs, problems = run(Path(work), all_commands=arguments.all)
    for problem in problems:
        print(problem)
    print(f"{markers} markers, {outputs} outputs searched, {len(problems)} with a marker that is not allowed there")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
