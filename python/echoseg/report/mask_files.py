"""Writes predicted masks in the format of the file that they segment, and as NIfTI."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from echoseg.io.clip import Clip
from echoseg.io.nifti import write_clip_mask, write_mask
from echoseg.io.reading import open_volume
from echoseg.io.volume import is_volume

NIFTI = "mask.nii.gz"


def write_masks(source: Path, masks: np.ndarray, folder: Path) -> None:
    """Write `mask.nii.gz` over a volume or a DICOM series, `masks.tif` with a page per frame for any other file.

    Args:
        source: The file or the folder of a series.
        masks: (T, H, W) uint8, 0 or 1.
        folder: The folder to write to.

    Raises:
        OSError: The file cannot be written.
    """
    if _is_volume(source):
        write_mask(folder / NIFTI, masks, open_volume(source))
        return
    deflate = (cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_ADOBE_DEFLATE)
    pages = cv2.imencodemulti(".tif", list(masks * 255), deflate)[1].tobytes()
    (folder / "masks.tif").write_bytes(pages)  # OpenCV cannot write to every name; see utils.files.opencv_name


def write_nifti(source: Path, clip: Clip, masks: np.ndarray, folder: Path) -> None:
    """Write `mask.nii.gz`, over a volume or a DICOM series, and as `write_clip_mask` says for any other file.

    Args:
        source: The file or the folder of a series.
        clip: The clip that was read from it.
        masks: (T, H, W) uint8, 0 or 1.
        folder: The folder to write to.
    """
    if _is_volume(source):
        write_mask(folder / NIFTI, masks, open_volume(source))
    else:
        write_clip_mask(folder / NIFTI, masks, clip)


def _is_volume(source: Path) -> bool:
    return is_volume(source) or source.is_dir()
