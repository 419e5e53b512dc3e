from __future__ import annotations

import math
import shutil

import nibabel
import numpy as np
import pytest

from _masks import ellipse, make_image, save_nifti
from echoseg.datasets.formats import files_of, read_dataset
from echoseg.datasets.store import prepare
from echoseg.errors import DataError
from echoseg.ops import fill_polygons

RADII = (16.0, 14.0, 12.0)


def make_labels(radius: float) -> np.ndarray:
    """A mask with all labels: the cavity, the myocardium around it, the atrium below it."""
    cavity, myocardium = ellipse(radius), ellipse(radius + 3)
    labels = np.where(cavity > 0, 1, 2 * myocardium)
    labels[38:, 10:30] = 3
    return labels.astype(np.uint8)


def info(ed: int, es: int) -> str:
    return f"ED: {ed}\nES: {es}\nNbFrame: 3\nSex: F\nAge: 56\nImageQuality: Good\nEF: 53\nFrameRate: 45.1\n"


def write_camus(folder, patients=("patient0001", "patient0002")):
    """Both views of each patient; the two-chamber view of the last one runs from end-systole to end-diastole."""
    for number, name in enumerate(patients):
        patient = folder / "database_nifti" / name
        for view in ("2CH", "4CH"):
            backwards = view == "2CH" and number == len(patients) - 1
            masks = np.stack([make_labels(radius) for radius in (RADII[::-1] if backwards else RADII)])
            ed, es = (3, 1) if backwards else (1, 3)
            stem = patient / f"{name}_{view}"
            for phase, frame in (("ED", ed - 1), ("ES", es - 1)):
                save_nifti(stem.with_name(f"{stem.name}_{phase}.nii.gz"), make_image(masks[frame] == 1))
                save_nifti(stem.with_name(f"{stem.name}_{phase}_gt.nii.gz"), masks[frame])
            save_nifti(stem.with_name(f"{stem.name}_half_sequence.nii.gz"), make_image(masks == 1))
            save_nifti(stem.with_name(f"{stem.name}_half_sequence_gt.nii.gz"), masks)
            (patient / f"Info_{view}.cfg").write_text(info(ed, es))
    return folder


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    return write_camus(tmp_path_factory.mktemp("camus") / "data")


@pytest.fixture
def folder(template, tmp_path):
    return shutil.copytree(template, tmp_path / "data")


def remove(folder, pattern):
    for path in folder.rglob(pattern):
        path.unlink()


def test_sequences_are_read_with_phases_metadata_and_contours(folder):
    dataset = read_dataset(folder)
    assert dataset.faults == ()
    assert [(recording.name, recording.patient, recording.view) for recording in dataset.recordings] == [
        ("patient0001_2CH", "patient0001", "A2C"),
        ("patient0001_4CH", "patient0001", "A4C"),
        ("patient0002_2CH", "patient0002", "A2C"),
        ("patient0002_4CH", "patient0002", "A4C"),
    ]
    phases = [[tracing.phase for tracing in recording.tracings] for recording in dataset.recordings]
    assert phases == [["ED", "", "ES"], ["ED", "", "ES"], ["ES", "", "ED"], ["ED", "", "ES"]]
    for recording in dataset.recordings:
        assert (recording.ef, recording.fps, recording.spacing) == (53, 45.1, (0.5, 0.25))
        assert (recording.quality, recording.sex, recording.age) == ("Good", "F", 56)
        assert all(math.isnan(value) for value in (recording.edv, recording.esv, recording.thickness))
    for tracing, radius in zip(dataset.recordings[0].tracings, RADII, strict=True):
        drawn = fill_polygons(tracing.coordinates[None], (40, 48))[0]
        np.testing.assert_array_equal(drawn, ellipse(radius))  # the cavity, not the myocardium
        x, y = (tracing.coordinates - [23.5, 19.5]).T
        assert abs(np.hypot(2 * x, y) - radius).max() <= 2 * 0.5 + 0.01  # half a pixel, and x has twice the weight


