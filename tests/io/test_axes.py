"""What the header of a volume says: time or slices, spacing, and contradictions."""

from __future__ import annotations

import json
import math
import struct
import threading
from concurrent.futures import ThreadPoolExecutor

import nibabel
import numpy as np
import pytest

from echoseg.errors import DataError
from echoseg.io.reading import axis3_taken_for, open_volume, read_clip, read_voxels
from echoseg.utils.parallel import map_in_order

SHIFTED = np.array([12.5, -80, 33])


def save(path, shape, sides, *, origin=(0, 0, 0), units=("mm", "sec"), has_affine=True):
    affine = np.diag([-sides[0], -sides[1], *(sides[2:3] or (1,)), 1.0])
    affine[:3, 3] = origin
    voxels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    image = nibabel.Nifti1Image(voxels, affine if has_affine else None)
    image.header.set_zooms(sides)
    image.header.set_xyzt_units(*units)
    nibabel.save(image, path)
    return path


TIME = {
    "frame time in milliseconds, of MRI": ("a", (256, 216, 30), (1.4, 1.4, 25), {}, math.nan),
    "frame time in seconds": ("a", (96, 80, 10), (0.3, 0.3, 0.02), {}, 50),
    "frame time in milliseconds": ("a", (96, 80, 10), (0.3, 0.3, 33.3), {}, math.nan),
    "frame time of pixels without a size": ("a", (112, 112, 60), (1, 1, 0.02), {}, 50),
    "default of ultrasound": ("a", (600, 800, 50), (0.3, 0.3, 1), {}, math.nan),
    "default without an affine": ("a", (96, 80, 10), (0.3, 0.15, 1), {"has_affine": False}, math.nan),
    "no third spacing": ("p1_4CH", (112, 112, 60), (1, 1, 1), {}, math.nan),
    "CAMUS": ("patient0001_2CH_half_sequence", (96, 80, 10), (0.3, 0.15, 1), {}, math.nan),
    "one slice": ("a", (96, 80, 1, 10), (1.4, 1.4, 8, 0.03), {"origin": SHIFTED}, 1 / 0.03),
    "one slice, in milliseconds": ("a", (96, 80, 1, 10), (1.4, 1.4, 8, 30), {"units": ("mm", "msec")}, 1 / 0.03),
    "no unit of time": ("a", (96, 80, 1, 10), (1.4, 1.4, 8, 1), {"units": ("mm", 0)}, math.nan),
}


@pytest.mark.parametrize("case", TIME)
def test_a_film_is_read_as_one(tmp_path, case):
    name, shape, sides, options, fps = TIME[case]
    clip = read_clip(save(tmp_path / f"{name}.nii.gz", shape, sides, **options))
    assert clip.frames.shape == (shape[-1], shape[1], shape[0])
    assert clip.spacing == pytest.approx((sides[1], sides[0]))
    assert math.isnan(clip.thickness)
    assert clip.fps == pytest.approx(fps, nan_ok=True)
    guessed = len(shape) == 3 and "sequence" not in name
    assert ("is taken for time" in clip.note and "--axis3 slices" in clip.note) == guessed


SLICES = {
    "MRI": ((256, 216, 10), (1.5, 1.5, 10), {}),
    "MRI in place": ((256, 216, 10), (1.5, 1.5, 10), {"origin": SHIFTED}),
    "thin": ((128, 128, 90), (1.25, 1.25, 1.37), {}),
    "CT": ((128, 128, 100), (0.4, 0.4, 1), {"origin": SHIFTED}),
    "overlapping CT": ((128, 128, 30), (0.4, 0.4, 0.3), {"origin": SHIFTED}),
    "few slices, hardly thinner than pixels": ((96, 80, 10), (1.4, 1.4, 1), {"origin": SHIFTED}),
}


@pytest.mark.parametrize("case", SLICES)
def test_a_stack_is_read_as_one(tmp_path, case):
    shape, sides, options = SLICES[case]
    clip = read_clip(save(tmp_path / "a.nii.gz", shape, sides, **options))
    assert clip.frames.shape == shape[::-1]
    assert (*clip.spacing, clip.thickness) == pytest.approx((sides[1], sides[0], sides[2]))
    assert (clip.note, clip.time_points) == ("", 1)


def test_a_header_without_any_position_and_spacing_is_named(tmp_path):
    clip = read_clip(save(tmp_path / "a.nii.gz", (96, 80, 10), (1, 1, 1)))
    assert clip.thickness == 1
    assert "slices of 1 mm are assumed, not time points" in clip.note
    assert "--axis3 time" in clip.note


