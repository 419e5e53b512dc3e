"""Small valid files of about twenty formats, and functions that damage them."""

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
from PIL import Image
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
"""File name → content; the first file is the one to read."""


def speckle() -> np.ndarray:
    """(T, H, W) uint8: smooth noise in the shape of a sector."""
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
    """A cine with a region, a window, a spacing and a patient's name."""
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


def meta_image(voxels: np.ndarray, *, compressed: bool = False, **fields: object) -> Files:
    raw = voxels.tobytes(order="F")
    head = {"ObjectType": "Image", "NDims": 3, "DimSize": " ".join(map(str, voxels.shape)), "ElementSpacing": "1 2 8"}
    head |= {"CompressedData": compressed, "ElementType": "MET_SHORT", "ElementDataFile": "a.raw", **fields}
    text = "".join(f"{key} = {value}\n" for key, value in head.items() if value is not None)
    return {"a.mhd": text.encode(), "a.raw": zlib.compress(raw) if compressed else raw}


def write_valid(folder: Path) -> dict[str, Files]:
    """Valid files by format."""
    videos = {"a.avi": "MJPG", "b.avi": "XVID", "c.avi": "I420", "d.avi": "FFV1", "a.mp4": "mp4v", "b.mp4": "VP90"}
    videos |= {"a.mkv": "XVID", "a.webm": "VP80", "a.mpg": "MPG2", "a.wmv": "WMV2", "a.mov": "MJPG"}
    valid = {f"{code} {name[2:]}": {name: video(folder, name, code)} for name, code in videos.items()}
    syntaxes = {"DICOM": ExplicitVRLittleEndian, "DICOM implicit": ImplicitVRLittleEndian, "DICOM RLE": RLELossless}
    syntaxes |= {"DICOM big-endian": ExplicitVRBigEndian, "DICOM deflated": DeflatedExplicitVRLittleEndian}
    syntaxes |= {"DICOM JPEG": JPEGBaseline8Bit}
    valid |= {kind: {"a.dcm": dicom(folder, syntax)} for kind, syntax in syntaxes.items()}
    valid["DICOM RGB"] = {"a.dcm": dicom(folder, ExplicitVRLittleEndian, kind="RGB")}
    valid["DICOM 16 bits"] = {"a": dicom(folder, ExplicitVRLittleEndian, bits=16)}
    voxels, affine = speckle()[:3].transpose(2, 1, 0).astype(np.int16) * 5, np.diag([-1.0, -2, 8, 1])
    scaled = nibabel.Nifti1Image(voxels, affine)
    scaled.header.set_slope_inter(0.5, -3)
    other = nibabel.Nifti1Image(voxels, affine, nibabel.Nifti1Header(endianness=">"))
    valid["NIfTI"] = {"a.nii": nifti(folder, "a.nii", scaled)}
    valid["NIfTI big-endian"] = {"a.nii": nifti(folder, "a.nii", other)}
    valid["NIfTI compressed"] = {"a.nii.gz": nifti(folder, "a.nii.gz", scaled)}
    valid["NIfTI-2"] = {"a.nii": nifti(folder, "a.nii", nibabel.Nifti2Image(voxels.astype("f4"), affine))}
    valid["MetaImage"] = meta_image(voxels)
    valid["MetaImage compressed"] = meta_image(voxels, compressed=True)
    header, raw = meta_image(voxels)["a.mhd"].replace(b"a.raw", b"LOCAL"), voxels.tobytes(order="F")
    valid["MetaImage in one file"] = {"a.mha": header + raw}
    nrrd = (
        b"NRRD0004\ntype: short\ndimension: 3\nendian: little\nspace: RAS\nspace directions: (1,0,0) (0,2,0) (0,0,8)\n"
    )
    nrrd += f"sizes: {' '.join(map(str, voxels.shape))}\nencoding: ".encode()
    valid["NRRD"] = {"a.nrrd": nrrd + b"raw\n\n" + raw}
    valid["NRRD compressed"] = {"a.nrrd": nrrd + b"gzip\n\n" + gzip.compress(raw)}
    for suffix in ("tif", "gif", "png", "webp"):
        first, *others = map(Image.fromarray, speckle()[:3])
        first.save(folder / f"pages.{suffix}", save_all=True, append_images=others)
        valid[f"pages {suffix}"] = {f"a.{suffix}": (folder / f"pages.{suffix}").read_bytes()}
    for suffix in ("png", "jpg", "bmp", "tif"):
        valid[suffix.upper()] = {f"a.{suffix}": cv2.imencode(f".{suffix}", speckle()[0])[1].tobytes()}
    valid["PNG 16 bits"] = {"a.png": cv2.imencode(".png", speckle()[0].astype(np.uint16) * 200)[1].tobytes()}
    return valid