def test_a_store_contains_spacing_phase_and_view(folder):
    store = prepare(folder, size=(80, 48))
    samples = store.samples
    assert len(store) == 12
    assert (samples["spacing_y"] == 0.25).all()
    assert (samples["spacing_x"] == 0.25).all()
    assert samples["thickness"].isna().all()
    assert (samples[["quality", "sex", "age"]] == ["Good", "F", 56]).all(axis=None)
    assert list(samples["view"][:6]) == ["A2C"] * 3 + ["A4C"] * 3
    assert list(samples["phase"][6:9]) == ["ES", "", "ED"]
    inside = fill_polygons(store.contour(0)[None], (80, 48))[0] > 0
    assert store.frames[0][inside].mean() < 60 < 140 < store.frames[0][~inside].mean()


def test_the_affine_of_ultrasound_masks_is_ignored(folder):
    before = read_dataset(folder).recordings[0].tracings
    for path in folder.rglob("*_gt.nii.gz"):
        image = nibabel.load(path)
        nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), np.eye(4)), path)
    dataset = read_dataset(folder)
    assert dataset.faults == ()
    for tracing, expected in zip(dataset.recordings[0].tracings, before, strict=True):
        np.testing.assert_array_equal(tracing.coordinates, expected.coordinates)


def test_without_sequences_ed_and_es_are_recordings_of_one_frame(folder):
    remove(folder, "*_half_sequence*")
    dataset = read_dataset(folder)
    assert len(dataset.recordings) == 8
    first = dataset.recordings[:2]
    assert [(recording.name, recording.tracings[0].phase, len(recording.tracings)) for recording in first] == [
        ("patient0001_2CH_ED", "ED", 1),
        ("patient0001_2CH_ES", "ES", 1),
    ]
    assert first[0].spacing == (0.5, 0.25)


def test_the_first_release_is_read_with_metaimages_and_volumes(tmp_path):
    patient = tmp_path / "training/patient0001"
    patient.mkdir(parents=True)
    for view in ("2CH", "4CH"):
        for phase, radius in (("ED", 16.0), ("ES", 12.0)):
            for suffix, pixels in (("", make_image(ellipse(radius))), ("_gt", make_labels(radius))):
                stem = f"patient0001_{view}_{phase}{suffix}"
                (patient / f"{stem}.raw").write_bytes(pixels.tobytes())
                (patient / f"{stem}.mhd").write_text(
                    "ObjectType = Image\nNDims = 3\nDimSize = 48 40 1\nElementSpacing = 0.25 0.5 1\n"
                    f"TransformMatrix = 1 0 0 0 1 0 0 0 1\nElementType = MET_UCHAR\nElementDataFile = {stem}.raw\n"
                )
        (patient / f"Info_{view}.cfg").write_text("ED: 1\nES: 12\nLVedv: 94.1\nLVesv: 39.7\nLVef: 57\n")
    dataset = read_dataset(tmp_path)
    assert dataset.faults == ()
    assert len(dataset.recordings) == 4
    first = dataset.recordings[0]
    assert (first.edv, first.esv, first.ef, first.spacing) == (94.1, 39.7, 57, (0.5, 0.25))
    np.testing.assert_array_equal(fill_polygons(first.tracings[0].coordinates[None], (40, 48))[0], ellipse(16.0))


def test_a_byte_order_mark_is_ignored(folder):
    for path in folder.rglob("Info_*.cfg"):
        path.write_text(path.read_text(), encoding="utf-8-sig")
    assert [tracing.phase for tracing in read_dataset(folder).recordings[0].tracings] == ["ED", "", "ES"]