def test_a_header_with_pixels_but_no_position_and_a_default_is_named(tmp_path):
    clip = read_clip(save(tmp_path / "a.nii.gz", (96, 80, 10), (1.25, 1.25, 1)))
    assert clip.thickness == 1
    assert clip.note.startswith("the header has no position; slices of 1 mm are assumed, not time points")


@pytest.mark.parametrize(
    ("shape", "sides", "order", "number", "flag"),
    [
        ((12, 10, 400), (0.3, 0.3, 0.02), "x, y, time", 400, ", or use --axis3 time if it is right"),
        ((12, 10, 400), (1.5, 1.5, 8), "x, y, slices", 400, ", or use --axis3 slices if it is right"),
        ((8, 6, 5, 90), (1.5, 1.5, 8, 0.03), "x, y, slices, time", 90, ""),
        ((8, 6, 1, 90), (1.5, 1.5, 8, 0.03), "x, y, time", 90, ", or use --axis3 time if it is right"),
    ],
)
def test_an_image_has_no_fewer_pixels_than_there_are_frames(tmp_path, shape, sides, order, number, flag):
    path = save(tmp_path / "a.nii.gz", shape, sides, has_affine=False)
    pixels = f"{shape[0]}×{shape[1]}"
    with pytest.raises(DataError) as caught:
        read_clip(path)
    assert str(caught.value) == (
        f"{path}: read as {order}, it has {number} images of {pixels} pixels, so its axes are in another order; "
        f"save it as {order}{flag}"
    )
    if flag:
        with axis3_taken_for(flag.split()[-5]):
            assert read_clip(path).frames.shape == (number, shape[1], shape[0])


def test_slices_of_fewer_pixels_than_there_are_slices_lie_along_another_axis(tmp_path):
    path = save(tmp_path / "a.nii.gz", (12, 10, 400), (1.5, 1.5, 1.5), origin=SHIFTED)
    clip = read_clip(path)
    voxels = np.asarray(nibabel.load(path).dataobj)
    assert (*clip.spacing, clip.thickness) == pytest.approx((1.5, 1.5, 1.5))
    np.testing.assert_array_equal(clip.frames, voxels.transpose(1, 2, 0)[:, ::-1])  # coronal: superior is up
    assert clip.note == ("axis 3 (400) would be slices of fewer pixels than there are slices; axis 2 is taken for them")
    with axis3_taken_for("slices"):
        assert read_clip(path).frames.shape == (400, 10, 12)


@pytest.mark.parametrize("folder", [".", "images", "images/p1"])
def test_the_axis_can_be_said(tmp_path, folder):
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    film = save(tmp_path / folder / "a.nii.gz", (96, 80, 10), (0.3, 0.3, 0.02))
    with axis3_taken_for("slices"):
        assert read_clip(film).thickness == pytest.approx(0.02)
        assert (open_volume(film).shape, open_volume(film).note) == ((10, 80, 96), "")
    (tmp_path / "dataset.json").write_text(json.dumps({"axis3": "slices"}))
    assert open_volume(film).thickness == pytest.approx(0.02)
    with axis3_taken_for("time"):
        assert math.isnan(open_volume(film).thickness)
    assert math.isnan(read_clip(film, axis3="time").thickness)
    (tmp_path / "dataset.json").write_text(json.dumps({"axis3": "depth"}))
    with pytest.raises(DataError, match=r'a\.nii\.gz: dataset\.json has the "axis3" \'depth\'; use "time" or "slices"'):
        open_volume(film)
    (tmp_path / "dataset.json").write_text('{"axis3": "time",}')
    with pytest.raises(DataError, match=r"dataset\.json:1:18: invalid JSON"):
        open_volume(film)
    with pytest.raises(ValueError, match="axis3"):
        read_clip(film, axis3="depth")


def test_threads_choose_the_axis_apart_from_each_other(tmp_path):
    film = save(tmp_path / "a.nii.gz", (32, 24, 10), (1, 1, 1))
    both_have_chosen = threading.Barrier(2)

    def thicknesses(axis3):
        with axis3_taken_for(axis3):
            both_have_chosen.wait(60)
            return [volume.thickness for volume in map_in_order(open_volume, [film] * 3)]

    with ThreadPoolExecutor(2) as pool:
        of_time, of_slices = pool.map(thicknesses, ("time", "slices"))
    assert np.isnan(of_time).all()
    assert of_slices == [1, 1, 1]


@pytest.mark.parametrize("origin", [(0, 0, 0), SHIFTED])
def test_a_stack_over_time_has_the_slices_of_each_time_point(tmp_path, origin):
    path = save(tmp_path / "patient001_4d.nii.gz", (32, 24, 5, 7), (1.5, 1.25, 10, 0.04), origin=origin)
    volume, clip = open_volume(path), read_clip(path)
    voxels = np.asarray(nibabel.load(path).dataobj)
    assert (clip.time_points, clip.thickness, clip.spacing) == (7, 10, (1.25, 1.5))
    assert clip.fps == pytest.approx(25)
    np.testing.assert_array_equal(clip.frames, voxels.transpose(3, 2, 1, 0).reshape(35, 24, 32))
    np.testing.assert_array_equal(volume.restore(read_voxels(volume)), voxels)


