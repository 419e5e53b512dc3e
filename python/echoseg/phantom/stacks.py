"""Writes synthetic MRI stacks of the left atrium: axial slices through the chest, most of them without the atrium.

The scene consists of ellipsoids and tubes. The other chambers, the pulmonary veins and both aortas are as bright as the
atrium and are seen in slices without it, so that a network must learn on which slices there is nothing to segment. The
anatomy is coarse: the stacks are for trials and tests, not for claims about patients.
"""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from echoseg.utils.files import new_folder

STACKS_VERSION = 1
"""Increased when the same seed gives other stacks."""

_THICKNESS = 6.0  # mm
_BLOOD, _MUSCLE, _TISSUE, _LUNG = 180.0, 85.0, 125.0, 25.0
_CHAMBERS = {  # centre and radii in mm: x to the patient's left, y to the back, z to the head
    "left ventricle": ((28, 5, -32), (23, 22, 36)),
    "right ventricle": ((-18, -20, -28), (28, 20, 32)),
    "right atrium": ((-32, 18, 6), (20, 20, 22)),
}
_ATRIUM = ((12, 34, 12), (25, 16, 18))
_TUBES = {  # both ends and the radius in mm
    "ascending aorta": ((0, 2, 2), (-6, -2, 75), 13),
    "descending aorta": ((26, 68, -80), (22, 66, 80), 11),
    "pulmonary artery": ((14, -14, 8), (8, 20, 50), 12),
    "left veins": ((30, 36, 18), (70, 44, 26), 6),
    "right veins": ((-6, 38, 16), (-52, 46, 22), 6),
}
_LUNGS = (((85, 20, 20), (45, 70, 110)), ((-85, 20, 20), (48, 70, 110)))


def write_phantom_stacks(out: str | Path, *, patients: int = 8, seed: int = 0) -> None:
    """Write stacks with masks of the left atrium, in the layout of the Medical Segmentation Decathlon.

    Args:
        out: The folder to write; it must not exist.
        patients: Number of patients, one stack each. Their slices differ in number and size.
        seed: Random seed; the same seed gives the same data.

    Raises:
        FileExistsError: `out` exists.
    """
    with new_folder(Path(out)) as folder:
        for name in ("imagesTr", "labelsTr"):
            (folder / name).mkdir()
        for number in range(patients):
            image, mask, spacing = _draw_patient(np.random.default_rng([seed, number]))
            affine = np.diag([-spacing, -spacing, _THICKNESS, 1.0])
            for name, voxels in (("imagesTr", image), ("labelsTr", mask)):
                stack = nibabel.Nifti1Image(voxels.transpose(2, 1, 0), affine)
                nibabel.save(stack, folder / name / f"stack{number + 1:02d}.nii.gz")
        description = {
            "name": "synthetic left atrium",
            "modality": {"0": "MRI"},
            "labels": {"0": "background", "1": "left atrium"},
            "numTraining": patients,
        }
        (folder / "dataset.json").write_text(json.dumps(description, indent=1), encoding="utf-8")


def _draw_patient(random: np.random.Generator) -> tuple[NDArray[np.int16], NDArray[np.uint8], float]:
    """Image and mask, (T, H, W) each, and the side of a pixel in mm."""
    slices, height, width = (int(random.integers(*limits)) for limits in ((19, 24), (88, 113), (96, 121)))
    spacing = float(random.uniform(1.6, 2.0))
    z, y, x = np.indices((slices, height, width), dtype=np.float64)
    middle = random.normal(0, 6, 3)  # of the heart, mm
    points = np.stack([x - width / 2, y - height / 2, z - slices / 2], axis=-1) * [spacing, spacing, _THICKNESS]
    angle, scale = random.normal(0, 0.12), random.uniform(0.85, 1.12)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    points = (points - [0, 15, 0] - middle) @ turn / scale

    image = np.full(points.shape[:3], _TISSUE) + gaussian_filter(random.normal(0, 60, points.shape[:3]), 2)
    for lung in _LUNGS:
        image[_ellipsoid(points, *lung, random) < 1] = _LUNG
    chambers = [_ellipsoid(points, *chamber, random) for chamber in _CHAMBERS.values()]
    atrium = _ellipsoid(points, *_ATRIUM, random)
    image[np.minimum.reduce([*chambers, atrium]) < 1.5] = _MUSCLE
    tubes = [_tube(points, *tube, random) for tube in _TUBES.values()]
    for blood in (*chambers, *tubes):
        image[blood < 1] = _BLOOD + random.normal(0, 12)
    mask = (atrium < 1) & (np.minimum.reduce(chambers) >= 1)
    image[mask] = _BLOOD + random.normal(0, 12)

    image = gaussian_filter(image, (0, 0.7, 0.7))
    slope = random.normal(0, 0.15, 2)  # of the coil's sensitivity
    image *= np.exp(slope[0] * (x / width - 0.5) + slope[1] * (y / height - 0.5))
    noise = random.normal(0, 14, (2, *image.shape))
    return np.rint(np.hypot(image + noise[0], noise[1])).astype(np.int16), mask.astype(np.uint8), spacing


def _ellipsoid(points: NDArray, centre: tuple, radii: tuple, random: np.random.Generator) -> NDArray:
    """(T, H, W) below 1 inside an ellipsoid whose place, size and form vary between patients."""
    offsets = (points - centre - random.normal(0, 2.5, 3)) / (np.asarray(radii) * random.uniform(0.85, 1.15, 3))
    waves = random.normal(0, 0.08, (2, 3))
    return np.linalg.norm(offsets, axis=-1) * (1 + np.sin(2 * offsets) @ waves[0] + np.cos(3 * offsets) @ waves[1])


def _tube(points: NDArray, start: tuple, end: tuple, radius: float, random: np.random.Generator) -> NDArray:
    """(T, H, W) below 1 inside a tube with round ends."""
    first, last = np.array([start, end]) + random.normal(0, 2.5, (2, 3))
    along = last - first
    share = ((points - first) @ along / (along @ along)).clip(0, 1)
    nearest = first + share[..., None] * along
    return np.linalg.norm(points - nearest, axis=-1) / (radius * random.uniform(0.85, 1.15))
