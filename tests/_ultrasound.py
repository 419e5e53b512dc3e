"""DICOM files of ultrasound cines, as tests write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

SIZE = (120, 160)
BOX = (10, 40, 110, 120)  # top, left, bottom, right of the sector of `cine`
ULTRASOUND = "1.2.840.10008.5.1.4.1.1.3.1"


def cine(frames=6) -> np.ndarray:
    """(T, H, W): a fan of moving speckle, beside text and a ruler that do not move."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    fan = (abs(x - 79.5) < 0.6 * (y - 10) + 1) & (abs(x - 79.5) < 40) & (y >= 10) & (y < 110)
    images = np.random.default_rng(0).integers(0, 200, (frames, *SIZE)).astype(np.uint8) * fan
    images[:, 2:8, 2:30] = 255
    images[:, 20:100:10, 150:155] = 180
    images[:, 12:15, 100:103] = 220  # a mark beside the apex
    return images


def write_dicom(path: Path, pixels: np.ndarray, kind="MONOCHROME2", *, syntax=ExplicitVRLittleEndian, **tags) -> Path:
    """Write a multi-frame file; `pixels` is (T, H, W) or (T, H, W, 3), uint8 or uint16."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ULTRASOUND, "1.2.3"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID = ULTRASOUND, "1.2.3"
    data.Modality, data.PatientName, data.PatientID = "US", "Doe^Jane", "4711"
    data.NumberOfFrames, data.Rows, data.Columns = pixels.shape[:3]
    data.SamplesPerPixel = 1 if pixels.ndim == 3 else 3
    if pixels.ndim == 4:
        data.PlanarConfiguration = 0
    data.PhotometricInterpretation, data.PixelRepresentation = kind, 0
    data.BitsAllocated = data.BitsStored = 8 * pixels.itemsize
    data.HighBit = data.BitsStored - 1
    data.PixelData = pixels.tobytes()
    if syntax != ExplicitVRLittleEndian:
        data.compress(syntax, generate_instance_uid=False)
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


def region(box=BOX, delta=0.05, *, shape=1, kind=1, unit=3) -> Dataset:
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = shape, kind, 0
    top, left, bottom, right = box
    item.RegionLocationMinX0, item.RegionLocationMinY0 = left, top
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = right - 1, bottom - 1
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = unit
    item.PhysicalDeltaX, item.PhysicalDeltaY = delta, 2 * delta
    return item