def change(path, offset, data):
    content = bytearray(path.read_bytes())
    content[offset : offset + len(data)] = data
    path.write_bytes(content)


def test_the_affine_decides_the_spacing(tmp_path):
    path = save(tmp_path / "a.nii", (32, 24, 5), (1.4, 1.4, 8), origin=SHIFTED)
    change(path, 80, struct.pack("<3f", 1, 1, 1))  # pixdim
    change(path, 252, struct.pack("<h", 0))  # qform_code
    clip = read_clip(path)
    assert (*clip.spacing, clip.thickness) == pytest.approx((1.4, 1.4, 8))
    assert clip.note == "pixdim says 1×1×1 mm, the affine 1.4×1.4×8 mm; the affine is used"


def test_the_sform_decides_before_the_qform(tmp_path):
    path = save(tmp_path / "a.nii", (32, 24, 5), (1.4, 1.4, 8), origin=SHIFTED)
    image = nibabel.load(path)
    image.set_qform(np.diag([1.4, 1.4, 8, 1]), 1)
    image.set_sform(image.get_sform(), 2)
    nibabel.save(image, tmp_path / "b.nii")
    volume = open_volume(tmp_path / "b.nii")
    np.testing.assert_allclose(volume.affine, nibabel.load(tmp_path / "b.nii").affine)
    assert volume.note == "the sform and the qform of the header differ; the sform is used"
    image.set_qform(image.get_sform(), 1)
    nibabel.save(image, tmp_path / "c.nii")
    assert open_volume(tmp_path / "c.nii").note == ""


def test_an_sform_of_zeros_is_not_used(tmp_path):
    path = save(tmp_path / "a.nii", (32, 24, 5), (1.4, 1.4, 8), origin=SHIFTED)
    change(path, 280, bytes(48))  # the sform
    change(path, 252, struct.pack("<2h", 1, 1))  # qform_code and sform_code
    volume = open_volume(path)
    assert (*volume.spacing, volume.thickness) == pytest.approx((1.4, 1.4, 8))
    assert volume.note == "the sform of the header is invalid and is not used"


def test_the_distance_of_shifted_slices_is_that_of_their_planes(tmp_path):
    affine = np.diag([-1.5, -1.5, 8, 1])
    affine[1, 2] = 6  # each slice lies 6 mm further to the front
    nibabel.save(nibabel.Nifti1Image(np.zeros((32, 24, 5), np.uint8), affine), tmp_path / "a.nii")
    assert open_volume(tmp_path / "a.nii").thickness == pytest.approx(8)


def test_time_may_be_the_fifth_axis(tmp_path):  # vtk-dicom, issue 121
    voxels = np.random.default_rng(0).integers(0, 256, (32, 24, 5, 1, 7), dtype=np.uint8)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([-1.5, -1.25, 10, 1])), tmp_path / "a.nii")
    clip = read_clip(tmp_path / "a.nii")
    assert (clip.time_points, clip.thickness) == (7, 10)
    np.testing.assert_array_equal(clip.frames[5], voxels[:, :, 0, 0, 1].T)


def test_vectors_are_no_time_points(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((32, 24, 5, 1, 3), np.uint8), np.diag([-1.5, -1.25, 10, 1]))
    image.header.set_intent("vector")
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.raises(DataError, match="contains vectors or colours"):
        read_clip(tmp_path / "a.nii")


def test_microns_and_milliseconds_are_converted(tmp_path):  # ITK, pull request 4595
    path = save(tmp_path / "a.nii", (32, 24, 5, 7), (1500, 1250, 10000, 40), units=("micron", "msec"))
    clip = read_clip(path)
    assert (*clip.spacing, clip.thickness, clip.fps) == pytest.approx((1.25, 1.5, 10, 25))


@pytest.mark.parametrize(("unit", "pixels"), [("meter", "1400"), ("micron", "0.0014")])
def test_a_unit_that_cannot_be_is_named(tmp_path, unit, pixels):
    clip = read_clip(save(tmp_path / "a.nii", (32, 24, 5), (1.4, 1.4, 8), units=(unit, "sec"), origin=SHIFTED))
    assert (*clip.spacing, clip.thickness) == pytest.approx((1.4, 1.4, 8))
    assert clip.note == f"the unit of the header, {unit}, gives pixels of {pixels} mm; 1.4 mm is used"
