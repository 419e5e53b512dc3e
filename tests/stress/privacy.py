"""No patient's name goes out: words are planted wherever a name may stand, every command is run, every output is read.

Planted are, each a word of its own: text of every DICOM tag that holds text, private ones too, and of the headers of
NIfTI, MetaImage, AVI, MP4, PNG and JPEG; names of videos, patients and folders; a column of the table that nobody asked
for; user and home folder. Then init, check, prepare, train, evaluate, predict, report, export and the page of review
run on them (with --all also exports of graphs, effort, experiments and more), and each file and each line that comes
out is searched: as it is, in UTF-16, in base64, in gzip, in zip, in pictures' text. A word may stand where `MAY_NAME`
says so, and nowhere else.

Run it: `python tests/stress/privacy.py --all`. It prints what was run and found, and exits with 1 if anything failed.
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

WORD = re.compile(rb"(zq[a-z]{3,20})xw")
TINY = ["--size", "32", "32", "--width", "4", "--depth", "2", "--epochs", "1", "--device", "cpu"]
TEXT = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}  # VRs that hold what anybody writes

NAMES = {"zqvideoa", "zqvideob", "zqvideoc", "zqlost", "zqpatienta", "zqpatientb", "zqpatientc", "zqclip", "zqstack"}
FOLDERS = {"zqparent", "zqdata", "zqinputs"}
EVERYWHERE = NAMES | FOLDERS
MAY_NAME = {
    # the data's own table, and where it came from
    "store/samples.csv": NAMES,
    "store/manifest.json": EVERYWHERE,
    # what a person is to look at, by the names of the data's files
    **dict.fromkeys(("check/check.csv", "ceiling/check.csv"), NAMES),
    **dict.fromkeys(("check/check.html", "ceiling/check.html"), NAMES | {"zqdata"}),
    # a run knows its data, the command that made it, and each image that it was measured on
    "run-*/config.yaml": FOLDERS,
    "run-*/environment.json": FOLDERS,
    "run-*/training_state.pt": FOLDERS,
    "*/images_*.csv": NAMES,
    "*/volumes_*.csv": NAMES,
    "effort.csv": NAMES,
    # a row a file; the folders of its results bear its name
    "predicted/results.csv": NAMES,
    "predicted/manifest-0.jsonl": NAMES,
    # on the terminal: what is left out and where to look, for whoever gave the command
    **dict.fromkeys(("check.txt", "ceiling.txt", "predict.txt"), EVERYWHERE),
    **dict.fromkeys(("prepare.txt", "train.txt", "train-mask.txt", "evaluate.txt", "compare.txt"), NAMES),
    # who corrects sees what he corrects
    "review.txt": NAMES,
    "corrections/*": NAMES,
    # asked for by --names
    "names.html": EVERYWHERE,
}
"""Output → words that may stand in it: names go nowhere else."""


def write_data(folder: Path) -> Path:
    """An EchoNet folder whose names, patients, videos and extra column are planted."""
    write_folder(folder, names=[f"zqvideo{one}xw" for one in "abc"])
    path = folder / "FileList.csv"
    head, *rows = path.read_text().splitlines()
    rows = [f"{row},zqpatient{one}xw,zqextraxw" for row, one in zip(rows, "abc", strict=True)]
    rows.append("zqlostxw,50,40,90,112,112,50,200,TRAIN,zqpatientaxw,zqextraxw")
    path.write_text("\n".join([f"{head},PatientId,Remark", *rows]))
    for video in (folder / "Videos").iterdir():
        add_riff_text(video, b"zqriffxw")
    return folder


def add_riff_text(path: Path, text: bytes) -> None:
    """An INFO list at the end of an AVI, as cameras write it."""
    text += b"\0" * (len(text) % 2)
    info = b"INFO" + b"".join(key + struct.pack("<I", len(text)) + text for key in (b"INAM", b"IART"))
    data = path.read_bytes() + b"LIST" + struct.pack("<I", len(info)) + info
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])


def write_inputs(folder: Path) -> Path:
    """Files of every kind to segment."""
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
    Image.fromarray(ellipse(12) * 90).save(folder / "picture.png", pnginfo=text)
    exif = Image.Exif()
    exif[270] = "zqexifxw"
    Image.fromarray(ellipse(12) * 90).save(folder / "photo.jpg", exif=exif, comment=b"zqjpegxw")
    (folder / "broken.avi").write_bytes((folder / "zqclipxw.avi").read_bytes()[:200])
    return folder


def write_dicom(path: Path) -> None:
    """A cine with a word in every tag that holds text."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.3.1"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.PrivateInformationCreatorUID, meta.PrivateInformation = "1.2", b"zqmetaxw"
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"zqpreamblexw".ljust(128, b"\0"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a word is no address
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


def words_in(data: bytes, depth: int = 3) -> set[str]:
    """Planted words in bytes, however they are packed."""
    found = {word.decode() for word in WORD.findall(data.lower().replace(b"\0", b""))}  # UTF-16 too
    inside: list[bytes] = []
    if data.startswith(b"\x1f\x8b"):
        inside.append(_inflate(data, 31))
    if data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            inside += [archive.read(name) for name in archive.namelist()]
    if data.startswith(b"\x89PNG"):
        packed = re.findall(rb"(?:zTXt|iTXt|iCCP)[^\0]{1,79}\0\0?\0?(.*)", data, re.DOTALL)
        inside += [_inflate(chunk) for chunk in packed]
    for run in re.findall(rb"[A-Za-z0-9+/]{16,}", data):
        pieces = (run[start : start + (len(run) - start) // 4 * 4] for start in range(4))
        inside += [base64.b64decode(piece) for piece in pieces]
    return found.union(*(words_in(each, depth - 1) for each in inside if depth))


def _inflate(data: bytes, window: int = 15) -> bytes:
    with contextlib.suppress(zlib.error):
        return zlib.decompressobj(window).decompress(data)
    return b""


def run_commands(place: Path, *, every: bool) -> list[str]:
    """Every command, each with what it prints in a file; returns those that failed."""
    out = place / "out"
    data, inputs = write_data(place / "zqparentxw/zqdataxw"), write_inputs(place / "zqparentxw/zqinputsxw")
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
        "huggingface": ["export", run, "--format", "huggingface", "--out", out / "hub"],
        "info": ["info"],
    }
    if every:
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
        with _printed_to(out / f"{name}.txt"):
            if echoseg([str(word) for word in command]):
                failed.append(name)
    _look_through_the_page(place, out)
    return failed


@contextlib.contextmanager
def _printed_to(path: Path) -> Iterator[None]:
    """What Python and C print, in a file."""
    with path.open("w+", encoding="utf-8") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        kept = [os.dup(number) for number in (1, 2)]
        try:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            yield
        finally:
            file.flush()
            for number, old in enumerate(kept, start=1):
                os.dup2(old, number)
                os.close(old)


def _look_through_the_page(place: Path, out: Path) -> None:
    """The review page's files and answers, and a correction."""
    (place / "data").symlink_to(place / "zqparentxw/zqdataxw")
    with _printed_to(out / "review.txt"), review_server(place) as page:
        _, headers, _ = request(page.port, "GET", page.links[0].removeprefix(f"http://127.0.0.1:{page.port}"))
        known = {"Cookie": headers["set-cookie"].split(";")[0]}
        for path in ("/", "/api/clips", "/api/clips/0", "/static/main.js", "/api/none", "/api/clips/9"):
            print(path, request(page.port, "GET", path, **known)[::2])
    (place / "corrections").rename(out / "corrections")


def complaints(out: Path, planted: set[str]) -> Iterator[str]:
    """Each output with words in it that may not stand there."""
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        found = words_in(path.read_bytes()) if path.is_file() else set()
        wrong = (found & planted) - set().union(*(words for place, words in MAY_NAME.items() if fnmatch(name, place)))
        if not name.startswith("predicted/"):
            wrong |= words_in(path.name.encode())
        if wrong:
            yield f"{name}: {', '.join(sorted(wrong))}"


def sweep(place: Path, *, every: bool = False) -> tuple[int, int, list[str]]:
    """Run all and read all; the number of words and of outputs, and what is wrong."""
    homes = {"USER": "zquserxw", "LOGNAME": "zquserxw", "USERNAME": "zquserxw", "HOME": str(place / "zqhomexw")}
    with mock.patch.dict(os.environ, {**homes, "ECHOSEG_CACHE": str(place / "cache")}):
        (place / "zqhomexw").mkdir()
        failed = [f"{name} failed" for name in run_commands(place, every=every)]
    files = [path for path in (place / "zqparentxw").rglob("*") if path.is_file()]
    planted = {"zquser", "zqhome"}.union(*(words_in(path.read_bytes()) | words_in(bytes(path)) for path in files))
    outputs = sum(path.is_file() for path in (place / "out").rglob("*"))
    return len(planted), outputs, failed + list(complaints(place / "out", planted))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="the slow commands too: minutes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        planted, outputs, wrong = sweep(Path(place), every=arguments.all)
    for each in wrong:
        print(each)
    print(f"{planted} words planted, {outputs} outputs read, {len(wrong)} with a word that has no business there")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
