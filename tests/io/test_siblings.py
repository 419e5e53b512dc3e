"""What the third axis is by other files of the data set, where the header leaves it open."""

from __future__ import annotations

import math

import nibabel
import numpy as np
import pytest

from echoseg.io import siblings
from echoseg.io.reading import axis3_taken_for, open_volume, read_clip

PLACE = (12.5, -80, 33)


def save(path, shape, sides, *, origin=(0, 0, 0)):
    affine = np.diag([-sides[0], -sides[1], sides[2], 1.0])
    affine[:3, 3] = origin
    image = nibabel.Nifti1Image(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8), affine)
    image.header.set_zooms(sides)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, path)
    return path


NO_HEADER = ((32, 24, 5), (1, 1, 1))  # slices of 1 mm, if nothing else is known
DEFAULT = ((32, 24, 5), (0.3, 0.3, 1))  # a film, if nothing else is known
OTHERS = {
    "a stack of the same size": (DEFAULT, [("b", (32, 24, 7), (1.4, 1.4, 8), PLACE)], False),
    "a stack of another size": (DEFAULT, [("b", (40, 24, 7), (1.4, 1.4, 8), PLACE)], False),
    "a film by its frame time": (NO_HEADER, [("b", (32, 24, 9), (0.3, 0.3, 0.02), PLACE)], True),
    "the slices over time": (DEFAULT, [("p1_4d", (32, 24, 5, 9), (1.4, 1.4, 8, 0.03), PLACE)], False),
    "the time points of a stack": (NO_HEADER, [("p1_4d", (32, 24, 3, 5), (1.4, 1.4, 8, 0.03), PLACE)], True),
    "the time points of a slice": (NO_HEADER, [("b", (32, 24, 1, 5), (1.4, 1.4, 8, 0.03), PLACE)], True),
    "those of the same size first": (
        NO_HEADER,
        [("b", (32, 24, 9), (0.3, 0.3, 0.02), PLACE), ("c", (40, 24, 7), (1.4, 1.4, 8), PLACE)],
        True,
    ),
}


@pytest.mark.parametrize("case", OTHERS)
def test_another_file_decides(tmp_path, case):
    own, others, is_time = OTHERS[case]
    folder = tmp_path / "data"
    path = save(folder / "p1.nii.gz", *own)
    alone = open_volume(path)
    assert math.isnan(alone.thickness) == (own is DEFAULT)
    for name, shape, sides, origin in others:
        save(folder / f"{name}.nii.gz", shape, sides, origin=origin)
    clip = read_clip(path)
    assert math.isnan(clip.thickness) == is_time
    assert clip.frames.shape == (5, 24, 32)
    taken, other = ("time", "slices") if is_time else ("slices", "time")
    assert f"axis 3 (5) is taken for {taken}: as in {others[0][0]}.nii.gz; to overrule this" in clip.note
    assert f"--axis3 {other}" in clip.note
    with axis3_taken_for(other):
        assert math.isnan(open_volume(path).thickness) != is_time


KEPT = {
    "they contradict each other": [
        ("b", (32, 24, 9), (0.3, 0.3, 0.02), PLACE),
        ("c", (32, 24, 7), (1.4, 1.4, 8), PLACE),
    ],
    "their headers leave it open too": [("b", (32, 24, 9), (1, 1, 1), (0, 0, 0))],
    "slices and time points are equally many": [("b", (32, 24, 5, 5), (1.4, 1.4, 8, 0.03), PLACE)],
    "neither slices nor time points are as many": [("b", (32, 24, 3, 9), (1.4, 1.4, 8, 0.03), PLACE)],
    "it has one slice": [("b", (32, 24, 1), (1.4, 1.4, 8), PLACE)],
}


@pytest.mark.parametrize("case", KEPT)
def test_other_files_that_do_not_decide(tmp_path, case):
    path = save(tmp_path / "a.nii.gz", *NO_HEADER)
    alone = open_volume(path).note
    for name, shape, sides, origin in KEPT[case]:
        save(tmp_path / f"{name}.nii.gz", shape, sides, origin=origin)
    (tmp_path / "d.nii.gz").write_bytes(b"no header")
    assert open_volume(path).thickness == 1
    assert open_volume(path).note == alone


def test_a_header_that_decides_is_not_overruled_by_others(tmp_path):
    stack = save(tmp_path / "a.nii.gz", (32, 24, 5), (1.4, 1.4, 8), origin=PLACE)
    save(tmp_path / "b.nii.gz", (32, 24, 9), (0.3, 0.3, 0.02))
    assert (open_volume(stack).thickness, open_volume(stack).note) == (8, "")


def test_the_folders_of_other_patients_decide_after_the_own_one(tmp_path):
    path = save(tmp_path / "patient001" / "patient001_frame12.nii.gz", *DEFAULT)
    save(tmp_path / "patient002" / "patient002_frame01.nii.gz", (32, 24, 7), (1.4, 1.4, 8), origin=PLACE)
    save(tmp_path / "other" / "patient003_frame01.nii.gz", (32, 24, 7), (0.3, 0.3, 0.02))
    save(tmp_path / "patient004" / "patient004_frame01_half.nii.gz", (32, 24, 7), (0.3, 0.3, 0.02))
    save(tmp_path / "patient005b" / "patient005_frame01.nii.gz", (32, 24, 7), (0.3, 0.3, 0.02))
    volume = open_volume(path)
    assert volume.thickness == 1
    assert "taken for slices: as in patient002_frame01.nii.gz" in volume.note
    save(path.parent / "patient001_frame12_gt.nii.gz", (32, 24, 5), (0.3, 0.3, 0.02))
    assert "taken for time: as in patient001_frame12_gt.nii.gz" in open_volume(path).note


def test_few_files_of_a_large_folder_are_opened(tmp_path):
    path = save(tmp_path / "case500.nii.gz", *NO_HEADER)
    for number in range(1000):
        (tmp_path / f"case{number:03}_gt.nii.gz").touch()
    opened = []
    own = siblings.Axis3(False, "", True)
    assert siblings.decide_by_siblings(path, (32, 24, 5), own, lambda file: opened.append(file.name) or OPEN) is own
    assert len(opened) == 16
    assert opened[8] == "case500_gt.nii.gz"


OPEN = siblings.Sibling((32, 24, 5), siblings.Axis3(False, "", True))
