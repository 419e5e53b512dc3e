"""Masks of other tools: found by name, in every format, and brought to the original frames."""

from __future__ import annotations

import json
import shutil

import cv2
import nibabel
import numpy as np
import pytest
from PIL import Image

from _folders import write_folder
from _masks import SIZE, STACK, ellipse, make_image, save_image, save_nifti
from echoseg.datasets.store import prepare
from echoseg.errors import DataError
from echoseg.evaluation.comparison_cases import Cases
from echoseg.evaluation.mask_folder import MaskFolder


def cases_of(folder, size=SIZE):
    """All traced images of a data set."""
    store = prepare(folder, size=size)
    indices = np.flatnonzero(~store.blank)
    return Cases(store, indices, store.samples.iloc[indices].reset_index(drop=True))


@pytest.fixture
def videos(tmp_path):
    return cases_of(write_folder(tmp_path / "data", ("a", "b")))


@pytest.fixture
def stacks(tmp_path):
    """A stack of four slices, of which the first one is blank."""
    save_nifti(tmp_path / "data" / "p1.nii.gz", make_image(STACK), thickness=8.0)
    save_nifti(tmp_path / "data" / "p1_gt.nii.gz", STACK, thickness=8.0)
    return cases_of(tmp_path / "data")


def masks_of(cases):
    """Another mask for each frame of each video, (T, H, W)."""
    return {name: np.stack([ellipse(5 + i + 8 * k) for i in range(8)]) for k, name in enumerate("ab")}


def check(folder, cases, masks):
    found = MaskFolder(folder, cases)
    for number, row in cases.table.iterrows():
        mask = found.read(number)
        assert mask.flags.c_contiguous
        np.testing.assert_array_equal(mask, masks[row["video"]][row["frame"]])
    return found


def write_frames(folder, masks, value=255):
    for name, frames in masks.items():
        for t, frame in enumerate(frames):
            save_image(folder / f"{name}_frame{t:04d}.png", value * frame)


@pytest.mark.parametrize("value", [1, 255])
def test_a_file_for_each_frame(videos, tmp_path, value):
    write_frames(tmp_path / "masks" / "png", masks_of(videos), value)
    write_frames(tmp_path / "masks" / "overlays", masks_of(videos), value)  # beside the masks, and no masks
    check(tmp_path / "masks", videos, masks_of(videos))


def test_a_file_for_each_video(videos, tmp_path):
    for name, frames in masks_of(videos).items():
        (tmp_path / "own" / name).mkdir(parents=True)
        assert cv2.imwritemulti(str(tmp_path / "own" / name / "masks.tif"), list(255 * frames))
        save_nifti(tmp_path / "volumes" / f"{name}.nii.gz", frames)
    check(tmp_path / "own", videos, masks_of(videos))
    check(tmp_path / "volumes", videos, masks_of(videos))


def test_volumes_are_turned_as_their_image(stacks, tmp_path):
    masks = {"p1": STACK[::-1].copy()}
    save_nifti(tmp_path / "masks" / "p1.nii.gz", masks["p1"], thickness=8.0)
    check(tmp_path / "masks", stacks, masks)
    volume = nibabel.load(tmp_path / "masks" / "p1.nii.gz")
    turned = volume.as_reoriented(nibabel.io_orientation(np.diag([1.0, 1, -1, 1])))
    nibabel.save(turned, tmp_path / "masks" / "p1.nii.gz")
    check(tmp_path / "masks", stacks, masks)


def test_the_mask_of_an_image_has_its_name(tmp_path):
    save_image(tmp_path / "data" / "images" / "p1_frame03.png", make_image(ellipse(12)))
    save_image(tmp_path / "data" / "masks" / "p1_frame03.png", ellipse(12))
    cases = cases_of(tmp_path / "data")
    save_image(tmp_path / "masks" / "p1_frame03.png", ellipse(9))
    check(tmp_path / "masks", cases, {"p1_frame03": [ellipse(9)]})


