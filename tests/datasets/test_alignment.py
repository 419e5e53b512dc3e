"""Masks that lie otherwise than their images, by the affines of the two files."""

from __future__ import annotations

import itertools
import re

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import apply_orientation, inv_ornt_aff

from echoseg.datasets.formats import read_dataset
from echoseg.datasets.masks import read_pair
from echoseg.errors import DataError

ORIENTATIONS = [
    np.array([*zip(order, signs, strict=True)])
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]
SIDES = (1.25, 1.5, 8.0)
IMAGES = {"stack": (9, 7, 4), "cube": (6, 6, 6), "slice": (9, 7, 1), "image": (9, 7)}


def turned(degrees: float, origin=(12.5, -80, 33)) -> np.ndarray:
    """An affine, turned by some degrees about all axes."""
    affine = np.eye(4)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    for i, j in ((1, 2), (0, 2), (0, 1)):
        rotation = np.eye(4)
        rotation[[i, i, j, j], [i, j, i, j]] = c, -s, s, c
        affine = rotation @ affine
    affine[:3, :3] *= SIDES
    affine[:3, 3] = origin
    return affine


def save(path, voxels, affine, *, form="both"):
    image = nibabel.Nifti1Image(voxels, affine)
    if affine is not None and form != "both":
        image.set_qform(affine, 1 if form == "qform" else 0)
        image.set_sform(affine, 1 if form == "sform" else 0)
    nibabel.save(image, path)
    return path


def labels(shape) -> np.ndarray:
    """Voxels that all differ, as far as possible."""
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(sorted(IMAGES)),
    orientation=st.sampled_from(ORIENTATIONS),
    degrees=st.sampled_from([0, 3, 45, 90, 130]),
    forms=st.tuples(*[st.sampled_from(["both", "sform", "qform"])] * 2),
    error=st.floats(-1e-3, 1e-3),
)
def test_a_mask_that_a_tool_has_turned_is_the_same(tmp_path_factory, kind, orientation, degrees, forms, error):
    folder, voxels, affine = tmp_path_factory.mktemp("pair"), labels(IMAGES[kind]), turned(degrees)
    image = save(folder / "a.nii", voxels, affine, form=forms[0])
    expected = read_pair(image, save(folder / "plain.nii", voxels, affine)).values
    deep = voxels.reshape(*voxels.shape, 1) if voxels.ndim == 2 else voxels
    rewritten = apply_orientation(deep, orientation)
    moved = affine @ inv_ornt_aff(orientation, deep.shape)
    mask = save(folder / "b.nii", rewritten, moved + error, form=forms[1])
    found = read_pair(image, mask)
    np.testing.assert_array_equal(found.values, expected)
    np.testing.assert_allclose(nibabel.as_closest_canonical(nibabel.load(mask)).shape, sorted_as(image, deep.shape))


def sorted_as(image, shape):
    """The shape of an image in nibabel's canonical orientation: a second opinion on the axes."""
    codes = nibabel.orientations.io_orientation(nibabel.load(image).affine)
    return [shape[int(np.flatnonzero(codes[:, 0] == axis)[0])] for axis in range(3)]


MOVES = {
    "origin": (lambda a: a + np.outer([1, 0, 0, 0], [0, 0, 0, 5]), "origin by 5 mm"),
    "half a pixel": (lambda a: a + np.outer([1, 0, 0, 0], [0, 0, 0, 0.625]), "origin by 0.625 mm"),
    "spacing": (lambda a: a @ np.diag([2, 2, 1, 1]), "spacing 2.5×3×8 instead of 1.25×1.5×8 mm"),
    "thickness": (lambda a: a @ np.diag([1, 1, 1.25, 1]), "spacing 1.25×1.5×10 instead of 1.25×1.5×8 mm"),
    "direction": (lambda a: turned(20), "directions by"),
    "negated": (lambda a: np.diag([-1, -1, 1, 1]) @ a, "origin by 155 mm; x and y have the opposite sign"),
}