def test_published_subgroups_are_the_splits(folder):
    (folder / "database_split").mkdir()
    (folder / "database_split/subgroup_training.txt").write_text("patient0002\n")
    dataset = read_dataset(folder)
    assert {recording.split for recording in dataset.recordings} == {"TRAIN"}
    assert [str(fault) for fault in dataset.faults] == ["database_nifti/patient0001: is in no subgroup file"]
    (folder / "database_split/subgroup_testing.txt").write_text("\npatient0002 patient0001\n")
    with pytest.raises(DataError, match=r"_t(est|rain)ing\.txt:\d: patient0002 is in two subgroups"):
        read_dataset(folder)
    (folder / "database_split/subgroup_testing.txt").write_text("patient0001\n")
    assert [recording.split for recording in read_dataset(folder).recordings] == ["TEST"] * 2 + ["TRAIN"] * 2
    assert folder / "database_split/subgroup_testing.txt" in files_of(folder)
    store = prepare(folder / "database_nifti", size=(40, 48))  # the subgroup files lie beside this folder
    assert list(store.samples["split"]) == ["TEST"] * 6 + ["TRAIN"] * 6
    assert "../database_split/subgroup_testing.txt" in store.manifest["files"]


def replace_mask(folder, frames):
    return save_nifti(folder / "database_nifti/patient0001/patient0001_2CH_half_sequence_gt.nii.gz", frames)


FAULTS = {
    "empty mask": (lambda folder: replace_mask(folder, np.zeros((3, 40, 48), np.uint8)), "is empty"),
    "wrong label": (lambda folder: replace_mask(folder, np.full((3, 40, 48), 2, np.uint8)), "no pixel of label 1"),
    "other size": (
        lambda folder: replace_mask(folder, np.ones((3, 40, 47), np.uint8)),
        "is 47×40×3, its image 48×40×3",
    ),
    "no view": (lambda folder: remove(folder, "patient0001_2CH*"), "has no view 2CH"),
    "info missing": (
        lambda folder: (folder / "database_nifti/patient0001/Info_2CH.cfg").unlink(),
        "is missing: no phases",
    ),
    "info invalid": (
        lambda folder: (folder / "database_nifti/patient0001/Info_2CH.cfg").write_text(info(0, 3)),
        "'0' is not a number",
    ),
    "mask cut": (
        lambda folder: replace_mask(folder, np.ones((3, 40, 48), np.uint8)).write_bytes(b"\x1f\x8b\x08 nothing"),
        "is damaged or cut off",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_faults_are_reported_and_the_rest_is_read(folder, case):
    damage, reason = FAULTS[case]
    damage(folder)
    dataset = read_dataset(folder)
    (fault,) = dataset.faults
    assert reason in fault.reason
    assert fault.file.startswith("database_nifti/patient0001")
    assert len(dataset.recordings) == (4 if "info" in case else 3)


def test_an_implausible_frame_rate_is_noted_and_not_used(folder):
    path = folder / "database_nifti/patient0001/Info_2CH.cfg"
    path.write_text(path.read_text().replace("45.1", "0"))
    dataset = read_dataset(folder)
    assert dataset.faults == ()
    note = "Info files: the FrameRate of 1 recording (patient0001_2CH) is not between 1 and 1000, and is not used"
    assert note in dataset.notes
    assert [recording.fps for recording in dataset.recordings] == pytest.approx([np.nan, 45.1, 45.1, 45.1], nan_ok=True)


def test_images_without_masks_are_refused(folder):
    remove(folder, "*_gt.nii.gz")
    with pytest.raises(
        DataError, match=r"contains nothing usable; .*patient0001: lacks patient0001_2CH_ED_gt\.nii\.gz"
    ):
        read_dataset(folder)


def test_the_atrium_is_read_by_name_without_the_volumes_of_the_cavity(folder):
    atrium = read_dataset(folder, "left atrium")
    assert atrium.structure == "left atrium"
    assert len(atrium.recordings) == len(read_dataset(folder).recordings)
    for recording in atrium.recordings:
        assert math.isnan(recording.ef)
        filled = fill_polygons(recording.tracings[0].coordinates[None], (40, 48))[0]
        np.testing.assert_array_equal(filled, make_labels(RADII[0]) == 3)
    with pytest.raises(DataError, match=r"no label is named myocardium \(left ventricle, left atrium\)"):
        read_dataset(folder, "myocardium")
