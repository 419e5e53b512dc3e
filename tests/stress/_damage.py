"""Small valid files of some twenty kinds, and every way we can think of to damage them."""

from __future__ import annotations

import gzip
import itertools
import random
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

SIZE, FRAMES = (40, 48), 6
SECRETS = ("Doe", "4711")
NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)

Files = dict[str, bytes]
"""Name → content; the first is the one to read."""


def speckle() -> np.ndarray:
    """(T, H, W) uint8 of smooth noise in a fan."""
    noise = np.random.default_rng(0).integers(0, 256, (FRAMES, *SIZE), dtype=np.uint8)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.stack([cv2.GaussianBlur(frame, (0, 0), 1.5) for frame in noise]) * (abs(x - 23) < 0.7 * y + 3)


def video(folder: Path, name: str, code: str) -> bytes:
    writer = cv2.VideoWriter(str(folder / name), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*code), 25, SIZE[::-1])
    assert writer.isOpened(), name
    for frame in speckle():
        writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    writer.release()
    return (folder / name).read_bytes()


def dicom(folder: Path, syntax: str, *, kind: str = "MONOCHROME2", bits: int = 8, **tags: object) -> bytes:
    """A cine with a region, a window, a spacing and a patient."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.3.1", "1.2.3"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax == RLELossless else syntax
    data = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    data.set_original_encoding(syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3"
    data.Modality, data.PatientName, data.PatientID = "US" if bits == 8 else "MR", "Doe^Jane", "4711"
    pixels = speckle() if bits == 8 else speckle().astype(np.uint16) * 16
    if kind == "RGB":
        pixels, data.PlanarConfiguration = pixels[..., None].repeat(3, axis=3), 0
    data.NumberOfFrames, data.Rows, data.Columns = pixels.shape[:3]
    data.SamplesPerPixel = 3 if kind == "RGB" else 1
    data.PhotometricInterpretation, data.PixelRepresentation = kind, 0
    data.BitsAllocated = data.BitsStored = bits
    data.HighBit = bits - 1
    data.FrameTime, data.FrameTimeVector, data.CineRate = 40.0, [0.0, 40.0, 41.0], 25
    data.PixelSpacing, data.WindowCenter, data.WindowWidth = [0.5, 0.6], 1000, 900
    data.RescaleSlope, data.RescaleIntercept = 1, 0
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 2, 2
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 45, 38
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = 0.05
    data.SequenceOfUltrasoundRegions = [region]
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    data.PixelData = pixels.astype(f"{order}u{bits // 8}").tobytes()
    if syntax == JPEGBaseline8Bit:
        data.PixelData = encapsulate([cv2.imencode(".jpg", frame)[1].tobytes() for frame in pixels])
    data["PixelData"].VR = "OB" if syntax == JPEGBaseline8Bit else "OW"
    if syntax == RLELossless:
        data.compress(RLELossless, generate_instance_uid=False)
    for name, value in tags.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    data.save_as(folder / "a.dcm", enforce_file_format=True)
    return (folder / "a.dcm").read_bytes()


def nifti(folder: Path, name: str, image: nibabel.Nifti1Image) -> bytes:
    nibabel.save(image, folder / name)
    return (folder / name).read_bytes()


def meta_image(voxels: np.ndarray, *, packed: bool = False, **fields: object) -> Files:
    raw = voxels.tobytes(order="F")
    head = {"ObjectType": "Image", "NDims": 3, "DimSize": " ".join(map(str, voxels.shape)), "ElementSpacing": "1 2 8"}
    head |= {"CompressedData": packed, "ElementType": "MET_SHORT", "ElementDataFile": "a.raw", **fields}
    text = "".join(f"{key} = {value}\n" for key, value in head.items() if value is not None)
    return {"a.mhd": text.encode(), "a.raw": zlib.compress(raw) if packed else raw}


def write_whole(folder: Path) -> dict[str, Files]:
    """Valid files by kind."""
    films = {"a.avi": "MJPG", "b.avi": "XVID", "c.avi": "I420", "d.avi": "FFV1", "a.mp4": "mp4v", "b.mp4": "VP90"}
    films |= {"a.mkv": "XVID", "a.webm": "VP80", "a.mpg": "MPG2", "a.wmv": "WMV2", "a.mov": "MJPG"}
    whole = {f"{code} {name[2:]}": {name: video(folder, name, code)} for name, code in films.items()}
    syntaxes = {"DICOM": ExplicitVRLittleEndian, "DICOM implicit": ImplicitVRLittleEndian, "DICOM RLE": RLELossless}
    syntaxes |= {"DICOM big-endian": ExplicitVRBigEndian, "DICOM deflated": DeflatedExplicitVRLittleEndian}
    syntaxes |= {"DICOM JPEG": JPEGBaseline8Bit}
    whole |= {kind: {"a.dcm": dicom(folder, syntax)} for kind, syntax in syntaxes.items()}
    whole["DICOM RGB"] = {"a.dcm": dicom(folder, ExplicitVRLittleEndian, kind="RGB")}
    whole["DICOM 16 bits"] = {"a": dicom(folder, ExplicitVRLittleEndian, bits=16)}
    voxels, affine = speckle()[:3].transpose(2, 1, 0).astype(np.int16) * 5, np.diag([-1.0, -2, 8, 1])
    scaled = nibabel.Nifti1Image(voxels, affine)
    scaled.header.set_slope_inter(0.5, -3)
    other = nibabel.Nifti1Image(voxels, affine, nibabel.Nifti1Header(endianness=">"))
    whole["NIfTI"] = {"a.nii": nifti(folder, "a.nii", scaled)}
    whole["NIfTI big-endian"] = {"a.nii": nifti(folder, "a.nii", other)}
    whole["NIfTI packed"] = {"a.nii.gz": nifti(folder, "a.nii.gz", scaled)}
    whole["NIfTI-2"] = {"a.nii": nifti(folder, "a.nii", nibabel.Nifti2Image(voxels.astype("f4"), affine))}
    whole["MetaImage"] = meta_image(voxels)
    whole["MetaImage packed"] = meta_image(voxels, packed=True)
    for ending in ("png", "jpg", "bmp", "tif"):
        whole[ending.upper()] = {f"a.{ending}": cv2.imencode(f".{ending}", speckle()[0])[1].tobytes()}
    whole["PNG 16 bits"] = {"a.png": cv2.imencode(".png", speckle()[0].astype(np.uint16) * 200)[1].tobytes()}
    return whole


def place(find: random.Random, data: bytes) -> int:
    """Anywhere, but more often in front."""
    return min(int(len(data) * find.random() ** find.choice((1, 3, 6))), max(0, len(data) - 1))


def flip(find: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(int(2 ** find.uniform(0, 6.01)) if data else 0):
        out[place(find, data)] ^= 1 << find.randrange(8)
    return bytes(out)


def set_number(find: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(find.choice((1, 1, 2, 4))):
        width, at = find.choice((2, 4, 4, 8)), place(find, data)
        number = find.choice(NUMBERS) % 256**width
        out[at : at + width] = number.to_bytes(width, find.choice(("little", "big")))
    return bytes(out[: len(data)])


def set_count(find: random.Random, data: bytes) -> bytes:
    """Where a small number stands, another."""
    out = bytearray(data)
    at = place(find, data) & ~1
    width = find.choice((2, 4))
    old = int.from_bytes(out[at : at + width], "little")
    out[at : at + width] = ((old + find.choice((-1, 1, 7, 1000))) % 256**width).to_bytes(width, "little")
    return bytes(out[: len(data)])


def cut(find: random.Random, data: bytes) -> bytes:
    return data[: find.randrange(len(data) + 1)]


def remove(find: random.Random, data: bytes) -> bytes:
    at = place(find, data)
    return data[:at] + data[at + int(2 ** find.uniform(0, 10)) :]


def repeat(find: random.Random, data: bytes) -> bytes:
    at = place(find, data)
    return data[:at] + data[at : at + int(2 ** find.uniform(0, 10))] * find.choice((2, 3, 50)) + data[at:]


def blank(find: random.Random, data: bytes) -> bytes:
    at, size = place(find, data), int(2 ** find.uniform(0, 9))
    return data[:at] + find.choice((b"\0", b"\xff", b"A")) * min(size, len(data) - at) + data[at + size :]


DAMAGE: dict[str, Callable[[random.Random, bytes], bytes]] = {
    "flipped": flip,
    "numbers": set_number,
    "counts": set_count,
    "cut": cut,
    "removed": remove,
    "repeated": repeat,
    "blanked": blank,
}


def damaged(whole: dict[str, Files], count: int, seed: int) -> Iterator[tuple[str, str, Files]]:
    """Kind, what was done, and the files."""
    for number in range(count):
        find = random.Random(f"{seed} {number}")
        kind = find.choice(list(whole))
        how = find.choice([*DAMAGE, "flipped", "numbers", "spliced", "renamed"])
        files = dict(whole[kind])
        name = find.choice(list(files))
        if how in DAMAGE:
            files[name] = DAMAGE[how](find, files[name])
        else:
            other = next(iter(find.choice(list(whole.values())).values()))
            keep = find.randrange(len(files[name])) if how == "spliced" else 0
            files[name] = files[name][:keep] + other[keep if how == "spliced" else 0 :]
        yield kind, how, files


def missing_tags(folder: Path) -> Iterator[tuple[str, Files]]:
    """A cine without each of its tags in turn, and with absurd ones."""
    data = dicom(folder, ExplicitVRLittleEndian)
    for name in [element.keyword for element in pydicom.dcmread(folder / "a.dcm")]:
        yield f"DICOM without {name}", {"a.dcm": dicom(folder, ExplicitVRLittleEndian, **{name: None})}
    for name, value in itertools.product(("Rows", "Columns"), (0, 1, 65535)):
        yield f"DICOM {name} {value}", {"a.dcm": dicom(folder, ExplicitVRLittleEndian, **{name: value})}
    for value in (0, -1, 2**31 - 1, -(2**31), 7, 5):
        yield f"DICOM NumberOfFrames {value}", {"a.dcm": dicom(folder, ExplicitVRLittleEndian, NumberOfFrames=value)}
    for bits in (0, 1, 7, 12, 32, 64, 255):
        tags = {"BitsAllocated": bits, "BitsStored": bits}
        yield f"DICOM of {bits} bits", {"a.dcm": dicom(folder, ExplicitVRLittleEndian, **tags)}
    texts = {b"40.0": b"Doe^", b"0.5\\0.6": b"inf\\1.0", b"1000": b"Doe^", b"\4\x001000": b"\4\0Doe^", b"900 ": b"nan "}
    for bits, (old, new) in itertools.product((8, 16), texts.items()):
        changed = dicom(folder, ExplicitVRLittleEndian, bits=bits).replace(old, new)
        yield f"DICOM of {bits} bits with {new!r} for {old!r}", {"a.dcm": changed}
    yield "DICOM mark with garbage", {"a.dcm": bytes(128) + b"DICM" + random.Random(0).randbytes(5000)}
    yield "DICOM mark alone", {"a.dcm": bytes(128) + b"DICM"}
    sequence = b"\x40\0\x30\xa7SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
    start = data.index(b"\x08\0\x16\0")
    yield "DICOM of 20,000 sequences", {"a.dcm": data[:start] + sequence * 20_000}


def zeros(size: int, start: bytes = b"") -> bytes:
    """A raw deflate stream of something and then so many MiB of zeros, made at once from one of them."""
    packer = zlib.compressobj(9, wbits=-15)
    head = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    mebibyte = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + mebibyte * size + packer.flush()


def bombs(folder: Path, whole: dict[str, Files]) -> Iterator[tuple[str, Files]]:
    """Small files that are, or say that they are, large."""
    big = nibabel.Nifti1Header()
    big.set_data_shape((4096, 4096, 64))
    big.set_data_dtype(np.float64)
    big["vox_offset"] = 352
    member = gzip.compress(bytes(1 << 24), 9)
    yield "NIfTI bomb of 8 GiB", {"a.nii.gz": gzip.compress(big.binaryblock + bytes(4)) + member * 512}
    big.set_data_shape((1024, 1024, 64))
    yield "NIfTI bomb of 512 MiB", {"a.nii.gz": gzip.compress(big.binaryblock + bytes(4)) + member * 32}
    big["vox_offset"] = 1 << 30
    text = gzip.compress(big.binaryblock + b"\1\0\0\0" + (2**30 - 352).to_bytes(4, "little") + b"\4\0\0\0")
    yield "NIfTI with text of 1 GiB", {"a.nii.gz": text + member * 64, "b.nii": big.binaryblock + b"\1\0\0\0"}
    data = dicom(folder, ExplicitVRLittleEndian)
    start = data.index(b"\x08\0\x16\0")
    deflated = dicom(folder, DeflatedExplicitVRLittleEndian)
    head = deflated[: 144 + int.from_bytes(deflated[140:144], "little")]
    for size in (300, 4096):
        yield f"DICOM deflate bomb of {size} MiB", {"a.dcm": head + zeros(size, data[start:])}
    png = whole["PNG"]["a.png"]
    for side in (8000, 12000, 30000, 2**31 - 1):
        chunk = b"IHDR" + side.to_bytes(4, "big") * 2 + png[24:29]
        body = zeros(1 + ((side + 1) * side >> 20) if side <= 12000 else 1)
        stream = b"\x78\xda" + body + bytes(4)
        parts = (chunk, b"IDAT" + stream, b"IEND")
        made = b"".join((len(p) - 4).to_bytes(4, "big") + p + zlib.crc32(p).to_bytes(4, "big") for p in parts)
        yield f"PNG bomb of {side}²", {"a.png": png[:8] + made}
    for side in (8000, 16000, 30000):
        for kind, name in (("I420 avi", "c.avi"), ("MJPG avi", "a.avi"), ("XVID avi", "b.avi")):
            film = bytearray(whole[kind][name])
            for at in (film.index(b"avih") + 40, film.index(b"strf") + 12):
                film[at : at + 8] = side.to_bytes(4, "little") * 2
            yield f"{kind} of {side}²", {"a.avi": bytes(film)}
    jpeg = bytearray(whole["JPG"]["a.jpg"])
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = b"\xff\xdc\xff\xdc"
    yield "JPEG of 65500²", {"a.jpg": bytes(jpeg)}
    film = whole["MJPG avi"]["a.avi"]
    for count in (0, 1, 2**31 - 1, 2**32 - 1):
        yield f"AVI of {count} frames", {"a.avi": film[:48] + count.to_bytes(4, "little") + film[52:]}


def places(folder: Path) -> Iterator[tuple[str, Files]]:
    """Volumes whose place or scale is none, or whose voxels are elsewhere."""
    voxels = np.zeros((5, 6, 3), np.int16)
    outside = [
        str(folder / "a.raw"),
        "../a.raw",
        "/etc/passwd",
        "LIST",
        "LOCAL",
        ".",
        "..",
        "",
        "a.mhd",
        "fifo",
        "a\0b",
    ]
    for name in (*outside, "%d.raw 1 3 1", "x" * 300, "C:a.raw", "..\\a.raw", "folder"):
        yield f"MetaImage of {name[:20]!r}", meta_image(voxels, ElementDataFile=name)
    for value, name in itertools.product(
        (
            "0 0 0",
            "-5 6 3",
            "5 6",
            "99999 99999 99999",
            "4294967296 4294967296 4294967296",
            "5 6 3 1 1",
            "1e3 2 2",
            "９ 1 1",
        ),
        ("DimSize", "ElementSpacing", "TransformMatrix", "Offset", "HeaderSize", "NDims"),
    ):
        yield f"MetaImage {name} {value}", meta_image(voxels, **{name: value})
    for value in ("-2", "1e9", "99999999999999999999", "-1", "180", "nan"):
        yield f"MetaImage HeaderSize {value}", meta_image(voxels, HeaderSize=value)
    for row, value in itertools.product(range(3), (np.nan, np.inf, 0, 1e38, -1e-38)):
        affine = np.diag([-1.0, -2, 8, 1])
        affine[row] = value
        image = nibabel.Nifti1Image(voxels, np.diag([-1.0, -2, 8, 1]))
        image.header["sform_code"], image.header[("srow_x", "srow_y", "srow_z")[row]] = 1, affine[row]
        raw = bytearray(nifti(folder, "a.nii", image))
        raw[280 + 16 * row : 296 + 16 * row] = affine[row].astype("<f4").tobytes()
        yield f"NIfTI row {row} of {value}", {"a.nii": bytes(raw)}
    whole = nifti(folder, "a.nii", nibabel.Nifti1Image(voxels, np.eye(4)))
    for at, value in itertools.product(
        (76, 80, 84, 88, 108, 112, 116, 256, 268), (np.nan, np.inf, -np.inf, 0, -1, 1e38)
    ):
        yield f"NIfTI number at {at} is {value}", {"a.nii": whole[:at] + np.float32(value).tobytes() + whole[at + 4 :]}
    for at, value in itertools.product((40, 42, 44, 46, 70, 72, 252, 254), (0, -1, 7, 8, 32767, 128, 1536, 2304)):
        changed = whole[:at] + (value % 65536).to_bytes(2, "little") + whole[at + 2 :]
        yield f"NIfTI field at {at} is {value}", {"a.nii": changed}


def renamed(whole: dict[str, Files]) -> Iterator[tuple[str, Files]]:
    """One kind's content under another's name."""
    names = {next(iter(files)) for files in whole.values()}
    for name, (kind, files) in itertools.product(sorted(names), whole.items()):
        if name not in files:
            yield f"{kind} as {name}", {name: next(iter(files.values()))}


def by_hand(folder: Path, whole: dict[str, Files]) -> Iterator[tuple[str, str, Files]]:
    """All that is made by hand: kind, what was done, and the files."""
    made = {"missing tags": missing_tags(folder), "bombs": bombs(folder, whole), "places": places(folder)}
    for how, cases in {**made, "under another name": renamed(whole)}.items():
        for kind, files in cases:
            yield kind, how, files
