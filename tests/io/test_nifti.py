from __future__ import annotations

import itertools

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echoseg.io.clip import Clip
from echoseg.io.nifti import slices_affine, write_clip_mask, write_mask
from echoseg.io.reading import open_volume, read_clip, read_voxels

SHAPE, SIDES = (5, 7, 4), (1.25, 1.5, 8.0)


def write_volume(path, affine, shape=SHAPE, kind=nibabel.Nifti1Image):
    """Write a volume in which all voxels differ."""
    image = kind(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    return path


def oblique_affine(orientation, degrees):
    """An affine with the given axis order and directions, rotated by some degrees about all axes."""
    order, signs = orientation
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[list(order)] * signs
    for axis in range(3):
        i, j = {0, 1, 2} - {axis}
        rotation = np.eye(3)
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        rotation[[i, i, j, j], [i, j, i, j]] = c, -s, s, c
        affine[:3, :3] = rotation @ affine[:3, :3]
    affine[:3, :3] *= SIDES
    affine[:3, 3] = 12.5, -80, 33
    return affine


ORIENTATIONS = list(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@settings(max_examples=30, deadline=None)
@given(orientation=st.sampled_from(ORIENTATIONS), degrees=st.sampled_from([0, 3, 20]))
def test_the_mask_has_the_voxels_and_the_affine_of_the_volume(tmp_path_factory, suffix, orientation, degrees):
    folder = tmp_path_factory.mktemp("nifti")
    path = write_volume(folder / f"v{suffix}", oblique_affine(orientation, degrees))
    volume = open_volume(path)
    masks = (read_voxels(volume) % 3 == 0).astype(np.uint8)
    write_mask(folder / "mask.nii.gz", masks, volume)
    image, mask = nibabel.load(path), nibabel.load(folder / "mask.nii.gz")
    assert mask.get_data_dtype() == np.uint8
    assert mask.affine.tobytes() == image.affine.tobytes()
    assert mask.header.get_zooms() == image.header.get_zooms()
    assert [int(mask.header[code]) for code in ("qform_code", "sform_code")] == [
        int(image.header[code]) for code in ("qform_code", "sform_code")
    ]
    np.testing.assert_array_equal(np.asarray(mask.dataobj), np.asarray(image.dataobj) % 3 == 0)

    from_slices = np.argwhere(masks) @ slices_affine(volume)[:3, :3].T + slices_affine(volume)[:3, 3]
    from_voxels = nibabel.affines.apply_affine(image.affine, np.argwhere(np.asarray(mask.dataobj)))
    np.testing.assert_allclose(np.sort(from_slices, axis=0), np.sort(from_voxels, axis=0), atol=1e-9)


@pytest.mark.parametrize("shape", [(5, 7, 4, 1), (5, 7, 1, 4), (5, 7, 1), (5, 7)])
def test_the_mask_has_the_shape_of_the_file(tmp_path, shape):
    path = write_volume(tmp_path / "v.nii", oblique_affine(ORIENTATIONS[0], 0), shape, nibabel.Nifti2Image)
    volume = open_volume(path)
    write_mask(tmp_path / "m.nii", (read_voxels(volume) % 3 == 0).astype(np.uint8), volume)
    mask = nibabel.load(tmp_path / "m.nii")
    assert isinstance(mask, nibabel.Nifti2Image)
    np.testing.assert_array_equal(np.asarray(mask.dataobj), np.arange(np.prod(shape)).reshape(shape) % 3 == 0)


def test_scaling_and_names_stay_behind(tmp_path):
    image = nibabel.Nifti1Image(np.random.default_rng(0).normal(size=SHAPE), oblique_affine(ORIENTATIONS[5], 3))
    image.set_data_dtype(np.int16)
    image.header["descrip"], image.header["db_name"] = b"Jane Doe", b"Jane"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"Jane Doe"))
    nibabel.save(image, tmp_path / "v.nii")
    volume = open_volume(tmp_path / "v.nii")
    write_mask(tmp_path / "m.nii", (read_voxels(volume) > 0).astype(np.uint8), volume)
    assert b"Jane" not in (tmp_path / "m.nii").read_bytes()
    mask = nibabel.load(tmp_path / "m.nii")
    np.testing.assert_array_equal(np.asarray(mask.dataobj), nibabel.load(tmp_path / "v.nii").get_fdata() > 0)


