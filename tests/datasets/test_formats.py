"""Data sets with masks in all supported formats, read by `read_dataset`."""

from __future__ import annotations

import json
import shutil

import nibabel
import numpy as np
import pytest

from _folders import SUNNYBROOK, edit_lines, write_folder, write_points_folder
from _masks import STACK, check_stack, drawn, ellipse, make_image, save_image, save_nifti
from echoseg.datasets.decathlon import read_label
from echoseg.datasets.formats import FORMATS, read_dataset
from echoseg.datasets.store import prepare
from echoseg.errors import DataError
from echoseg.geometry.contour import contour_area
from echoseg.io.reading import read_clip

# nnU-Net and Medical Segmentation Decathlon


def write_decathlon(folder, labels, *, cases=("a", "b"), channel="", mask=STACK, suffix=".nii.gz"):
    for case in cases:
        save_nifti(folder / f"imagesTr/{case}{channel}{suffix}", make_image(mask), thickness=8.0)
        save_nifti(folder / f"labelsTr/{case}{suffix}", mask, thickness=8.0)
    (folder / "dataset.json").write_text(json.dumps({"labels": labels, "file_ending": suffix}))
    return folder


@pytest.mark.parametrize("channel", ["", "_0000"])
def test_stacks_of_nnunet_are_read(tmp_path, channel):
    labels = {"background": 0, "RV": 2, "LV": 1}
    folder = write_decathlon(tmp_path, labels, cases=("p1_frame01", "p1_frame12", "p2_ES"), channel=channel)
    save_nifti(folder / "imagesTs/c_0000.nii.gz", make_image(STACK))
    (folder / "imagesTr/._a_0000.nii.gz").write_bytes(b"a file that macOS writes")
    dataset = read_dataset(folder)
    assert dataset.faults == ()
    assert dataset.empty == 0
    assert [(recording.name, recording.patient) for recording in dataset.recordings] == [
        ("p1_frame01", "p1"),
        ("p1_frame12", "p1"),
        ("p2_ES", "p2"),
    ]
    assert dataset.recordings[2].tracings[0].phase == "ES"
    for recording in dataset.recordings:
        check_stack(recording)


def test_the_first_of_several_channels_is_read(tmp_path):
    folder = write_decathlon(tmp_path, {"background": 0, "LV": 1}, channel="_0000")
    save_nifti(folder / "imagesTr/a_0001.nii.gz", np.zeros_like(STACK))
    dataset = read_dataset(folder)
    assert dataset.faults == ()
    assert [recording.path.name for recording in dataset.recordings] == ["a_0000.nii.gz", "b_0000.nii.gz"]


def test_a_number_at_the_end_is_a_channel_only_where_the_mask_lacks_it(tmp_path):
    folder = write_decathlon(tmp_path, {"background": 0, "LV": 1}, cases=("slice_0002",))
    for number in (1, 3):
        save_nifti(folder / f"imagesTr/slice_000{number}.nii.gz", np.zeros_like(STACK))
    faults = [str(fault) for fault in read_dataset(folder).faults]
    assert faults == [f"imagesTr/slice_000{number}.nii.gz: has no mask in labelsTr" for number in (1, 3)]


def test_the_label_is_chosen_by_name(tmp_path):
    mask = STACK.copy()
    mask[:, :, 24:] *= 3
    folder = write_decathlon(tmp_path, {"background": 0, "MYO": 2, "LV cavity": 3, "RV": 1}, mask=mask, cases=("a",))
    check_stack(read_dataset(folder).recordings[0], mask == 3)


LABELS = {
    "decathlon": ({"0": "background", "1": "left ventricle", "2": "myocardium"}, (1,)),
    "nnU-Net": ({"background": 0, "Left_Ventricle": 1, "LA": 2}, (1,)),
    "the only one": ({"0": "background", "1": "left atrium"}, (1,)),
    "region": ({"background": 0, "LV": [1, 2], "RV": 3}, (1, 2)),
    "ACDC": ({"background": 0, "RV": 1, "MLV": 2, "LVC": 3}, (3,)),
    "ignore": ({"background": 0, "LV blood pool": 4, "LV myocardium": 5, "ignore": 6}, (4,)),
    "endocardium": ({"background": 0, "left ventricular endocardium": 1, "left ventricle epicardium": 2}, (1,)),
}


