"""The same data set, written in each format, gives the same masks in the store, to the pixel."""

from __future__ import annotations

import json

import cv2
import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import apply_orientation, inv_ornt_aff

from _folders import write_frames_avi
from _masks import SIZE, make_image, save_image, save_nifti
from echoseg.datasets.store import prepare
from echoseg.geometry.level_set import mask_contour
from echoseg.ops import fill_polygons

PATIENTS = ("patient0001", "patient0002", "patient0003")


def random_masks(seed: int) -> dict[str, np.ndarray]:
    """Name → mask, of one smooth piece without holes: end-diastole and end-systole of each patient."""
    random = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    masks = {}
    for patient in PATIENTS:
        for phase, size in (("ED", 13.0), ("ES", 9.0)):
            radius = size + random.uniform(-1, 1) + sum(random.normal(0, 0.5) * np.cos(k * angle) for k in (1, 2, 3))
            points = np.stack([24 + 0.8 * radius * np.cos(angle), 20 + radius * np.sin(angle)], axis=1)
            masks[f"{patient}_{phase}"] = fill_polygons(points[None].astype(np.float32), SIZE)[0]
    return masks


def write_pairs(folder, masks, random):
    """PNG, with one of the values that tools write for the structure."""
    value = int(random.choice([1, 255]))
    for name, mask in masks.items():
        save_image(folder / f"images/{name}.png", make_image(mask))
        save_image(folder / f"masks/{name}.png", mask * value)


def write_nnunet(folder, masks, random):
    """NIfTI, with a label named in `dataset.json`; the axes of the masks may be reversed, which their affines say."""
    label = int(random.integers(1, 4))
    for name, mask in masks.items():
        save_nifti(folder / f"imagesTr/{name}_0000.nii.gz", make_image(mask))
        path = save_nifti(folder / f"labelsTr/{name}.nii.gz", mask * label)
        image = nibabel.load(path)
        turns = np.array([[0, random.choice([-1, 1])], [1, random.choice([-1, 1])], [2, 1]])
        values = np.asarray(image.dataobj)[..., None]
        affine = image.affine @ inv_ornt_aff(turns, values.shape)
        nibabel.save(nibabel.Nifti1Image(apply_orientation(values, turns)[..., 0], affine), path)
    labels = {"background": 0, "other": label % 3 + 1, "LV": label}
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))


def write_camus(folder, masks, random):
    """One view of each patient, with the myocardium around the ventricle."""
    for name, mask in masks.items():
        patient, phase = name.split("_")
        wall = cv2.dilate(mask, np.ones((5, 5), np.uint8)) - mask
        stem = folder / "database_nifti" / patient / f"{patient}_4CH_{phase}"
        save_nifti(stem.with_name(f"{stem.name}.nii.gz"), make_image(mask))
        save_nifti(stem.with_name(f"{stem.name}_gt.nii.gz"), mask + 2 * wall)


def write_echonet(folder, masks, random):
    """Videos, with the contours of the masks as points, in one of the dialects of tables."""
    (folder / "Videos").mkdir(parents=True)
    listed, traced = ["FileName"], ["FileName,X,Y,Frame"]
    for patient in PATIENTS:
        pair = [masks[f"{patient}_{phase}"] for phase in ("ED", "ES")]
        write_frames_avi(folder / f"Videos/{patient}.avi", [make_image(mask) for mask in pair])
        listed.append(patient)
        for frame, mask in enumerate(pair):
            traced += [f"{patient}.avi,{x!r},{y!r},{frame}" for x, y in mask_contour(mask).tolist()]
    delimiter = str(random.choice([",", ";", "\t"]))
    (folder / "FileList.csv").write_text("\n".join(listed) + "\n")
    (folder / "VolumeTracings.csv").write_text("\n".join(traced).replace(",", delimiter) + "\n")


FORMATS = {"pairs": write_pairs, "nnU-Net": write_nnunet, "CAMUS": write_camus, "EchoNet": write_echonet}


@pytest.mark.slow
@settings(max_examples=5)
@given(st.integers(0, 2**32 - 1))
def test_every_format_gives_the_same_masks(tmp_path_factory, seed):
    masks, random = random_masks(seed), np.random.default_rng(seed)
    expected = {patient: [masks[f"{patient}_{phase}"] for phase in ("ED", "ES")] for patient in PATIENTS}
    for name, write in FORMATS.items():
        folder = tmp_path_factory.mktemp("rewritten") / name
        write(folder, masks, random)
        store = prepare(folder, folder / "store", size=SIZE)
        assert name == "CAMUS" or not store.faults, name  # CAMUS lacks the other view and the frame numbers
        assert sorted(store.samples["patient"].unique()) == sorted(PATIENTS), name
        for patient, of_patient in store.samples.groupby("patient"):
            drawn = [fill_polygons(store.contour(i)[None], SIZE)[0] for i in of_patient.index]
            drawn.sort(key=lambda mask: -int(mask.sum()))
            np.testing.assert_array_equal(drawn, expected[patient], err_msg=name)