def test_mask_of_a_file_without_an_affine(tmp_path):
    image = nibabel.Nifti1Image(np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE), None)
    image.header.set_zooms(SIDES)
    nibabel.save(image, tmp_path / "v.nii")
    volume = open_volume(tmp_path / "v.nii")
    masks = (read_voxels(volume) % 3 == 0).astype(np.uint8)
    write_mask(tmp_path / "m.nii", masks, volume)
    read, mask = (nibabel.load(tmp_path / name) for name in ("v.nii", "m.nii"))
    assert mask.affine.tobytes() == read.affine.tobytes()
    np.testing.assert_array_equal(np.asarray(mask.dataobj), np.asarray(read.dataobj) % 3 == 0)
    np.testing.assert_array_equal(np.abs(slices_affine(volume)[:3, :3]).sum(axis=0), SIDES[::-1])


def test_mask_of_a_volume_in_microns(tmp_path):
    path = write_volume(tmp_path / "v.nii", oblique_affine(ORIENTATIONS[7], 3) * 1000)
    image = nibabel.load(path)
    image.header.set_xyzt_units("micron")
    nibabel.save(image, tmp_path / "m.nii")
    volume = open_volume(tmp_path / "m.nii")
    assert np.linalg.norm(slices_affine(volume)[:3, :3], axis=0) == pytest.approx((volume.thickness, *volume.spacing))
    write_mask(tmp_path / "mask.nii", np.zeros(volume.shape, np.uint8), volume)
    mask = nibabel.load(tmp_path / "mask.nii")
    assert mask.affine.tobytes() == nibabel.load(tmp_path / "m.nii").affine.tobytes()
    assert mask.header.get_xyzt_units()[0] == "micron"


def test_mask_of_a_metaimage(tmp_path):
    voxels = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    (tmp_path / "v.raw").write_bytes(voxels.tobytes(order="F"))
    (tmp_path / "v.mhd").write_text(
        "NDims = 3\nDimSize = 5 7 4\nElementSpacing = 1.25 1.5 8\nOffset = 10 20 30\n"
        "ElementType = MET_SHORT\nElementDataFile = v.raw\n"
    )
    volume = open_volume(tmp_path / "v.mhd")
    write_mask(tmp_path / "m.nii.gz", (read_voxels(volume) % 3 == 0).astype(np.uint8), volume)
    mask = nibabel.load(tmp_path / "m.nii.gz")
    np.testing.assert_array_equal(np.asarray(mask.dataobj), voxels % 3 == 0)
    expected = [[-1.25, 0, 0, -10], [0, -1.5, 0, -20], [0, 0, 8, 30], [0, 0, 0, 1]]  # MetaImage is LPS+, NIfTI is RAS+
    np.testing.assert_array_equal(mask.affine, expected)


@pytest.mark.parametrize(
    ("shape", "times", "fps", "spacing", "thickness", "units"),
    [
        ((6, 5, 7), 1, 40.0, (0.5, 0.25), np.nan, ("mm", "sec")),
        ((6, 5, 7), 1, np.nan, (np.nan, np.nan), np.nan, ("unknown", "unknown")),
        ((1, 5, 7), 1, np.nan, (0.5, 0.25), np.nan, ("mm", "unknown")),
        ((6, 5, 7), 2, 40.0, (0.5, 0.25), 8.0, ("mm", "sec")),
    ],
)
def test_masks_of_a_film_have_its_spacing_and_frame_time(tmp_path, shape, times, fps, spacing, thickness, units):
    masks = np.random.default_rng(0).integers(0, 2, shape).astype(np.uint8)
    write_clip_mask(tmp_path / "m.nii.gz", masks, Clip(masks, fps, spacing, thickness, time_points=times))
    image = nibabel.load(tmp_path / "m.nii.gz")
    assert image.header.get_xyzt_units() == units
    is_stack = np.isfinite(thickness)
    sides = (spacing[1], spacing[0], thickness if is_stack else 1) if units[0] == "mm" else (1, 1, 1)
    assert image.header.get_zooms() == pytest.approx((*sides, 1 / fps if units[1] == "sec" else 1))
    assert image.get_data_dtype() == np.uint8
    slices = shape[0] // times if is_stack else 1
    assert image.shape == (7, 5, slices, shape[0] // slices)
    for number, mask in enumerate(masks):
        time, part = divmod(number, slices)
        np.testing.assert_array_equal(np.asarray(image.dataobj)[:, :, part, time].T, mask)
    if not is_stack and len(masks) > 1:
        read = read_clip(tmp_path / "m.nii.gz")
        np.testing.assert_array_equal(read.frames, masks)
        np.testing.assert_allclose((read.fps, *read.spacing), (fps, *(sides[:2][::-1])))
