"""A synthetic data set of left atria in MRI: stacks with three labels, in the layout of nnU-Net."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from _masks import save_nifti

LABELS = {"background": 0, "left atrium": 1, "pulmonary veins": 2, "appendage": 3}
SPACING, THICKNESS = (2.0, 2.0), 5.0  # mm


def write_atria(folder: Path, patients: int = 8) -> dict[str, float]:
    """Write stacks of different sizes, whose first and last slice show no atrium.

    Args:
        folder: The folder; `imagesTr/` and `labelsTr/` are made if they are missing.
        patients: The number of patients.

    Returns:
        The volume of the atrium in ml by patient.
    """
    rng = np.random.default_rng(0)
    volumes = {}
    for number in range(patients):
        slices, height, width = 6 + number % 3, 40 + 4 * (number % 4), 56 - 4 * (number % 3)
        z, y, x = np.ogrid[:slices, :height, :width]
        row, column = height / 2 + rng.uniform(-3, 3), width / 2 + rng.uniform(-3, 3)
        depth = 1 - ((z - (slices - 1) / 2) / (slices / 2 - 1)) ** 2  # 0 in the first and in the last slice
        radius = rng.uniform(9, 12)
        body = np.hypot(y - row, (x - column) / 1.2) < radius * np.sqrt(np.maximum(depth, 0))
        veins = (np.abs(y - row) < 2) & (np.abs(x - column) < 1.2 * radius + 5) & (depth > 0) & ~body
        appendage = (np.hypot(y - row + radius, x - column) < 3) & (depth > 0) & ~body & ~veins
        labels = np.uint8(body + 2 * veins + 3 * appendage)
        image = 60 + 110 * (labels > 0) + 20 * (labels == 1) + rng.normal(0, 8, labels.shape)
        name = f"atrium{number}"
        save_nifti(
            folder / f"imagesTr/{name}_0000.nii.gz", image.astype(np.int16), thickness=THICKNESS, spacing=SPACING
        )
        save_nifti(folder / f"labelsTr/{name}.nii.gz", labels, thickness=THICKNESS, spacing=SPACING)
        volumes[name] = float(body.sum() * SPACING[0] * SPACING[1] * THICKNESS / 1000)
    (folder / "dataset.json").write_text(json.dumps({"labels": LABELS, "file_ending": ".nii.gz"}))
    return volumes
