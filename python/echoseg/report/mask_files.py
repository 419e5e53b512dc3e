"""Writes predicted masks in the format of the file that they segment."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from echoseg.errors import DataError
from echoseg.io.nifti import write_mask
from echoseg.io.reading import open_volume
from echoseg.io.volume import is_volume
from echoseg.utils.files import opencv_name


def write_masks(source: Path, masks: np.ndarray, folder: Path) -> None:
    """Write `mask.nii.gz` over a volume or a DICOM series, `masks.tif` with a page per frame for any other file.

    Args:
        source: The file or the folder of a series.
        masks: (T, H, W) uint8, 0 or 1.
        folder: The folder to write to.

    Raises:
        DataError: The file cannot be written.
    """
    if is_volume(source) or source.is_dir():
        write_mask(folder / "mask.nii.gz", masks, open_volume(source))
        return
    path = folder / "masks.tif"
    deflate = (cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_ADOBE_DEFLATE)
    if not cv2.imwritemulti(opencv_name(path), list(masks * 255), deflate):
        raise DataError(f"{path}: cannot be written; check the permissions of the folder and the free space")
