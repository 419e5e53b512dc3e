"""A folder with a DICOM file for each slice gives the stack that its conversion to NIfTI gives."""

from __future__ import annotations

import itertools
import warnings

import nibabel
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from _series import AXIAL, SHAPE, SPACING, pixels, slice_name, write_series, write_slice
from echoseg.errors import DataError
from echoseg.io.nifti import slices_affine, write_mask
from echoseg.io.reading import open_volume, read_clip, read_voxels, series_files

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # nibabel calls its DICOM readers experimental
    from nibabel.nicom.dicomwrappers import wrapper_from_file

CORONAL = np.array([[1.0, 0, 0], [0, 0, -1]])
SAGITTAL = np.array([[0.0, 1, 0], [0, 0, -1]])
SHORT_AXIS = Rotation.from_euler("zxy", [40, -35, 20], degrees=True).as_matrix()[:2]


def convert(folder, path):
    """Convert a series of parallel slices to NIfTI by nibabel's reader of single slices."""
    wrappers = [wrapper_from_file(file) for file in folder.iterdir()]
    wrappers.sort(key=lambda wrapper: wrapper.slice_indicator)
    first = wrappers[0].affine.copy()  # (row, column, slice) to the patient's coordinates (LPS)
    first[:, 2] = (wrappers[-1].affine[:, 3] - first[:, 3]) / (len(wrappers) - 1)
    voxels = np.stack([wrapper.get_data() for wrapper in wrappers], axis=-1)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([-1, -1, 1, 1]) @ first), path)
    return path


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("directions", [AXIAL, CORONAL, SAGITTAL, SHORT_AXIS], ids=["axial", "cor", "sag", "sax"])
def test_series_equals_its_conversion_to_nifti(tmp_path, directions, sign):
    folder = write_series(tmp_path / "series", pixels(), directions=directions, step=8.0 * sign)
    clip, volume = read_clip(folder), open_volume(folder)
    path = convert(folder, tmp_path / "converted.nii.gz")
    expected, converted = read_clip(path), open_volume(path)
    np.testing.assert_array_equal(clip.frames, expected.frames)
    assert clip.spacing == pytest.approx(expected.spacing)
    assert clip.thickness == pytest.approx(expected.thickness) == pytest.approx(8)
    np.testing.assert_allclose(slices_affine(volume), slices_affine(converted), atol=1e-4)
    np.testing.assert_array_equal(read_voxels(volume), read_voxels(converted))
    assert clip.note == ""


@settings(max_examples=10)
@given(seed=st.integers(0, 999), k=st.integers(0, 3), row=st.integers(0, 9), column=st.integers(0, 11))
def test_mask_lies_where_the_slice_lies(tmp_path_factory, seed, k, row, column):
    """A pixel of the mask has the position that DICOM PS3.3, C.7.6.2.1.1 gives it, in RAS."""
    folder = tmp_path_factory.mktemp("series")
    directions = Rotation.random(random_state=seed).as_matrix()[:2]
    write_series(folder, pixels(), directions=directions)
    volume = open_volume(folder)
    values = read_voxels(volume)
    marked = values == pydicom.dcmread(folder / slice_name(k)).pixel_array[row, column]
    write_mask(folder / "mask.nii.gz", marked.astype(np.uint8), volume)
    mask = nibabel.load(folder / "mask.nii.gz")
    found = np.argwhere(np.asarray(mask.dataobj))
    header = pydicom.dcmread(folder / slice_name(k))
    along_row, along_column = np.reshape(header.ImageOrientationPatient, (2, 3)).astype(float)
    lps = (
        np.array(header.ImagePositionPatient, float) + along_row * SPACING[1] * column + along_column * SPACING[0] * row
    )
    places = nibabel.affines.apply_affine(mask.affine, found)
    assert np.abs(places - lps * [-1, -1, 1]).max(axis=1).min() < 1e-3