def test_images_with_one_name_in_several_folders_have_masks_of_their_own(tmp_path):
    masks = {f"{patient}_ED": [ellipse(radius)] for patient, radius in (("p1", 12), ("p2", 6))}
    for name, (mask,) in masks.items():
        save_image(tmp_path / "data" / name[:2] / "ED.png", make_image(mask))
        save_image(tmp_path / "data" / name[:2] / "ED_gt.png", mask)
        save_image(tmp_path / "by folder" / name[:2] / "ED.png", mask)
        save_image(tmp_path / "by name" / f"{name}.png", mask)
    cases = cases_of(tmp_path / "data")
    check(tmp_path / "by folder", cases, masks)
    check(tmp_path / "by name", cases, masks)
    shutil.rmtree(tmp_path / "by folder" / "p2")
    with pytest.raises(DataError, match=r"no mask for 1 of 2 images \(p2_ED frame 0\).*in the folders of the data set"):
        MaskFolder(tmp_path / "by folder", cases)
    (tmp_path / "by folder" / "p1").rename(tmp_path / "by folder" / "another")
    with pytest.raises(DataError, match="no mask for 2 of 2 images"):  # ED.png may be of either patient
        MaskFolder(tmp_path / "by folder", cases)


def test_a_description_says_which_label_is_the_structure(videos, tmp_path):
    masks = masks_of(videos)
    for name, frames in masks.items():
        labels = np.where(frames > 0, 2, 1).astype(np.uint8)
        save_nifti(tmp_path / "masks" / f"{name}.nii.gz", labels)
    with pytest.raises(DataError, match=r"a\.nii\.gz: has 2 labels"):
        MaskFolder(tmp_path / "masks", videos).read(0)
    description = {"labels": {"background": 0, "wall": 1, "LV": 2}}
    (tmp_path / "masks" / "dataset.json").write_text(json.dumps(description))
    check(tmp_path / "masks", videos, masks)


def test_the_description_that_an_error_asks_for_is_read_whatever_the_depth_of_the_folders(videos, tmp_path):
    masks = masks_of(videos)
    for name, frames in masks.items():
        write_frames(tmp_path / "masks" / "A4C" / "Videos", {name: np.where(frames > 0, 2, 1).astype(np.uint8)}, 1)
    with pytest.raises(DataError, match=r'masks/dataset\.json, for example \{"labels": \{"LV": 1\}\}$'):
        MaskFolder(tmp_path / "masks", videos)
    describe(tmp_path / "masks", wall=1, LV=2)
    check(tmp_path / "masks", videos, masks)


def describe(folder, **labels):
    (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, **labels}}))


@pytest.mark.parametrize("values", [(255,), (64, 128, 192)])
def test_values_that_the_description_of_the_data_does_not_name_are_no_empty_masks(videos, tmp_path, values):
    masks = masks_of(videos)
    folder = tmp_path / "data" / "masks"
    for name, frames in masks.items():
        for t, frame in enumerate(frames):
            drawn = frame * np.uint8(values[-1])
            for i, value in enumerate(values[:-1]):
                drawn[:8, 10 * i : 10 * i + 8] = value
            save_image(folder / f"{name}_frame{t:04d}.png", drawn)
    describe(tmp_path / "data", LV=1, MYO=2)
    with pytest.raises(
        DataError,
        match=r"a_frame0002\.png: has no pixel of label 1, only of [\d, ]+, and the dataset\.json of these masks names "
        r'0, 1, 2; name all .* in .*masks/dataset\.json, for example \{"labels": \{"left ventricle": \d+\}\}',
    ):
        MaskFolder(folder, videos)
    describe(folder, LV=values[-1], **{f"other {value}": value for value in values[:-1]})
    check(folder, videos, masks)


def test_values_are_decided_for_all_masks_together(videos, tmp_path):
    """Frame 5 of each video shows only the first of two labels, which are scaled to 8 bits."""
    masks = masks_of(videos)
    for name, frames in masks.items():
        labels = np.where(frames > 0, 128, 0).astype(np.uint8)
        labels[2, :3] = 255
        for t, frame in enumerate(labels):
            save_image(tmp_path / "masks" / f"{name}_frame{t:04d}.png", frame)
    describe(tmp_path / "masks", LV=1, LA=2)
    assert check(tmp_path / "masks", videos, masks).notes == ("labels are scaled: 128 for 1, 255 for 2",)


def test_a_mask_of_another_structure_is_empty_if_that_has_a_name(videos, tmp_path):
    masks = masks_of(videos)
    write_frames(tmp_path / "masks", {"a": masks["a"]}, 2)
    write_frames(tmp_path / "masks", {"b": masks["b"]}, 1)
    describe(tmp_path / "masks", LV=1)
    with pytest.raises(DataError, match=r"a_frame0002\.png: has no pixel of label 1, only of 2"):
        MaskFolder(tmp_path / "masks", videos)
    describe(tmp_path / "masks", LV=1, LA=2)
    check(tmp_path / "masks", videos, masks | {"a": 0 * masks["a"]})


