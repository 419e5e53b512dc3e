"""Masks of a volume's slices as a NIfTI file that lies over that volume in any viewer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from echoseg.io.volume import Volume


def write_mask(path: Path, masks: NDArray[np.uint8], volume: Volume) -> None:
    """Write masks in the order, of the shape and with the affine of the file that they were found in.

    Args:
        path: `.nii` or `.nii.gz` to write.
        masks: (T, H, W) uint8, as `volume.read` gives the slices.
        volume: Whose slices they are.
    """
    voxels = volume.restore(masks)
    if volume.path.suffix.lower() == ".mhd":
        mask = nibabel.Nifti1Image(voxels, volume.affine)
    else:
        image: Any = nibabel.load(volume.path)
        mask = type(image)(voxels.reshape(image.shape), image.affine, image.header)
        mask.header.extensions.clear()  # may name the patient, as may the texts
        for text in set(mask.header) - {"magic", "regular"}:
            if mask.header[text].dtype.kind == "S":
                mask.header[text] = b""
    mask.set_data_dtype(np.uint8)
    mask.header["cal_min"], mask.header["cal_max"] = 0, 1
    nibabel.save(mask, path)


def slices_affine(volume: Volume) -> NDArray[np.float64]:
    """(4, 4) from a volume's (slice, row, column) to mm towards right, front and head.

    Where the file does not say how it lies: x to the right, y to the back, z to the head.
    """
    slices, rows, columns = volume.axes
    affine = volume.affine
    if affine is None:
        affine = np.diag([volume.spacing[1], -volume.spacing[0], volume.thickness, 1.0])
    turn = np.zeros((4, 4))
    turn[[slices, rows, columns, 3], range(4)] = 1
    for axis in volume.turned:
        turn[axis] *= -1
        turn[axis, 3] = volume.shape[volume.axes.index(axis)] - 1
    return affine @ turn