@pytest.mark.parametrize("case", MOVES)
@pytest.mark.parametrize("kind", ["stack", "film"])
def test_a_mask_elsewhere_is_refused_with_what_differs(tmp_path, case, kind):
    move, difference = MOVES[case]
    shape = (9, 7, 4) if kind == "stack" else (9, 7, 1, 4)
    image = save(tmp_path / "a.nii.gz", labels(shape), turned(0))
    mask = save(tmp_path / "a_gt.nii.gz", labels(shape), move(turned(0)))
    if kind == "film" and case == "thickness":  # of one slice, which has no neighbour
        assert read_pair(image, mask).values.shape == (4, 7, 9)
        return
    difference = difference.replace("×8 i", " i").replace("×8 mm", " mm") if kind == "film" else difference
    with pytest.raises(DataError, match=rf"a_gt\.nii\.gz: does not lie on its image .*{re.escape(difference)}"):
        read_pair(image, mask)


DEFAULTS = {
    "none": None,
    "identity": np.eye(4),
    "of ITK": np.diag([-1.0, -1, 1, 1]),
}


@pytest.mark.parametrize("lost", ["mask", "image"])
@pytest.mark.parametrize("case", DEFAULTS)
def test_a_lost_header_is_told(tmp_path, case, lost):
    affines = (turned(3), DEFAULTS[case]) if lost == "mask" else (DEFAULTS[case], turned(3))
    image = save(tmp_path / "a_slices.nii", labels((9, 7, 4)), affines[0])
    mask = save(tmp_path / "a_slices_gt.nii", labels((9, 7, 4)), affines[1])
    found = read_pair(image, mask)
    np.testing.assert_array_equal(found.values, read_pair(image, image).values)
    name = "it" if lost == "mask" else "its image"
    assert (mask, f"{name} has no position in its header; its voxels are taken for those of its image") in found.notes
    with pytest.raises(DataError, match="is 7×9×4, its image 9×7×4"):
        read_pair(image, save(tmp_path / "b.nii", labels((7, 9, 4)), affines[1]))


@pytest.mark.parametrize("lost", ["mask", "image"])
def test_a_film_and_a_file_without_a_header_correspond(tmp_path, lost):
    film, default = np.diag([0.3, 0.3, 1, 1]), np.eye(4)  # by their headers, one has time points, the other slices
    image = save(tmp_path / "a.nii", labels((90, 70, 4)), film if lost == "mask" else default)
    mask = save(tmp_path / "a_gt.nii", labels((90, 70, 4)), default if lost == "mask" else film)
    found = read_pair(image, mask)
    np.testing.assert_array_equal(found.values, read_pair(image, image).values)
    assert any("has no position in its header" in note for _, note in found.notes)


def test_a_spacing_without_a_position_is_compared(tmp_path):
    image = save(tmp_path / "a.nii", labels((9, 7, 4)), turned(0))
    mask = nibabel.Nifti1Image(labels((9, 7, 4)), None)
    for sides, accepted in (((1.25, 1.5, 8), True), ((1.25, 1.5, 8.02), True), ((2.5, 3, 8), False)):
        mask.header.set_zooms(sides)
        nibabel.save(mask, tmp_path / "m.nii")
        if accepted:
            assert read_pair(image, tmp_path / "m.nii").values.shape == (4, 7, 9)
            continue
        with pytest.raises(DataError, match=r"m\.nii: has the spacing 8×3×2\.5 mm, its image 8×1\.5×1\.25 mm"):
            read_pair(image, tmp_path / "m.nii")


def test_notes_are_told_once_for_a_data_set(tmp_path):
    shape = np.zeros((9, 7, 4), np.uint8)
    shape[2:7, 2:6] = 1
    for name in ("p1", "p2", "p3"):
        save(tmp_path / f"{name}.nii", shape * 90, turned(0))
        save(tmp_path / f"{name}_gt.nii", shape, turned(0) if name == "p1" else None)
    dataset = read_dataset(tmp_path)
    assert len(dataset.recordings) == 3
    assert dataset.notes == (
        "p2_gt.nii and 1 more: it has no position in its header; its voxels are taken for those of its image",
    )


