"""Spacing and affine of a NIfTI header, whose fields may contradict each other.

As in nibabel and ITK, the sform decides before the qform, and both before `pixdim`. Each contradiction becomes a note.

Source: https://nifti.nimh.nih.gov/nifti-1/documentation/nifti1fields/nifti1fields_pages/qsform.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

_TOLERANCE = 0.01  # relative difference of two spacings that are the same number, rounded
_MAX_SHIFT = 0.25  # of the smallest spacing, between two affines that are the same, rounded


def header_affine(header: Any) -> tuple[NDArray[np.float64] | None, str]:
    """The affine of a NIfTI header, in its own unit, and a note; None if the header has no usable affine."""
    found: dict[str, NDArray[np.float64]] = {}
    unusable = ""
    for name, read in (("sform", header.get_sform), ("qform", header.get_qform)):
        if int(header[f"{name}_code"]) <= 0:
            continue
        try:
            affine = np.array(read(), dtype=np.float64)
        except (HeaderDataError, ValueError, OverflowError):
            affine = np.full((4, 4), np.nan)
        if np.isfinite(affine).all() and affine[:3, :2].any(axis=0).all():
            found[name] = affine
        else:
            unusable = f"the {name} of the header is invalid and is not used"
    if not found:
        return None, unusable
    name, affine = next(iter(found.items()))
    if len(found) == 2 and corner_distance(found["sform"], found["qform"], header.get_data_shape()) > 1:
        return affine, "the sform and the qform of the header differ; the sform is used"
    return affine, unusable


def corner_distance(first: NDArray[np.float64], second: NDArray[np.float64], shape: Sequence[int]) -> float:
    """The largest distance between the corner voxels of two affines; up to 1, they differ by rounding only.

    Args:
        first: (4, 4), from voxels to mm.
        second: (4, 4), the same.
        shape: The sizes of the axes; those beyond the third are ignored.
    """
    sides = [side - 1 for side in (*shape, 1, 1)[:3]]
    corners = np.array(np.meshgrid(*[(0, side) for side in sides])).reshape(3, -1)
    shifts = (first - second)[:3, :3] @ corners + (first - second)[:3, 3:]
    lengths = np.linalg.norm(first[:3, :3], axis=0)
    return float(np.linalg.norm(shifts, axis=0).max() / (_MAX_SHIFT * lengths[lengths > 0].min(initial=np.inf)))


def affine_zooms(affine: NDArray[np.float64] | None, zooms: tuple[float, ...]) -> tuple[float, ...]:
    """The spacings along the axes of a file: those of the affine; of `pixdim` where the affine has none."""
    if affine is None:
        return zooms
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    return (*(float(a) if a > 0 else zoom for a, zoom in zip(lengths, zooms, strict=False)), *zooms[3:])


def contradiction(sides: Sequence[float], pixdim: Sequence[float]) -> str:
    """A note if the spacings of an affine are not those of `pixdim`; "" if they agree or `pixdim` is empty."""
    if all(zoom <= 0 for zoom in pixdim) or np.allclose(sides, pixdim, rtol=_TOLERANCE, atol=0):
        return ""
    return f"pixdim says {format_sides(pixdim)} mm, the affine {format_sides(sides)} mm; the affine is used"


def same_sides(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether spacings differ by rounding only."""
    return bool(np.allclose(first, second, rtol=_TOLERANCE, atol=0, equal_nan=True))


def format_sides(sides: Sequence[float]) -> str:
    """Spacings in mm, such as "1.4×1.4×8"."""
    return "×".join(f"{side:.4g}" for side in sides)
