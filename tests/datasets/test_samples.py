from __future__ import annotations

import dataclasses

import cv2
import nibabel
import numpy as np
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from _folders import SIZE, chord_lines, edit_lines, ellipse_chords, set_cell, write_folder, write_video
from echoseg.datasets.echonet import read_echonet
from echoseg.datasets.recording import Dataset, Fault, Recording, Tracing
from echoseg.datasets.samples import Sample, decode_dataset
from echoseg.datasets.store import prepare
from echoseg.geometry.contour import contour_area
from echoseg.geometry.crop import Box, Crop
from echoseg.io.clip import Clip

TRACINGS = "VolumeTracings.csv"


def decode(folder, **options) -> tuple[list[Sample], list[Fault]]:
    results = list(decode_dataset(read_echonet(folder), **options))
    samples = [sample for result in results for sample in result.samples]
    return samples, [fault for result in results for fault in result.faults]


def phases(folder) -> list[tuple[str, int, str]]:
    return [tuple(sample.metadata[name] for name in ("video", "frame", "phase")) for sample in decode(folder)[0]]


def test_the_phase_is_determined_by_area_not_by_position(folder):
    edit_lines(
        folder / TRACINGS,
        lambda lines: lines.__setitem__(
            slice(1, 21), [line[:-1] + {"2": "5", "5": "2"}[line[-1]] for line in lines[1:21]]
        ),
    )
    assert phases(folder)[:2] == [("a", 2, "ED"), ("a", 5, "ES")]


def test_the_phase_is_unknown_unless_exactly_two_frames_are_traced(folder):
    edit_lines(folder / TRACINGS, lambda lines: lines.__setitem__(slice(61, 61), chord_lines("c", 0, ellipse_chords())))
    edit_lines(folder / TRACINGS, lambda lines: lines.__delitem__(slice(1, 11)))
    assert [phase for _, _, phase in phases(folder)] == ["", "ES", "ED", "", "", ""]


def test_contours_are_scaled_with_the_pixels(folder):
    for original, resized in zip(decode(folder, size=SIZE)[0], decode(folder, size=(80, 24))[0], strict=True):
        assert original.image.shape == SIZE
        assert resized.image.shape == (80, 24)
        np.testing.assert_allclose(resized.contour, (original.contour + 0.5) * [0.5, 2] - 0.5, atol=1e-5)
        # height and width give the scale to the video's pixels
        scale = resized.metadata["height"] / 80 * resized.metadata["width"] / 24
        assert contour_area(resized.contour) * scale == pytest.approx(contour_area(original.contour), rel=1e-4)


@pytest.mark.parametrize("size", [(20, 24), (80, 96), (20, 96)])
def test_frames_and_points_are_resized_alike(size):
    image = np.zeros((1, 40, 48), np.uint8)
    image[0, 10:20, 12:36] = 200
    corners = np.array([[11.5, 9.5], [35.5, 19.5]])  # of the bright rectangle, half a pixel from the pixel centres
    crop = Crop(Box(0, 0, 40, 48), size)
    (left, top), (right, bottom) = crop.points(corners) + 0.5
    rows, columns = np.nonzero(crop.frames(image)[0] > 100)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (top, bottom, left, right)


def bad_video(content):
    return lambda folder: (folder / "Videos/b.avi").write_bytes(content)


def far_point(folder):
    set_cell(folder / TRACINGS, 24, 3, "150")


def outside(folder):
    edit_lines(
        folder / TRACINGS,
        lambda lines: lines.__setitem__(slice(21, 31), chord_lines("b", 2, ellipse_chords(centre=(60.0, 20.0)))),
    )


def beyond(folder):
    edit_lines(
        folder / TRACINGS, lambda lines: lines.__setitem__(slice(21, 31), [line[:-1] + "99" for line in lines[21:31]])
    )


def declare_more_frames(folder):
    path = write_video(folder / "Videos/b.avi", frames=4)
    data = bytearray(path.read_bytes())
    data[48] = 8  # dwTotalFrames of avih
    path.write_bytes(data)


FAULTS = {
    "text instead of a video": (bad_video(b"hello" * 99), "Videos/b.avi", None, "cannot be opened as a video", 4),
    "empty video": (bad_video(b""), "Videos/b.avi", None, "is empty", 4),
    "short video": (
        lambda folder: write_video(folder / "Videos/b.avi", frames=4),
        TRACINGS,
        32,
        "beyond the video's 4 frames",
        5,
    ),
    "short video whose header declares more": (
        declare_more_frames,
        TRACINGS,
        32,
        "frame 5 of b is beyond the video's 4 frames (its header declares 8)",
        5,
    ),
    "frame beyond": (beyond, TRACINGS, 22, "frame 99 of b is beyond the video's 8 frames", 5),
    "far point": (far_point, TRACINGS, 22, "far outside its 48×40 pixels", 5),
    "contour outside": (outside, TRACINGS, 22, "without area inside its 48×40 pixels", 5),
}


@pytest.mark.parametrize("case", FAULTS)
def test_faults_of_videos_are_left_out_and_reported(folder, case):
    damage, file, row, reason, count = FAULTS[case]
    damage(folder)
    samples, faults = decode(folder)
    assert len(samples) == count
    (fault,) = faults
    assert (fault.file, fault.row) == (file, row)
    assert reason in fault.reason