def test_stored_values_are_rescaled_for_each_file(tmp_path):
    images = pixels()
    for k, image in enumerate(images):
        inverted = k == 2
        write_slice(
            tmp_path / f"{k}.dcm",
            np.uint16(3000) - image if inverted else image,
            (0, 0, 8 * k),
            RescaleSlope=0.5 if k == 1 else 1,
            RescaleIntercept=10 * k,
            PhotometricInterpretation="MONOCHROME1" if inverted else "MONOCHROME2",
        )
    volume = open_volume(tmp_path)
    read = read_voxels(volume)
    np.testing.assert_allclose(read[0], images[0])
    np.testing.assert_allclose(read[1], 0.5 * images[1] + 10)
    np.testing.assert_allclose(read[2], images[2] - 3020.0)
    np.testing.assert_allclose(read[3], images[3] + 30)


def test_first_phase_of_a_cine_series_is_read_and_reported(tmp_path):
    images = pixels((3, 5, 10, 12))
    for k, phases in enumerate(images):
        for phase, image in enumerate(phases):
            name = f"{7 * (5 * k + phase) % 15}.dcm"
            write_slice(tmp_path / name, image, (0, 0, 8 * k), TriggerTime=40 * phase + k)
    clip = read_clip(tmp_path)
    volume = open_volume(tmp_path)
    np.testing.assert_array_equal(read_voxels(volume), images[:, 0])
    assert clip.thickness == 8
    assert clip.note.startswith("5 phases at each of 3 positions, of which the first after the R wave was read")


def test_as_many_phases_as_positions_are_no_film(tmp_path):
    for k, phase in itertools.product(range(3), range(3)):
        write_slice(tmp_path / f"{k}{phase}.dcm", pixels()[0], (0, 0, 8 * k), TriggerTime=40 * phase)
    clip = read_clip(tmp_path)
    assert (len(clip.frames), clip.thickness, np.isnan(clip.fps)) == (3, 8, True)
    assert clip.note.startswith("3 phases at each of 3 positions")


def test_time_points_of_one_position_are_a_film(tmp_path):
    images = pixels((6, 10, 12))
    for phase, image in enumerate(images):
        write_slice(tmp_path / f"{(5 * phase) % 7}.dcm", image, (0, 0, 0), TriggerTime=20.0 * phase)
    clip, volume = read_clip(tmp_path), open_volume(tmp_path)
    np.testing.assert_array_equal(read_voxels(volume), images)
    assert clip.fps == pytest.approx(50)
    assert clip.spacing == SPACING
    assert np.isnan(clip.thickness)


def add(folder, k, **tags):
    """Write a slice over or beside those of a series."""
    image = tags.pop("image", pixels()[0])
    return write_slice(folder / tags.pop("name", "IM9999.dcm"), image, (-20, 7, 30 + 8 * k), **tags)


def add_series(folder):
    for k in range(2):
        add(folder, k, name=f"other{k}.dcm", series="1.2.9")


def replace_bytes(path, old, new):
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))


