"""Writes masks as a NIfTI file: those of a volume over that volume, and those of any other clip with its spacing."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from echoseg.io.clip import Clip
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


def write_clip_mask(path: Path, masks: NDArray[np.uint8], clip: Clip) -> None:
    """Write masks of a clip that is no volume, with its pixel spacing and frame time where they are known.

    The axes are column, row, slice and time. A film has one slice, and a single image one time point. The header has no
    orientation, since frames have none.

    Args:
        path: The `.nii` or `.nii.gz` file to write.
        masks: (T, H, W) uint8, 0 or 1.
        clip: The clip that they segment.
    """
    is_stack = np.isfinite(clip.thickness)
    slices = len(masks) // clip.time_points if is_stack else 1
    voxels = masks.reshape(-1, slices, *masks.shape[1:]).transpose(3, 2, 1, 0)
    mask = nibabel.Nifti1Image(np.ascontiguousarray(voxels), None)
    has_spacing, has_rate = bool(np.isfinite(clip.spacing).all()), bool(np.isfinite(clip.fps))
    sides = (clip.spacing[1], clip.spacing[0], clip.thickness if is_stack else 1.0) if has_spacing else (1.0, 1.0, 1.0)
    mask.header.set_zooms((*sides, 1 / clip.fps if has_rate else 1.0))
    mask.header.set_xyzt_units("mm" if has_spacing else "unknown", "sec" if has_rate else "unknown")
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