def test_a_frame_keeps_its_phase_if_the_other_is_left_out(folder):
    beyond(folder)
    assert phases(folder)[2:4] == [("b", 5, "ED"), ("c", 2, "ES")]


def test_samples_are_in_the_order_of_the_file_list(tmp_path):
    names = [f"v{i:02d}" for i in range(40)]
    dataset = read_echonet(write_folder(tmp_path / "many", names))
    assert [result.samples[0].metadata["video"] for result in decode_dataset(dataset)] == names


def test_frames_and_contours_are_cropped_alike(tmp_path):
    image = np.zeros((60, 80), np.uint8)
    image[26:34, 30:50] = 200
    nibabel.save(nibabel.Nifti1Image(image.T, np.diag([0.5, 2.0, 1, 1])), tmp_path / "a.nii")
    outline = np.array([[29.5, 25.5], [49.5, 25.5], [49.5, 33.5], [29.5, 33.5]], np.float32)
    recording = Recording("a", tmp_path / "a.nii", "a", (Tracing(0, outline, 0),), spacing=(2.0, 0.5))
    dataset = Dataset(tmp_path, "points", (recording,), ())
    for fov_mm in (30.0, 60.0, 200.0):  # smaller than the frame, in between, larger than the frame
        ((sample,),) = (result.samples for result in decode_dataset(dataset, size=(240, 240), fov_mm=fov_mm))
        rows, columns = np.nonzero(sample.image > 100)
        (left, top), (right, bottom) = sample.contour[[0, 2]] + 0.5
        assert (rows.min(), rows.max() + 1) == (pytest.approx(top, abs=1), pytest.approx(bottom, abs=1))
        assert (columns.min(), columns.max() + 1) == (pytest.approx(left, abs=1), pytest.approx(right, abs=1))
        spacing_y, spacing_x = sample.metadata["spacing_y"], sample.metadata["spacing_x"]
        assert spacing_y == pytest.approx(fov_mm / 240)
        assert spacing_x == pytest.approx(fov_mm / 240)
        assert contour_area(sample.contour) * spacing_y * spacing_x == pytest.approx(8 * 2.0 * 20 * 0.5)
    (result,) = decode_dataset(dataset, fov_mm=8.0)
    assert not result.faults  # a contour that is partly inside is kept
    (result,) = decode_dataset(dataclasses.replace(dataset, recordings=(moved(recording, 23),)), fov_mm=12.0)
    assert [str(fault) for fault in result.faults] == [
        "a.nii: frame 0 of a has a contour without area inside its 24×6 pixels"
    ]


def moved(recording, pixels):
    (tracing,) = recording.tracings
    tracing = dataclasses.replace(tracing, coordinates=tracing.coordinates + np.float32([pixels, 0]), file="a.nii")
    return dataclasses.replace(recording, tracings=(tracing,))


def test_frames_of_a_dicom_file_are_samples(tmp_path):
    folder = write_folder(tmp_path / "data", ("a",))
    (folder / "Videos/a.avi").unlink()
    frames = np.broadcast_to(40 * np.arange(6, dtype=np.uint8)[:, None, None], (6, *SIZE))
    data = FileDataset("", {}, file_meta=FileMetaDataset(), preamble=bytes(128))
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.3.1", "1.2.3"
    data.NumberOfFrames, data.Rows, data.Columns = frames.shape
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 8, 8, 7
    data.PixelData = frames.tobytes()
    data.save_as(folder / "Videos/a.dcm")
    samples, faults = decode(folder, size=SIZE)
    assert [int(sample.image[0, 0]) for sample in samples] == [80, 200]
    assert not faults


def test_turned_videos_are_noted(tmp_path, caplog):
    folder = write_folder(tmp_path / "data", ("a", "b"))
    path = folder / "Videos/a.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 25, SIZE)  # turned, it has the size of b.avi
    for _ in range(6):
        writer.write(np.zeros((*SIZE[::-1], 3), np.uint8))
    writer.release()
    (folder / "Videos/a.avi").unlink()
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 44
    content[matrix : matrix + 36] = np.array([0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30], ">i4").tobytes()
    path.write_bytes(content)
    with caplog.at_level("INFO", "echoseg"):
        store = prepare(folder, size=SIZE)
    note = "1 video turned as the header asks for, such as Videos/a.mp4; the tracings are taken for those of turned"
    assert store.manifest["understood"]["notes"][0].startswith(note)
    assert note in caplog.text


def test_what_a_file_says_of_its_pixels_is_used_as_in_prediction(tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "data", ("a",))
    (folder / "Videos/a.avi").rename(folder / "Videos/a.dcm")
    frames = np.random.default_rng(0).integers(0, 256, (6, *SIZE), dtype=np.uint8)
    clip = Clip(frames, 50.0, (0.5, 0.25), np.nan, square=(4, 6, 32))
    monkeypatch.setattr("echoseg.io.reading.read_clip", lambda path: clip)
    samples, _ = decode(folder, size=(64, 64))
    assert {sample.metadata["spacing_y"] for sample in samples} == {0.25}
    assert {sample.metadata["spacing_x"] for sample in samples} == {0.125}
    expected = Crop(Box(4, 6, 32, 32), (64, 64))
    np.testing.assert_array_equal(samples[0].image, expected.frames(frames[2:3])[0])
    (narrow, *_), _ = decode(folder, size=(64, 64), fov_mm=14.0)
    assert narrow.metadata["crop_width"] == 56
    assert narrow.metadata["crop_height"] == 28
