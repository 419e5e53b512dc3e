"""Writes masks of a volume's slices as a NIfTI file that any viewer overlays on that volume."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from echoseg.io.volume import Volume, load_nifti


def write_mask(path: Path, masks: NDArray[np.uint8], volume: Volume) -> None:
    """Write masks with the axis order, the shape and the affine of the volume that they segment.

    Args:
        path: The `.nii` or `.nii.gz` file to write.
        masks: (T, H, W) uint8, in the order of `Volume.arrange`.
        volume: The volume that they segment.
    """
    voxels = volume.restore(masks)
    if not volume.path.name.lower().endswith((".nii", ".nii.gz")):
        mask = nibabel.Nifti1Image(voxels, volume.affine)
    else:
        image = load_nifti(volume.path)
        mask = type(image)(voxels.reshape(image.shape), image.affine, image.header)
        mask.header.extensions.clear()  # extensions and text fields may contain the patient's name
        for text in set(mask.header) - {"magic", "regular"}:
            if mask.header[text].dtype.kind == "S":
                mask.header[text] = b""
    mask.set_data_dtype(np.uint8)
    mask.header["cal_min"], mask.header["cal_max"] = 0, 1
    nibabel.save(mask, path)


def slices_affine(volume: Volume) -> NDArray[np.float64]:
    """(4, 4) float64 affine from a volume's (slice, row, column) to RAS+ millimetres.

    If the file has no affine, columns run to the right, rows to posterior and slices to superior.
    """
    slices, rows, columns = volume.axes
    affine = volume.affine
    if affine is None:
        affine = np.diag([volume.spacing[1], -volume.spacing[0], volume.thickness, 1.0])
    reorder = np.zeros((4, 4))
    reorder[[slices, rows, columns, 3], range(4)] = 1
    for axis in volume.flipped:
        reorder[axis] *= -1
        reorder[axis, 3] = volume.shape[volume.axes.index(axis)] - 1
    return affine @ reorder