def random_offset(rng: random.Random, data: bytes) -> int:
    """A position in the data, more often near the start."""
    return min(int(len(data) * rng.random() ** rng.choice((1, 3, 6))), max(0, len(data) - 1))


def change_bits(rng: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(int(2 ** rng.uniform(0, 6.01)) if data else 0):
        out[random_offset(rng, data)] ^= 1 << rng.randrange(8)
    return bytes(out)


def set_number(rng: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        width, offset = rng.choice((2, 4, 4, 8)), random_offset(rng, data)
        number = rng.choice(NUMBERS) % 256**width
        out[offset : offset + width] = number.to_bytes(width, rng.choice(("little", "big")))
    return bytes(out[: len(data)])


def change_number(rng: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    offset = random_offset(rng, data) & ~1
    width = rng.choice((2, 4))
    old = int.from_bytes(out[offset : offset + width], "little")
    out[offset : offset + width] = ((old + rng.choice((-1, 1, 7, 1000))) % 256**width).to_bytes(width, "little")
    return bytes(out[: len(data)])


def cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def remove(rng: random.Random, data: bytes) -> bytes:
    offset = random_offset(rng, data)
    return data[:offset] + data[offset + int(2 ** rng.uniform(0, 10)) :]


def repeat(rng: random.Random, data: bytes) -> bytes:
    offset = random_offset(rng, data)
    part = data[offset : offset + int(2 ** rng.uniform(0, 10))]
    return data[:offset] + part * rng.choice((2, 3, 50)) + data[offset:]


def overwrite(rng: random.Random, data: bytes) -> bytes:
    offset, size = random_offset(rng, data), int(2 ** rng.uniform(0, 9))
    part = rng.choice((b"\0", b"\xff", b"A")) * min(size, len(data) - offset)
    return data[:offset] + part + data[offset + size :]


DAMAGE: dict[str, Callable[[random.Random, bytes], bytes]] = {
    "bits": change_bits,
    "set number": set_number,
    "change number": change_number,
    "cut": cut,
    "remove": remove,
    "repeat": repeat,
    "overwrite": overwrite,
}


def make_random(valid: dict[str, Files], count: int, seed: int) -> Iterator[tuple[str, str, Files]]:
    """Randomly damaged files: format, damage and files."""
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        kind = rng.choice(list(valid))
        damage = rng.choice([*DAMAGE, "bits", "set number", "splice", "rename"])
        files = dict(valid[kind])
        name = rng.choice(list(files))
        if damage in DAMAGE:
            files[name] = DAMAGE[damage](rng, files[name])
        else:
            other = next(iter(rng.choice(list(valid.values())).values()))
            keep = rng.randrange(len(files[name])) if damage == "splice" else 0
            files[name] = files[name][:keep] + other[keep if damage == "splice" else 0 :]
        yield kind, damage, files


def invalid_tags(folder: Path) -> Iterator[tuple[str, Files]]:
    """Cines that lack one tag, or have an invalid one."""
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
    yield "DICOM prefix with garbage", {"a.dcm": bytes(128) + b"DICM" + random.Random(0).randbytes(5000)}
    yield "DICOM prefix only", {"a.dcm": bytes(128) + b"DICM"}
    sequence = b"\x40\0\x30\xa7SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
    start = data.index(b"\x08\0\x16\0")
    yield "DICOM of 20,000 sequences", {"a.dcm": data[:start] + sequence * 20_000}


def zeros(size: int, start: bytes = b"") -> bytes:
    """A raw deflate stream of `start`, followed by `size` MiB of zeros."""
    compressor = zlib.compressobj(9, wbits=-15)
    head = compressor.compress(start) + compressor.flush(zlib.Z_FULL_FLUSH)
    mebibyte = compressor.compress(bytes(1 << 20)) + compressor.flush(zlib.Z_FULL_FLUSH)
    return head + mebibyte * size + compressor.flush()


def bombs(folder: Path, valid: dict[str, Files]) -> Iterator[tuple[str, Files]]:
    """Small files that decompress to, or declare, a large size."""
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
    png = valid["PNG"]["a.png"]
    for side in (8000, 12000, 30000, 2**31 - 1):
        chunk = b"IHDR" + side.to_bytes(4, "big") * 2 + png[24:29]
        body = zeros(1 + ((side + 1) * side >> 20) if side <= 12000 else 1)
        stream = b"\x78\xda" + body + bytes(4)
        parts = (chunk, b"IDAT" + stream, b"IEND")
        chunks = b"".join((len(p) - 4).to_bytes(4, "big") + p + zlib.crc32(p).to_bytes(4, "big") for p in parts)
        yield f"PNG bomb of {side}²", {"a.png": png[:8] + chunks}
    for side in (8000, 16000, 30000):
        for kind, name in (("I420 avi", "c.avi"), ("MJPG avi", "a.avi"), ("XVID avi", "b.avi")):
            avi = bytearray(valid[kind][name])
            for offset in (avi.index(b"avih") + 40, avi.index(b"strf") + 12):
                avi[offset : offset + 8] = side.to_bytes(4, "little") * 2
            yield f"{kind} of {side}²", {"a.avi": bytes(avi)}
    jpeg = bytearray(valid["JPG"]["a.jpg"])
    offset = jpeg.index(b"\xff\xc0") + 5
    jpeg[offset : offset + 4] = b"\xff\xdc\xff\xdc"
    yield "JPEG of 65500²", {"a.jpg": bytes(jpeg)}
    avi = valid["MJPG avi"]["a.avi"]
    for count in (0, 1, 2**31 - 1, 2**32 - 1):
        yield f"AVI of {count} frames", {"a.avi": avi[:48] + count.to_bytes(4, "little") + avi[52:]}


def invalid_volumes(folder: Path) -> Iterator[tuple[str, Files]]:
    """Volumes with an invalid affine or scale, or with voxels in another file."""
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
    valid = nifti(folder, "a.nii", nibabel.Nifti1Image(voxels, np.eye(4)))
    for offset, value in itertools.product(
        (76, 80, 84, 88, 108, 112, 116, 256, 268), (np.nan, np.inf, -np.inf, 0, -1, 1e38)
    ):
        changed = valid[:offset] + np.float32(value).tobytes() + valid[offset + 4 :]
        yield f"NIfTI number at {offset} is {value}", {"a.nii": changed}
    for offset, value in itertools.product((40, 42, 44, 46, 70, 72, 252, 254), (0, -1, 7, 8, 32767, 128, 1536, 2304)):
        changed = valid[:offset] + (value % 65536).to_bytes(2, "little") + valid[offset + 2 :]
        yield f"NIfTI field at {offset} is {value}", {"a.nii": changed}


def renamed(valid: dict[str, Files]) -> Iterator[tuple[str, Files]]:
    """The content of one format with the file name of another."""
    names = {next(iter(files)) for files in valid.values()}
    for name, (kind, files) in itertools.product(sorted(names), valid.items()):
        if name not in files:
            yield f"{kind} as {name}", {name: next(iter(files.values()))}


def make_special(folder: Path, valid: dict[str, Files]) -> Iterator[tuple[str, str, Files]]:
    """All special inputs: format, damage and files."""
    cases = {
        "invalid tags": invalid_tags(folder),
        "bombs": bombs(folder, valid),
        "invalid volumes": invalid_volumes(folder),
        "renamed": renamed(valid),
    }
    for damage, inputs in cases.items():
        for kind, files in inputs:
            yield kind, damage, files