def test_masks_with_different_labels_need_a_description(videos, tmp_path):
    write_frames(tmp_path / "masks", masks_of(videos), 1)
    write_frames(tmp_path / "masks", {"b": masks_of(videos)["b"]}, 2)
    with pytest.raises(DataError, match=r"masks: masks have different labels \(1 in 2 masks .*; 2 in 2 masks"):
        MaskFolder(tmp_path / "masks", videos)


@pytest.mark.parametrize("scale", [0.1, 100])
def test_probabilities_are_refused(videos, tmp_path, scale):
    """The threshold is the tool's: half of the largest value is none."""
    for name, frames in masks_of(videos).items():
        values = np.stack([cv2.GaussianBlur(scale * frame.astype(np.float32), (0, 0), 2.0) for frame in frames])
        save_nifti(tmp_path / "masks" / f"{name}.nii.gz", values.astype(np.uint8) if scale > 1 else values)
    with pytest.raises(DataError, match=r"a\.nii\.gz: has soft edges or probabilities; cut them at the threshold"):
        MaskFolder(tmp_path / "masks", videos)


def test_the_first_colour_of_a_palette_may_be_inside(videos, tmp_path):
    masks = masks_of(videos)
    for name, frames in masks.items():
        for frame, mask in enumerate(frames):
            image = Image.fromarray((mask == 0).astype(np.uint8))
            image.putpalette([255, 255, 255, 0, 0, 0])
            path = tmp_path / "masks" / f"{name}_frame{frame:04d}.png"
            path.parent.mkdir(exist_ok=True)
            image.save(path)
    check(tmp_path / "masks", videos, masks)


def test_a_description_may_name_colours_of_palettes(videos, tmp_path):
    masks = masks_of(videos)
    for name, frames in masks.items():
        for frame, mask in enumerate(frames):
            image = Image.fromarray((mask > 0).astype(np.uint8))
            image.putpalette([0, 0, 0, 255, 0, 0])
            path = tmp_path / "masks" / f"{name}_frame{frame:04d}.png"
            path.parent.mkdir(exist_ok=True)
            image.save(path)
    (tmp_path / "masks" / "dataset.json").write_text(json.dumps({"labels": {"LV": "#ff0000"}}))
    check(tmp_path / "masks", videos, masks)


def test_masks_of_any_shape_are_read(videos, tmp_path):
    """A poor prediction is no reason to refuse it, as an impossible tracing is."""
    masks = {name: np.ones((8, *SIZE), np.uint8) for name in "ab"}
    masks["b"][:] = 0
    write_frames(tmp_path / "masks", masks)
    check(tmp_path / "masks", videos, masks)


def test_masks_of_the_size_of_the_store_are_resized(tmp_path):
    cases = cases_of(write_folder(tmp_path / "data", ("a", "b")), size=(80, 96))
    write_frames(tmp_path / "masks", {name: [ellipse(20, (80, 96))] * 8 for name in "ab"})
    found = MaskFolder(tmp_path / "masks", cases)
    mask = found.read(0)
    assert mask.shape == SIZE
    assert 2 * (mask & ellipse(10)).sum() / (mask.sum() + ellipse(10).sum()) > 0.97


def test_what_is_missing_or_does_not_fit_is_named(videos, tmp_path):
    folder = tmp_path / "masks"
    with pytest.raises(DataError, match="no such folder"):
        MaskFolder(folder, videos)
    write_frames(folder, {"a": masks_of(videos)["a"]})
    with pytest.raises(DataError, match=r"no mask for 2 of 4 images \(b frame 2, b frame 5\)"):
        MaskFolder(folder, videos)
    shutil.rmtree(folder)
    for name, frames in masks_of(videos).items():
        save_nifti(folder / f"{name}.nii.gz", frames[:4])
    with pytest.raises(DataError, match=r"a\.nii\.gz: has 4 frames, but frame 5 is needed"):
        MaskFolder(folder, videos).read(1)
    save_nifti(folder / "again" / "a.nii.gz", masks_of(videos)["a"])
    with pytest.raises(DataError, match=r"are both masks of a; keep one"):
        MaskFolder(folder, videos)
    shutil.rmtree(folder)
    write_frames(folder, {name: [ellipse(5, (20, 20))] * 8 for name in "ab"})
    with pytest.raises(DataError, match=r"a_frame0002\.png: is 20×20, its image 48×40"):
        MaskFolder(folder, videos).read(0)
