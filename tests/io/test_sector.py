"""Where the image of an ultrasound file lies: by its regions, and by what moves."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset

from _ultrasound import BOX, SIZE, cine, region, write_dicom
from echoseg.errors import DataError
from echoseg.io.reading import read_clip
from echoseg.io.sector import find_sectors, shares_in_common


@pytest.mark.parametrize(
    ("regions", "spacing"),
    [
        ([region()], (1.0, 0.5)),
        ([region((0, 0, 20, 20), 9.0), region(), region(kind=2), region(unit=4)], (1.0, 0.5)),
        ([region([2 * edge for edge in BOX])], (2.0, 1.0)),
        ([region([3 * edge for edge in BOX])], (3.0, 1.5)),
        ([region((13, 51, 141, 154))], (np.nan, np.nan)),  # refers to a screen 1.28 times as large
        ([region((0, 0, 30, 30))], (np.nan, np.nan)),
        ([region((90, 90, 10, 10))], (np.nan, np.nan)),
        ([region(delta=0)], (np.nan, np.nan)),
        ([Dataset()], (np.nan, np.nan)),
    ],
)
def test_the_spacing_of_a_region_is_used_if_it_overlaps_with_the_sector(tmp_path, regions, spacing):
    clip = read_clip(write_dicom(tmp_path / "a.dcm", cine(), SequenceOfUltrasoundRegions=regions))
    assert clip.spacing == pytest.approx(spacing, nan_ok=True)
    assert clip.frames.any()
    assert clip.square == pytest.approx((10, 30, 100), abs=2)


def test_the_sector_of_a_single_image_comes_from_its_region(tmp_path):
    still = cine(1)
    whole = read_clip(write_dicom(tmp_path / "a.dcm", still))
    np.testing.assert_array_equal(whole.frames, still)
    assert whole.square is None
    clip = read_clip(write_dicom(tmp_path / "b.dcm", still, SequenceOfUltrasoundRegions=[region()]))
    assert clip.spacing == (1.0, 0.5)
    assert clip.square == (10, 30, 100)
    np.testing.assert_array_equal(clip.frames[0, 10:110, 40:120], still[0, 10:110, 40:120])
    assert clip.frames.astype(int).sum() == clip.frames[0, 10:110, 40:120].astype(int).sum()
    beyond = region((10, 40, SIZE[0] + 1, SIZE[1] + 1))  # its last row and column are the first beyond the frame
    clip = read_clip(write_dicom(tmp_path / "d.dcm", still, SequenceOfUltrasoundRegions=[beyond]))
    assert clip.spacing == (1.0, 0.5)
    assert not clip.frames[0, :10].any()
    other = read_clip(write_dicom(tmp_path / "c.dcm", still, SequenceOfUltrasoundRegions=[region((0, 0, 240, 320))]))
    assert np.isnan(other.spacing).all()
    np.testing.assert_array_equal(other.frames, still)


def screen(*panels: tuple[int, int]) -> np.ndarray:
    """(T, H, W): Images that move, of the size of a panel (rows, columns), with 20 pixels between them."""
    rows = max(panel[0] for panel in panels) + 20
    columns = [np.pad(moving(*panel), ((0, 0), (10, rows - panel[0] - 10), (10, 10))) for panel in panels]
    return np.concatenate(columns, axis=2)


def moving(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(rows).integers(20, 200, (6, rows, columns)).astype(np.uint8)


def test_the_image_is_that_of_the_region_with_tissue_not_the_largest_that_moves(tmp_path):
    frames = screen((100, 90), (100, 200))  # beside an M-mode, or the same image in colour
    image = region((10, 10, 110, 100))
    for other in (region((10, 120, 110, 320), 0.1, shape=2), region((10, 120, 110, 320), 0.1, kind=2)):
        clip = read_clip(write_dicom(tmp_path / "a.dcm", frames, SequenceOfUltrasoundRegions=[other, image]))
        assert (clip.square, clip.spacing, clip.note) == ((10, 5, 100), (1.0, 0.5), "")
        np.testing.assert_array_equal(clip.frames[:, :, 120:], 0)
        np.testing.assert_array_equal(clip.frames[:, 10:110, 10:100], frames[:, 10:110, 10:100])


def test_regions_that_share_an_edge_are_two_images(tmp_path):
    frames = moving(110, 160)[:1]
    regions = [region((0, 0, 101, 81)), region((0, 80, 101, 161))]
    note = read_clip(write_dicom(tmp_path / "a.dcm", frames, SequenceOfUltrasoundRegions=regions)).note
    assert note.startswith("shows 2 images, of which the one in columns 0 to 80 ")


def test_a_region_that_is_listed_twice_is_one_image(tmp_path):
    regions = [region(), region((5, 35, 115, 125)), region()]
    assert read_clip(write_dicom(tmp_path / "a.dcm", cine(), SequenceOfUltrasoundRegions=regions)).note == ""


def test_of_two_images_with_tissue_the_larger_is_read_with_its_own_spacing_and_noted(tmp_path):
    frames = screen((80, 80), (100, 90))
    regions = [region((10, 10, 110, 100)), region((10, 110, 110, 200), 0.1)]
    clip = read_clip(write_dicom(tmp_path / "a.dcm", frames, SequenceOfUltrasoundRegions=regions))
    assert clip.square == (10, 105, 100)
    assert clip.spacing == (2.0, 1.0)
    assert not clip.frames[:, :, :100].any()
    assert clip.note == "shows 2 images, of which the one in columns 110 to 199 and rows 10 to 109 was read"


@pytest.mark.parametrize("width", [100, 60, 30])
def test_a_narrow_sector_in_the_region_of_a_wide_one_keeps_the_spacing(tmp_path, width):
    frames = screen((100, width))
    frames = np.pad(frames, ((0, 0), (0, 0), (0, 200 - frames.shape[2])))
    clip = read_clip(write_dicom(tmp_path / "a.dcm", frames, SequenceOfUltrasoundRegions=[region((5, 0, 115, 180))]))
    assert (clip.spacing, clip.note) == ((1.0, 0.5), "")


def test_what_moves_around_a_region_does_not_make_it_unknown(tmp_path):
    frames = np.pad(moving(120, 120), ((0, 0), (0, 0), (20, 20)))
    clip = read_clip(write_dicom(tmp_path / "a.dcm", frames, SequenceOfUltrasoundRegions=[region((10, 30, 110, 130))]))
    assert (clip.square, clip.spacing, clip.note) == ((10, 30, 100), (1.0, 0.5), "")
    assert not clip.frames[:, :10].any()


def test_a_region_that_fits_no_image_and_a_picture_that_does_not_move_are_noted(tmp_path):
    clip = read_clip(write_dicom(tmp_path / "a.dcm", cine(), SequenceOfUltrasoundRegions=[region((0, 0, 30, 30))]))
    assert clip.note == "no ultrasound region of its header fits the image"
    clip = read_clip(write_dicom(tmp_path / "b.dcm", cine(1)))
    assert clip.note == "nothing moves, so text in the picture was kept"


@pytest.mark.parametrize("modality", ["", "OT"])
def test_a_file_of_no_modality_is_known_as_ultrasound_by_its_class(tmp_path, modality):
    clip = read_clip(write_dicom(tmp_path / "a.dcm", cine(), Modality=modality, SequenceOfUltrasoundRegions=[region()]))
    assert clip.spacing == (1.0, 0.5)
    assert not clip.frames[:, 2:8, 2:30].any()  # text


def test_an_ultrasound_volume_is_refused(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", cine(), SOPClassUID="1.2.840.10008.5.1.4.1.1.6.2")
    with pytest.raises(DataError, match=r"a\.dcm: is an ultrasound volume, not a cine; export a cine"):
        read_clip(path)


def test_a_moving_ecg_trace_is_not_part_of_the_sector():
    frames = cine()
    (alone,) = find_sectors(frames)
    frames[np.arange(6), 116, 20 * np.arange(6)] = 255
    frames[:, 114:118] = np.random.default_rng(1).integers(0, 255, (6, 4, SIZE[1]))
    np.testing.assert_array_equal(find_sectors(frames)[0], alone)


@pytest.mark.parametrize("frames", [np.zeros((5, 60, 80), np.uint8), np.full((1, 4, 4), 200, np.uint8)])
def test_without_movement_there_is_no_sector(frames):
    assert find_sectors(frames) == []


def test_shares_in_common():
    assert shares_in_common((0, 0, 2, 2), (0, 0, 2, 4)) == (1, 0.5)
    assert shares_in_common((0, 0, 2, 2), (0, 1, 2, 3)) == (0.5, 0.5)
    assert shares_in_common((0, 0, 2, 2), (5, 5, 6, 6)) == (0, 0)