def test_the_masks_of_a_stack_over_time_have_phases(tmp_path):
    shape = np.zeros((24, 20, 4, 6), np.uint8)
    shape[4:20, 4:16, 1:3, 0] = 1
    shape[8:14, 8:14, 2, 4] = 1
    affine = np.diag([-1.5, -1.5, 10, 1])
    save(tmp_path / "p1.nii.gz", 200 - 90 * shape, affine)
    save(tmp_path / "p1_gt.nii.gz", shape[::-1], affine @ inv_ornt_aff([[0, -1], [1, 1], [2, 1]], shape.shape[:3]))
    (recording,) = read_dataset(tmp_path).recordings
    assert recording.thickness == 10
    phases = {tracing.frame: (tracing.phase, len(tracing.coordinates) > 0) for tracing in recording.tracings}
    ed = {0: ("ED", False), 1: ("ED", True), 2: ("ED", True), 3: ("ED", False)}
    assert phases == {**ed, 16: ("ES", False), 17: ("ES", False), 18: ("ES", True), 19: ("ES", False)}


def with_slightly_other_sform(affine):  # TotalSegmentator, issue 33
    return affine.astype(np.float32) * (1 + 1e-5)


def not_orthonormal(affine):  # nnDetection, issue 24: directions rounded to three digits
    return np.round(affine, 3)


def of_the_centre(affine):  # nnU-Net, issue 2551
    result = affine.copy()
    result[:3, 3] = -affine[:3, :3] @ ((np.array((9, 7, 4)) - 1) / 2)
    return result


@pytest.mark.parametrize(
    ("change", "lies_there"), [(with_slightly_other_sform, True), (not_orthonormal, True), (of_the_centre, False)]
)
def test_headers_of_other_tools(tmp_path, change, lies_there):
    image = save(tmp_path / "a.nii.gz", labels((9, 7, 4)), turned(3))
    mask = save(tmp_path / "a_gt.nii.gz", labels((9, 7, 4)), change(turned(3)), form="sform")
    if lies_there:
        np.testing.assert_array_equal(read_pair(image, mask).values, read_pair(image, image).values)
        return
    with pytest.raises(DataError, match=r"does not lie on its image \(origin by"):
        read_pair(image, mask)


def test_the_sform_of_a_mask_decides(tmp_path):  # Spinal Cord Toolbox, issue 2106; LST-AI, pull request 45
    image = save(tmp_path / "a.nii", labels((9, 7, 4)), turned(3))
    mask = nibabel.Nifti1Image(labels((9, 7, 4)), turned(3))
    for sform, qform, lies_there in ((turned(3), turned(9), True), (turned(9), turned(3), False)):
        mask.set_sform(sform, 2)
        mask.set_qform(qform, 1)
        nibabel.save(mask, tmp_path / "m.nii")
        if lies_there:
            assert read_pair(image, tmp_path / "m.nii").values.shape == (4, 7, 9)
            continue
        with pytest.raises(DataError, match="does not lie on its image"):
            read_pair(image, tmp_path / "m.nii")


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 1)])
def test_a_single_slice_is_compared_in_its_plane(tmp_path, shape):
    affine = turned(0)
    image = save(tmp_path / "a.nii", labels(shape), affine)
    thicker = save(tmp_path / "thicker.nii", labels(shape), affine @ np.diag([1, 1, 2, 1]))
    np.testing.assert_array_equal(read_pair(image, thicker).values, labels(shape).reshape(9, 7).T[None])
    higher = save(tmp_path / "higher.nii", labels(shape), affine + np.outer([0, 0, 1, 0], [0, 0, 0, 8]))
    with pytest.raises(DataError, match=r"origin by 8 mm"):
        read_pair(image, higher)