@pytest.mark.parametrize("case", LABELS)
def test_the_left_ventricle_is_found_by_its_name(tmp_path, case):
    labels, values = LABELS[case]
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    assert read_label(tmp_path / "dataset.json").values == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"labels": {"background": 0, "RV": 1, "LA": 2}}',
            r"no label is named LV or left ventricle \(RV, LA\); choose one of these by --structure",
        ),
        ('{"labels": {"background": 0, "LV": 1, "left ventricle": 2}}', r"\(LV, left ventricle\)"),
        ('{"labels": {"background": 0}}', r"\(none\)"),
        ('{"labels": [1, 2]}', "lacks the labels"),
        ('{"labels": {"LV": "one"}}', "lacks the labels"),
        ("{}", "lacks the labels"),
        ("[", ":1:2: invalid JSON"),
        (None, "missing"),
    ],
)
def test_a_description_without_a_clear_left_ventricle_is_refused(tmp_path, text, message):
    if text is not None:
        (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(DataError, match=rf"dataset\.json.*{message}"):
        read_label(tmp_path / "dataset.json")


DAMAGES = {
    "no image": (lambda folder: (folder / "imagesTr/a.nii.gz").unlink(), "labelsTr/a.nii.gz", "has no image"),
    "no mask": (lambda folder: (folder / "labelsTr/a.nii.gz").unlink(), "imagesTr/a.nii.gz", "has no mask"),
    "size": (
        lambda folder: save_nifti(folder / "labelsTr/a.nii.gz", STACK[:, 1:], thickness=8.0),
        "labelsTr/a.nii.gz",
        "is 48×39×4, its image 48×40×4",
    ),
    "empty": (
        lambda folder: save_nifti(folder / "labelsTr/a.nii.gz", STACK * 0, thickness=8.0),
        "labelsTr/a.nii.gz",
        "is empty",
    ),
    "another label": (
        lambda folder: save_nifti(folder / "labelsTr/a.nii.gz", STACK * 7, thickness=8.0),
        "labelsTr/a.nii.gz",
        "no pixel of label 1",
    ),
    "cut": (
        lambda folder: (folder / "imagesTr/a.nii.gz").write_bytes(b"\x1f\x8b"),
        "imagesTr/a.nii.gz",
        "is no NIfTI or Analyze file by its content",
    ),
    "four dimensions": (
        lambda folder: nibabel.save(
            nibabel.Nifti1Image(np.zeros((48, 40, 4, 2), np.uint8), np.eye(4)), folder / "imagesTr/a.nii.gz"
        ),
        "labelsTr/a.nii.gz",
        "is 48×40×4, its image 48×40×4×2",
    ),
    "other orientation": (
        lambda folder: nibabel.save(
            nibabel.Nifti1Image(STACK.T, np.diag([0.25, 0.5, 8, 1])), folder / "labelsTr/a.nii.gz"
        ),
        "labelsTr/a.nii.gz",
        "does not lie on its image (origin by 22.77 mm; x and y have the opposite sign",
    ),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_an_unusable_case_is_reported_and_the_others_are_read(tmp_path, case):
    damage, file, reason = DAMAGES[case]
    folder = write_decathlon(tmp_path, {"background": 0, "LV": 1})
    damage(folder)
    dataset = read_dataset(folder)
    (fault,) = dataset.faults
    assert (fault.file, fault.row) == (file, None)
    assert reason in fault.reason
    assert [recording.name for recording in dataset.recordings] == ["b"]


def test_a_mask_without_an_affine_has_the_orientation_of_its_image(tmp_path):
    folder = write_decathlon(tmp_path, {"background": 0, "LV": 1})
    nibabel.save(nibabel.Nifti1Image(STACK.T, None), folder / "labelsTr/a.nii.gz")
    check_stack(read_dataset(folder).recordings[0])


def test_a_damaged_image_is_left_out_in_prepare(tmp_path):
    folder = write_decathlon(tmp_path, {"background": 0, "LV": 1}, suffix=".nii")
    path = folder / "imagesTr/a.nii"
    nibabel.save(nibabel.Nifti1Image(np.random.default_rng(0).random((48, 40, 4)), np.diag([-0.25, -0.5, 8, 1])), path)
    store = prepare(folder)
    assert len(store) == 8
    folder = shutil.copytree(folder, tmp_path / "cut")
    path = folder / "imagesTr/a.nii"
    path.write_bytes(path.read_bytes()[:-9])
    store = prepare(folder)
    assert len(store) == 4
    assert [fault["file"] for fault in store.manifest["faults"]] == ["imagesTr/a.nii"]


@pytest.mark.parametrize("layout", ["pairs", "nnU-Net", "EchoNet"])
def test_files_of_unread_types_are_faults_with_the_cure(tmp_path, layout):
    if layout == "EchoNet":
        write_folder(tmp_path / "data")
        place = "Videos"
    elif layout == "pairs":
        save_image(tmp_path / "data/images/a.png", make_image(ellipse(12.0)))
        save_image(tmp_path / "data/masks/a.png", ellipse(12.0))
        place = "images"
    else:
        write_decathlon(tmp_path / "data", {"LV": 1})
        place = "imagesTr"
    assert read_dataset(tmp_path / "data").faults == ()
    for name in ("b.heic", "c.zip", "d.npy", "README.md", "notes.txt", "list.csv", ".hidden.zip", "Thumbs.db"):
        (tmp_path / "data" / place / name).write_bytes(b"\0")
    assert [str(fault) for fault in read_dataset(tmp_path / "data").faults] == [
        f"{place}/b.heic: is of a type that is not read; save it as PNG",
        f"{place}/c.zip: is of a type that is not read; unpack it",
        f"{place}/d.npy: is of a type that is not read; save it as .nii.gz or as PNG",
    ]


def test_only_a_header_of_nrrd(tmp_path):
    for name in ("imagesTr/p0_0000.nrrd", "labelsTr/p0.nrrd"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"NRRD0004\n")
    (tmp_path / "dataset.json").write_text('{"labels": {"LV": 1}}')
    with pytest.raises(DataError, match=r"Tr/p0\w*\.nrrd: invalid NRRD header"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_nnunet_of_other_volumes(tmp_path, suffix):
    folder = write_decathlon(tmp_path / "nifti", {"LV": 1}, mask=STACK)
    other = tmp_path / "other"
    for path in folder.glob("*Tr/*.nii.gz"):
        voxels = np.asanyarray(nibabel.load(path).dataobj)
        target = other / path.parent.name / path.name.replace(".nii.gz", suffix)
        target.parent.mkdir(parents=True, exist_ok=True)
        sizes, kind = " ".join(map(str, voxels.shape)), voxels.dtype.name
        if suffix == ".nrrd":
            head = f"NRRD0004\ntype: {kind}\ndimension: 3\nsizes: {sizes}\nencoding: raw\nendian: little\n"
            head += "space: LPS\nspace directions: (0.25,0,0) (0,0.5,0) (0,0,8)\n\n"
        else:
            name = {"uint8": "MET_UCHAR", "float64": "MET_DOUBLE", "float32": "MET_FLOAT", "int16": "MET_SHORT"}[kind]
            head = f"NDims = 3\nDimSize = {sizes}\nElementSpacing = 0.25 0.5 8\nElementType = {name}\n"
            head += "ElementDataFile = LOCAL\n"
        target.write_bytes(head.encode() + voxels.tobytes(order="F"))
    shutil.copy(folder / "dataset.json", other)
    for recording in read_dataset(other).recordings:
        check_stack(recording)
    expected, store = prepare(folder), prepare(other)
    np.testing.assert_array_equal(store.frames, expected.frames)


# EchoNet-Pediatric


def test_both_views_of_echonet_pediatric_are_read(tmp_path):
    write_points_folder(tmp_path / "A4C", ("a", "b"))
    write_points_folder(tmp_path / "PSAX", ("b", "c"))
    edit_lines(tmp_path / "PSAX/VolumeTracings.csv", lambda lines: lines.insert(1, "b.avi,,,No Systolic"))
    dataset = read_dataset(tmp_path)
    assert [(recording.name, recording.patient, recording.view) for recording in dataset.recordings] == [
        ("a", "a", "A4C"),
        ("A4C-b", "b", "A4C"),
        ("PSAX-b", "b", "PSAX"),
        ("c", "c", "PSAX"),
    ]
    (fault,) = dataset.faults
    assert str(fault) == "PSAX/VolumeTracings.csv:2:Frame: 'No Systolic': nothing is traced"
    assert [recording.view for recording in read_dataset(tmp_path / "PSAX").recordings] == ["PSAX"] * 2
    store = prepare(tmp_path)
    assert list(store.samples["view"]) == ["A4C", "A4C", "PSAX", "PSAX"]


def test_a_row_for_an_untraced_frame_does_not_reject_its_neighbours(tmp_path):
    folder = write_folder(tmp_path / "data")
    edit_lines(folder / "VolumeTracings.csv", lambda lines: lines.insert(11, "a.avi,,,,,No Diastolic"))
    dataset = read_dataset(folder)
    assert [len(recording.tracings) for recording in dataset.recordings] == [2, 2, 2]
    assert [fault.row for fault in dataset.faults] == [12]


# all formats


def test_a_folder_in_no_known_format_is_refused_with_a_list_of_formats(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        read_dataset(tmp_path / "none")
    save_image(tmp_path / "a.png", make_image(ellipse(12.0)))
    with pytest.raises(DataError, match="in no known format") as caught:
        read_dataset(tmp_path)
    assert all(name in str(caught.value) for name in FORMATS)


def test_a_changed_mask_needs_a_new_store(tmp_path):
    folder = write_decathlon(tmp_path / "data", {"background": 0, "LV": 1})
    first = prepare(folder)
    assert prepare(folder).path == first.path
    save_nifti(folder / "labelsTr/a.nii.gz", STACK[::-1], thickness=8.0)
    second = prepare(folder)
    assert second.path != first.path
    assert second.blank.nonzero()[0].tolist() == [3, 4]
    assert prepare(folder, fov_mm=9.0).path != second.path


@pytest.mark.skipif(not SUNNYBROOK.is_dir(), reason="the shared data set is missing")
def test_masks_of_sunnybrook_agree_with_its_tracings():
    dataset = read_dataset(SUNNYBROOK / "nifti")
    assert (len(dataset.recordings), dataset.empty, dataset.faults) == (8, 0, ())
    areas: dict[str, list[float]] = {}
    for recording in dataset.recordings:
        truth = read_clip(str(recording.path).replace(".nii.gz", "_gt.nii.gz")).frames > 0
        for frame, filled in drawn(recording, truth.shape[1:]).items():
            np.testing.assert_array_equal(filled, truth[frame])
        areas.setdefault(recording.patient, []).extend(truth.sum(axis=(1, 2)))
    scale = 160 / 112  # the videos are the central 160 × 160 pixels, resized
    for recording in read_dataset(SUNNYBROOK).recordings:
        expected = []
        for tracing in recording.tracings:
            points = tracing.coordinates * scale
            length = np.linalg.norm(np.diff(points, axis=0, append=points[:1]), axis=1).sum()
            expected.append(contour_area(points) + length / 2)  # the masks contain all pixels that the contour touches
        np.testing.assert_allclose(sorted(areas[recording.patient]), sorted(expected), rtol=0.03)
