"""Folders with pairs of image and mask files."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from _masks import STACK, check_stack, drawn, ellipse, make_image, save_image, save_nifti
from echoseg.datasets.formats import read_dataset
from echoseg.datasets.masks import parse_stem
from echoseg.datasets.store import prepare
from echoseg.errors import DataError
from echoseg.io.reading import read_clip


def test_nifti_pairs_in_one_folder_are_read(tmp_path):
    for phase in ("ED", "ES"):
        save_nifti(tmp_path / f"p-1_{phase}.nii.gz", make_image(STACK), thickness=8.0)
        save_nifti(tmp_path / f"p-1_{phase}_gt.nii.gz", STACK * 2, thickness=8.0)
    dataset = read_dataset(tmp_path)
    assert dataset.faults == ()
    assert [(recording.name, recording.patient, recording.tracings[0].phase) for recording in dataset.recordings] == [
        ("p-1_ED", "p-1", "ED"),
        ("p-1_ES", "p-1", "ES"),
    ]
    for recording in dataset.recordings:
        check_stack(recording)
    store = prepare(tmp_path, size=(80, 96))
    assert store.blank.tolist() == [True, False, False, False] * 2
    assert store.manifest["empty"] == 0
    assert list(store.samples["phase"]) == ["ED"] * 4 + ["ES"] * 4  # by name, not by area
    assert set(store.samples["thickness"]) == {8.0}
    assert set(store.samples["spacing_y"]) == {0.25}


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{}.png", "{}_mask.png"),
        ("images/{}.png", "masks/{}.png"),
        ("images/{}.jpg", "masks/{}_mask.png"),
        ("Image/{}.bmp", "Label/{}.tif"),
        ("{}.png", "gt/{}.png"),
        ("{}.png", "{}_seg.jpg"),
    ],
)
def test_pairs_of_images_are_read(tmp_path, image, mask):
    shapes = {"p1_slice1": ellipse(12.0), "p1_slice2": ellipse(16.0, (50, 60)), "p2": ellipse(15.0)}
    for name, shape in shapes.items():
        save_image(tmp_path / image.format(name), make_image(shape))
        save_image(tmp_path / mask.format(name), shape * 255)
    dataset = read_dataset(tmp_path)
    assert dataset.faults == ()
    assert [(recording.name, recording.patient) for recording in dataset.recordings] == [
        ("p1_slice1", "p1"),
        ("p1_slice2", "p1"),
        ("p2", "p2"),
    ]
    for recording in dataset.recordings:
        shape = shapes[recording.name]
        np.testing.assert_array_equal(drawn(recording, shape.shape)[0], shape)
        assert math.isnan(recording.spacing[0])
    assert len(prepare(tmp_path)) == 3


@pytest.mark.parametrize(
    ("image", "mask"),
    [("{}.nii", "{}.seg.nii"), ("images/{}.nii", "masks/{}.seg.nii"), ("images/{}.nii", "masks/{}.Segmentation.nii")],
)
def test_a_dot_may_stand_before_the_mark_of_a_mask(tmp_path, image, mask):
    """As 3D Slicer names the segmentation of a volume."""
    for name in ("p1", "p2"):
        save_nifti(tmp_path / image.format(name), make_image(STACK), thickness=8.0)
        save_nifti(tmp_path / mask.format(name), STACK, thickness=8.0)
    save_nifti(tmp_path / image.format("p3 xseg"), make_image(STACK), thickness=8.0)  # an image, whatever precedes it
    dataset = read_dataset(tmp_path)
    assert [recording.name for recording in dataset.recordings] == ["p1", "p2"]
    assert [fault.reason for fault in dataset.faults] == ["has no mask"]
    for recording in dataset.recordings:
        check_stack(recording)


def test_a_folder_per_patient_is_read(tmp_path):
    for patient in ("anna", "bert"):
        for name in ("1", "2"):
            save_image(tmp_path / patient / f"{name}.png", make_image(ellipse(12.0)))
            save_image(tmp_path / patient / f"{name}_mask.png", ellipse(12.0))
    dataset = read_dataset(tmp_path)
    assert [(recording.name, recording.patient) for recording in dataset.recordings] == [
        ("anna_1", "anna"),
        ("anna_2", "anna"),
        ("bert_1", "bert"),
        ("bert_2", "bert"),
    ]


def test_folders_named_train_val_and_test_are_splits(tmp_path):
    for split in ("train", "val", "test"):
        save_image(tmp_path / split / "images/1.png", make_image(ellipse(12.0)))
        save_image(tmp_path / split / "masks/1.png", ellipse(12.0))
    dataset = read_dataset(tmp_path)
    assert {recording.patient: recording.split for recording in dataset.recordings} == {
        "train_1": "train",
        "val_1": "val",
        "test_1": "test",
    }


def test_unpaired_files_are_reported(tmp_path):
    for name in ("a", "b", "c"):
        save_image(tmp_path / f"{name}.png", make_image(ellipse(12.0)))
    for name in ("a_mask", "d_mask", "c_mask", "c_gt"):
        save_image(tmp_path / f"{name}.png", ellipse(12.0))
    dataset = read_dataset(tmp_path)
    assert [recording.name for recording in dataset.recordings] == ["a"]
    assert [str(fault) for fault in dataset.faults] == [
        "b.png: has no mask",
        "c.png: matches several files (c_gt.png, c_mask.png); keep one",
        "d_mask.png: is a mask without an image",
    ]


def test_videos_and_dicom_files_among_pairs_are_named(tmp_path):
    save_image(tmp_path / "a.png", make_image(ellipse(12.0)))
    save_image(tmp_path / "a_mask.png", ellipse(12.0))
    (tmp_path / "b.dcm").write_bytes(b"")
    (fault,) = read_dataset(tmp_path).faults
    assert str(fault) == (
        "b.dcm: is a video or DICOM file, which is not read in this format; save its frames as PNG or .nii.gz"
    )


@pytest.mark.parametrize("folder", ["images", "masks"])
def test_several_pages_of_a_pair_are_named(tmp_path, folder):
    for name in ("a", "b"):
        save_image(tmp_path / f"images/{name}.tif", make_image(ellipse(12.0)))
        save_image(tmp_path / f"masks/{name}.tif", ellipse(12.0))
    page = Image.fromarray(ellipse(12.0))
    page.save(tmp_path / folder / "a.tif", save_all=True, append_images=[page, page])
    (fault,) = read_dataset(tmp_path).faults
    numbers = (1, 3) if folder == "images" else (3, 1)
    assert str(fault) == "masks/a.tif: has {} pages, its image {}; give both the same number".format(*numbers)


def test_a_turned_image_and_its_mask_are_both_read_as_stored(tmp_path):
    image = Image.fromarray(make_image(ellipse(12.0)))
    exif = image.getexif()
    exif[274] = 3
    (tmp_path / "images").mkdir()
    image.save(tmp_path / "images/p0.png", exif=exif)
    save_image(tmp_path / "masks/p0.png", ellipse(12.0))
    dataset = read_dataset(tmp_path)
    (note,) = dataset.notes
    assert note.startswith("images/p0.png: the pixels are read as stored")
    (recording,) = dataset.recordings
    np.testing.assert_array_equal(read_clip(recording.path).frames[0], make_image(ellipse(12.0)))
    np.testing.assert_array_equal(drawn(recording)[0], ellipse(12.0))


def test_several_labels_need_a_description(tmp_path):
    save_image(tmp_path / "a.png", make_image(ellipse(12.0)))
    labels = np.where(ellipse(12.0) > 0, 3, ellipse(16.0)).astype(np.uint8)
    save_image(tmp_path / "a_mask.png", labels)
    with pytest.raises(DataError, match=r'a_mask\.png: has 2 labels \(1, 3\); .*dataset\.json.*"LV"'):
        read_dataset(tmp_path)
    (tmp_path / "dataset.json").write_text('{"labels": {"muscle": 1, "LV": 3}}')
    (recording,) = read_dataset(tmp_path).recordings
    np.testing.assert_array_equal(drawn(recording)[0], ellipse(12.0))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: save_image(path, ellipse(12.0, (20, 20))), "is 20×20, its image 48×40"),
        (lambda path: save_image(path, ellipse(0.0)), "is empty"),
        (lambda path: path.write_bytes(b"no"), "cannot be opened as an image"),
        (lambda path: save_nifti(path.rename(path.with_name("a_mask.nii")), ellipse(9.0)), "has another file type"),
    ],
)
def test_an_unusable_mask_is_reported(tmp_path, damage, reason):
    for name in ("a", "b"):
        save_image(tmp_path / f"{name}.png", make_image(ellipse(12.0)))
        save_image(tmp_path / f"{name}_mask.png", ellipse(12.0))
    damage(tmp_path / "a_mask.png")
    dataset = read_dataset(tmp_path)
    (fault,) = dataset.faults
    assert reason in fault.reason
    assert [recording.name for recording in dataset.recordings] == ["b"]


def test_an_empty_mask_is_a_blank_only_where_the_image_is_a_slice(tmp_path):
    for name, radius in (("p_slice1", 0.0), ("p_slice2", 12.0), ("q_frame1", 0.0), ("q_frame2", 12.0)):
        save_image(tmp_path / f"{name}.png", make_image(ellipse(12.0)))
        save_image(tmp_path / f"{name}_mask.png", ellipse(radius))
    dataset = read_dataset(tmp_path)
    assert [(item.name, len(item.tracings[0].coordinates) > 0) for item in dataset.recordings] == [
        ("p_slice1", False),
        ("p_slice2", True),
        ("q_frame2", True),
    ]
    assert [fault.file for fault in dataset.faults] == ["q_frame1_mask.png"]


@pytest.mark.parametrize("name", ["a_sequence", "undeclared"])
def test_empty_frames_of_a_sequence_are_left_out(tmp_path, name):
    radii = (12.0, 0.0, 11.0, 0.0, 9.0, 10.0) if name == "a_sequence" else (12.0, 0.0, 0.0, 9.0, 0.0, 0.0)
    frames = np.stack([ellipse(radius) for radius in radii])
    save_nifti(tmp_path / f"{name}.nii.gz", make_image(frames))
    save_nifti(tmp_path / f"{name}_gt.nii.gz", frames)
    dataset = read_dataset(tmp_path)
    traced = [frame for frame, radius in enumerate(radii) if radius]
    assert [tracing.frame for tracing in dataset.recordings[0].tracings] == traced
    assert dataset.empty == len(radii) - len(traced)


def test_slices_that_are_all_blank_are_refused(tmp_path):
    save_image(tmp_path / "p_slice1.png", make_image(ellipse(12.0)))
    save_image(tmp_path / "p_slice1_mask.png", ellipse(0.0))
    with pytest.raises(DataError, match="nothing usable"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("stem", "phase", "view"),
    [
        ("patient1ED", "ED", ""),
        ("001es", "ES", ""),
        ("patient1A4C", "", "A4C"),
        ("p12ch", "", "A2C"),
        ("p1A2CED", "ED", "A2C"),
        ("patient01ES1", "ES", ""),
        ("pat1EDframe3", "ED", ""),
        ("pat1ED3_4CH", "ED", "A4C"),
        ("001ed5", "", ""),
        ("0X1ED5", "", ""),
        ("1a4c", "", ""),
        ("1b9d6bcd-12ed-1a4c-9b5d-112233445566", "", ""),
        ("RED1", "", ""),
        ("SPEED2", "", ""),
        ("case2used", "", ""),
    ],
)
def test_phase_and_view_may_be_attached_to_a_number_but_words_and_hashes_stay_whole(stem, phase, view):
    assert parse_stem(stem)[1:] == (phase, view)


def test_an_empty_mask_of_an_attached_slice_is_a_blank(tmp_path):
    for number, radius in enumerate((12.0, 0.0)):
        save_image(tmp_path / f"p07slice{number}.png", make_image(ellipse(12.0)))
        save_image(tmp_path / f"p07slice{number}_mask.png", ellipse(radius))
    dataset = read_dataset(tmp_path)
    assert dataset.faults == ()
    assert [len(recording.tracings[0].coordinates) > 0 for recording in dataset.recordings] == [True, False]


@given(
    patient=st.from_regex(r"[A-Za-z]{2,5}[0-9]{1,3}", fullmatch=True),
    view=st.sampled_from(["", "_2CH", "_4ch"]),
    phase=st.sampled_from(["", "_ED", "-es"]),
    number=st.sampled_from(["", "_frame03", "_slice-7", "_t12"]),
)
def test_patient_phase_and_view_are_parsed_from_names(patient, view, phase, number):
    parsed = parse_stem(patient + view + phase + number)
    assert parsed == (patient, phase[1:].upper(), {"": "", "_2CH": "A2C", "_4ch": "A4C"}[view])
