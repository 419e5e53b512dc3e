"""Where the ground truth mask of a volume is found, and which of its labels is read."""

from __future__ import annotations

import json

import numpy as np
import pytest

from _masks import ellipse, make_image, save_nifti
from echoseg.errors import DataError
from echoseg.inference.truth import find_truth, is_truth, read_truth

STACK = np.stack([ellipse(radius) for radius in (0.0, 12.0, 16.0)])


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mhd"])
def test_ground_truth_is_found_beside_its_volume(tmp_path, ending):
    names = [f"a{ending}", "a_seg.nii.gz", "b_gt.nii", "c_ED.nii.gz"]
    for name in names:
        (tmp_path / name).touch()
    assert find_truth(tmp_path / names[0]) == tmp_path / "a_seg.nii.gz"
    assert [find_truth(tmp_path / name) for name in names[1:]] == [None] * 3
    assert [is_truth(tmp_path / name) for name in names] == [False, True, False, False]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz"),
        ("imagesTr/a.nii.gz", "labelsTr/a.nii.gz"),
        ("imagesTr/case_0001.nii.gz", "labelsTr/case_0001.nii.gz"),
        ("imagesTs/a_0000.nii", "labelsTs/a.nii.gz"),
        ("images/a.mhd", "masks/a_mask.mhd"),
        ("a.nrrd", "a.seg.nrrd"),
    ],
)
def test_ground_truth_is_found_by_its_name(tmp_path, image, mask):
    for name in (image, mask):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_truth(tmp_path / image) == tmp_path / mask
    assert not is_truth(tmp_path / image)
    assert is_truth(tmp_path / mask)


def test_a_given_folder_is_searched_alone(tmp_path):
    for name in ("here/a.nii.gz", "here/a_gt.nii.gz", "masks/a.nii.gz", "other/labelsTr/a_seg.nii"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    image = tmp_path / "here/a.nii.gz"
    assert find_truth(image, tmp_path / "masks") == tmp_path / "masks/a.nii.gz"
    assert find_truth(image, tmp_path / "other") == tmp_path / "other/labelsTr/a_seg.nii"
    assert find_truth(image, tmp_path / "here") == tmp_path / "here/a_gt.nii.gz"  # not the volume itself
    (tmp_path / "masks/a.nii.gz").unlink()
    assert find_truth(image, tmp_path / "masks") is None


@pytest.mark.slow
def test_the_label_of_the_structure_is_read(tmp_path):
    image = save_nifti(tmp_path / "imagesTr/a_0000.nii.gz", make_image(STACK), thickness=8.0)
    mask = save_nifti(tmp_path / "labelsTr/a.nii.gz", STACK + STACK * (np.arange(48) > 23), thickness=8.0)
    with pytest.raises(DataError, match=r"has 2 labels \(1, 2\)"):
        read_truth(image, mask, "left atrium")
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"wall": 1, "LA": 2}}))
    np.testing.assert_array_equal(read_truth(image, mask, "left atrium"), STACK * (np.arange(48) > 23))
    with pytest.raises(DataError, match="no label is named right atrium"):
        read_truth(image, mask, "right atrium")


@pytest.mark.slow
def test_a_label_without_a_name_is_no_empty_truth(tmp_path):
    image = save_nifti(tmp_path / "a.nii.gz", make_image(STACK), thickness=8.0)
    mask = save_nifti(tmp_path / "a_gt.nii.gz", STACK * 255, thickness=8.0)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"LV": 1, "MYO": 2}}))
    with pytest.raises(DataError, match=r"a_gt\.nii\.gz: has no pixel of label 1, only of 255"):
        read_truth(image, mask)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"LV": 1, "MYO": 255}}))
    assert not read_truth(image, mask).any()
