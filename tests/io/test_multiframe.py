"""One DICOM file whose frames are slices, or time points with a position: enhanced MR and CT."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from _series import SHAPE, SPACING, pixels, write_series, write_slice
from echoseg.errors import DataError
from echoseg.io.reading import axis3_taken_for, open_volume, read_clip
from echoseg.io.volume import to_grey

IMAGES = pixels()
AXIAL = [1, 0, 0, 0, 1, 0]


def items(**values):
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return Sequence([item])


def write_frames(path, images, heights, *, times=(), slopes=(), spacing=SPACING, **tags):
    """Write an enhanced MR file; a frame for each image, at the positions (-20, 7, height)."""
    shared = Dataset()
    if spacing:
        shared.PixelMeasuresSequence = items(PixelSpacing=list(spacing), SpacingBetweenSlices=8)
    shared.PlaneOrientationSequence = items(ImageOrientationPatient=AXIAL)
    frames = []
    for number, height in enumerate(heights):
        frame = Dataset()
        if height is not None:
            frame.PlanePositionSequence = items(ImagePositionPatient=[-20, 7, height])
        if times:
            frame.CardiacSynchronizationSequence = items(NominalCardiacTriggerDelayTime=times[number])
        if slopes:
            frame.PixelValueTransformationSequence = items(RescaleSlope=slopes[number], RescaleIntercept=0)
        frames.append(frame)
    removed = dict.fromkeys(("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient"))
    tags = {"PixelData": np.ascontiguousarray(images).tobytes(), "NumberOfFrames": len(images), **removed, **tags}
    groups = {
        "SharedFunctionalGroupsSequence": Sequence([shared]),
        "PerFrameFunctionalGroupsSequence": Sequence(frames),
    }
    return write_slice(path, images[0], (0, 0, 0), **groups, **tags)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_the_frames_of_a_file_equal_the_files_of_a_series(tmp_path, order):
    series = write_series(tmp_path / "series", IMAGES)
    path = write_frames(tmp_path / "a.dcm", IMAGES[list(order)], [30 + 8 * k for k in order])
    expected, clip = read_clip(series), read_clip(path)
    np.testing.assert_array_equal(clip.frames, expected.frames)
    assert (clip.spacing, clip.thickness, clip.note) == (SPACING, 8, "")
    volume = open_volume(path)
    np.testing.assert_allclose(volume.affine, open_volume(series).affine)
    assert (volume.shape, volume.axes, volume.flipped) == (SHAPE, (2, 1, 0), ())


def test_frames_are_rescaled_by_their_own_slopes(tmp_path):
    slopes = [1, 2, 0.5, 1]
    path = write_frames(tmp_path / "a.dcm", IMAGES, [30, 38, 46, 54], slopes=slopes)
    expected = to_grey(IMAGES * np.array(slopes, np.float32)[:, None, None])
    np.testing.assert_array_equal(read_clip(path).frames, expected)


def test_frames_at_one_position_are_a_film_in_the_order_of_time(tmp_path):
    path = write_frames(tmp_path / "a.dcm", IMAGES[[1, 0, 3, 2]], [30] * 4, times=[40.0, 0.0, 120.0, 80.0])
    clip = read_clip(path)
    np.testing.assert_array_equal(clip.frames, to_grey(IMAGES))
    assert (clip.spacing, clip.fps) == (SPACING, pytest.approx(25))
    assert np.isnan(clip.thickness)


def test_without_times_the_frames_at_one_position_are_a_film_in_their_order(tmp_path):
    clip = read_clip(write_frames(tmp_path / "a.dcm", IMAGES, [30] * 4))
    assert (len(clip.frames), clip.spacing) == (4, SPACING)
    assert np.isnan([clip.thickness, clip.fps]).all()


@pytest.mark.parametrize("heights", [[None] * 4, [30, 38, None, 54]])
def test_frames_without_a_position_are_a_film(tmp_path, heights):
    assert np.isnan(read_clip(write_frames(tmp_path / "a.dcm", IMAGES, heights)).thickness)


def test_the_first_phase_of_several_is_read(tmp_path):
    heights, times = zip(*itertools.product((30, 38), (0.0, 40.0)), strict=True)
    clip = read_clip(write_frames(tmp_path / "a.dcm", IMAGES, heights, times=times))
    assert (len(clip.frames), clip.thickness) == (2, 8)
    assert clip.note.startswith("2 phases at each of 2 positions, of which the first after the R wave was read")


@pytest.mark.parametrize(
    ("heights", "options", "message"),
    [
        ([30, 38, 54, 62], {}, "from frame 2 to frame 3 it is 16 mm, but 8 mm between other slices"),
        ([30, 38, 38, 46], {}, "has 1 image at the position of frame 1, but 2 at that of frame 2"),
        ([30, 38, 46, 54], {"PixelData": IMAGES[:3].tobytes()}, "frame 4 is missing, since the file is cut off"),
    ],
)
def test_frames_that_are_no_stack_are_refused(tmp_path, heights, options, message):
    path = write_frames(tmp_path / "a.dcm", IMAGES, heights, **options)
    with pytest.raises(DataError) as caught:
        read_clip(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert str(caught.value).count(str(path)) == 1


def test_a_distance_of_slices_without_positions_and_frame_time_means_slices(tmp_path):
    shown = {"PixelData": IMAGES.tobytes(), "NumberOfFrames": 4, "SpacingBetweenSlices": 8}
    clip = read_clip(write_slice(tmp_path / "a.dcm", IMAGES[0], (0, 0, 0), **shown))
    assert (clip.spacing, clip.thickness) == (SPACING, 8)
    assert clip.note.startswith("its 4 frames are taken for slices, since it has a SpacingBetweenSlices; to overrule")
    film = write_slice(tmp_path / "b.dcm", IMAGES[0], (0, 0, 0), **shown, FrameTime=40)
    assert (np.isnan(read_clip(film).thickness), read_clip(film).fps) == (True, 25)
    with axis3_taken_for("time"):
        assert np.isnan(read_clip(tmp_path / "a.dcm").thickness)


def test_a_film_is_no_volume(tmp_path):
    path = write_slice(tmp_path / "a.dcm", IMAGES[0], (0, 0, 0))
    with pytest.raises(DataError, match=r"a\.dcm: its frames are no slices; give a volume"):
        open_volume(path)
