"""Writes DICOM series with a file for each slice, as MR scanners do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

MR = "1.2.840.10008.5.1.4.1.1.4"
AXIAL = np.array([[1.0, 0, 0], [0, 1, 0]])
SPACING = (1.25, 1.5)  # between rows, between columns
SHAPE = (4, 10, 12)  # slices, rows, columns


def pixels(shape=SHAPE, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 3000, shape).astype(np.uint16)


def write_slice(path: Path, image: np.ndarray, position, *, directions=AXIAL, series="1.2.3.4", **tags) -> Path:
    """Write one slice; a tag whose value is None is left out."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MR, f"1.2.3.{abs(hash(path.name))}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID, data.SeriesInstanceUID = MR, meta.MediaStorageSOPInstanceUID, series
    data.Modality, data.PatientName, data.PatientID = "MR", "Doe^Jane", "4711"
    data.Rows, data.Columns = image.shape[:2]
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    data.BitsAllocated = data.BitsStored = 8 * image.itemsize
    data.HighBit = data.BitsStored - 1
    data.PixelData = image.tobytes()
    data.PixelSpacing = list(SPACING)
    data.ImageOrientationPatient = [round(float(value), 9) for value in np.ravel(directions)]
    data.ImagePositionPatient = [round(float(value), 6) for value in position]
    for name, value in tags.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


def write_series(folder: Path, images: np.ndarray, *, origin=(-20, 7, 30), directions=AXIAL, step=8.0, **tags) -> Path:
    """Write a slice for each image. The names of the files are in another order than the slices."""
    folder.mkdir(parents=True, exist_ok=True)
    normal = np.cross(*directions)
    for k, image in enumerate(images):
        name = f"IM{(7 * k + 3) % 97:04d}.dcm"
        write_slice(folder / name, image, np.array(origin) + step * k * normal, directions=directions, **tags)
    return folder


def slice_name(k: int) -> str:
    """The file of slice `k` of `write_series`."""
    return f"IM{(7 * k + 3) % 97:04d}.dcm"