FAULTS = {
    "mixed": (add_series, r"slices of 2 series \(4 files such as IM0003.dcm, 2 files such as other0.dcm\); move each"),
    "missing slice": (lambda folder: (folder / slice_name(1)).unlink(), r"IM0003.dcm to IM0017.dcm it is 16 mm, but 8"),
    "additional slice": (lambda folder: add(folder, 1.5), r"it is 8 mm, but 4 mm between other slices"),
    "other size": (lambda folder: add(folder, 4, image=pixels((8, 12))), "has 12×8 pixels, but IM0003.dcm has"),
    "other spacing": (lambda folder: add(folder, 4, PixelSpacing=[2, 2]), r"has the PixelSpacing \(2.0, 2.0\)"),
    "other direction": (lambda folder: add(folder, 4, directions=CORONAL), "IM9999.dcm has another orientation"),
    "twice": (lambda folder: add(folder, 2), "has 1 image at the position of IM0003.dcm, but 2 at that of IM"),
    "shifted": (
        lambda folder: write_slice(folder / slice_name(2), pixels()[0], (-15, 7, 46)),
        "IM0017.dcm is shifted by 5 mm",
    ),
    "no spacing": (lambda folder: add(folder, -1, name="A.dcm", PixelSpacing=None), "A.dcm has no valid PixelSpacing"),
    "direction": (lambda folder: add(folder, -1, name="A.dcm", directions=2 * AXIAL), "A.dcm has an invalid Image"),
    "colour": (
        lambda folder: add(
            folder, 4, image=np.zeros((10, 12, 3), np.uint8),
            SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0,
        ),
        "IM9999.dcm: is not a grey image",
    ),
    "no position": (lambda folder: add(folder, 4, ImagePositionPatient=None), "belongs to the series but has no"),
    "damaged": (
        lambda folder: (folder / "x").write_bytes(bytes(128) + b"DICM" + b"\xff" * 40),
        "x: its header has neither a position nor a SeriesInstanceUID; export it again, or move it into",
    ),
    "decimal comma": (
        lambda folder: replace_bytes(folder / slice_name(1), b"1.25\\1.5", b"1,25\\1,5"),
        "IM0010.dcm: its header has an invalid PixelSpacing; correct it, or export the file again, or move it into",
    ),
    "no pixels": (lambda folder: add(folder, 4, PixelData=None), "IM9999.dcm: contains no image"),
    "short pixels": (lambda folder: add(folder, 4, PixelData=bytes(20)), "IM9999.dcm: contains no whole frame"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_series_that_cannot_be_a_stack_is_refused_with_the_cause(tmp_path, fault):
    folder = write_series(tmp_path / "series", pixels())
    change, message = FAULTS[fault]
    change(folder)
    with pytest.raises(DataError, match=message) as error:
        read_clip(folder)
    assert str(error.value).startswith(str(folder))
    assert "\n" not in str(error.value)
    assert "Doe" not in str(error.value)


@pytest.mark.slow
@settings(max_examples=25)
@given(st.data())
def test_changed_bytes_give_a_stack_or_one_error(tmp_path_factory, data):
    folder = write_series(tmp_path_factory.mktemp("series"), pixels())
    path = folder / slice_name(data.draw(st.integers(0, 3)))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(132, len(content) - 241))] = data.draw(st.integers(0, 255))  # of the header
    path.write_bytes(content)
    message = ""
    try:
        clip = read_clip(folder)
        read = (len(clip.frames), clip.note != "")
    except DataError as error:
        message = str(error)
    assert message.isprintable()
    assert "Doe" not in message
    assert message or read in {(4, False), (3, True)}  # the first or last slice is reported as one of another series


def test_images_of_one_position_without_trigger_times_are_refused(tmp_path):
    for k, image in enumerate(pixels()):
        write_slice(tmp_path / f"{k}.dcm", image, (0, 0, 0))
    with pytest.raises(
        DataError, match=r"4 images at the position of 0.dcm, which their TriggerTime does not tell apart"
    ):
        read_clip(tmp_path)


def test_folder_without_a_series_is_refused(tmp_path):
    write_slice(tmp_path / "a.dcm", pixels()[0], (0, 0, 0))
    write_slice(tmp_path / "b.dcm", pixels()[0], (0, 0, 8), series="9.9")
    (tmp_path / "notes.txt").write_text("none")
    for read in (read_clip, open_volume):
        with pytest.raises(DataError, match="cannot be read as a DICOM series"):
            read(tmp_path)
    assert series_files(tmp_path) == set()


def test_files_of_the_series_are_told_from_the_others(tmp_path):
    folder = write_series(tmp_path, pixels())
    stack = set(folder.iterdir())
    write_slice(folder / "localizer.dcm", pixels()[0], (0, 0, 0), series="9.9")
    write_slice(
        folder / "cine.dcm", pixels(), (0, 0, 0), series="9.8", NumberOfFrames=4, Rows=SHAPE[1], Columns=SHAPE[2]
    )
    (folder / "damaged.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 40)
    assert series_files(folder) == stack
    (folder / "damaged.dcm").unlink()
    clip = read_clip(folder)
    assert len(clip.frames) == SHAPE[0]
    assert clip.note == "localizer.dcm is not part of the stack"
