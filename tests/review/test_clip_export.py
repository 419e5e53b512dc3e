"""The masks of reviewed clips as files: TIFF, NIfTI and DICOM segmentation."""

from __future__ import annotations

import shutil
import zipfile
from io import BytesIO

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.examples import get_path

from _folders import write_folder
from _reviewing import EFFORT, drawing_of_weights, handles_of, outlines, reviewed
from echoseg.cli import main
from echoseg.errors import DataError
from echoseg.review.clip_export import export_clips, zip_clip
from echoseg.review.clip_states import states_of
from echoseg.review.clips import Clips
from echoseg.review.corrections_folder import CorrectionsFolder
from echoseg.review.handles import Handles
from echoseg.review.tables import FrameState


def masks_in(folder):
    return np.asarray(nibabel.load(folder / "mask.nii.gz").dataobj)[:, :, 0].transpose(2, 1, 0)


def test_a_folder_for_each_reviewed_file(tmp_path):
    data = write_folder(tmp_path / "data")
    states = {
        ("a.avi", 2): FrameState(handles_of(2, 1.5)),
        ("b.avi", 1): FrameState(None, "rejected"),
        ("c.avi", 3): FrameState(None, "accepted"),
    }
    with reviewed(tmp_path, [data], states) as (clips, corrections):
        assert export_clips(clips, corrections, tmp_path / "out") == (2, [])
        loaded = clips.open(0)
        carried = clips.carried(loaded, states_of(loaded, corrections))
        assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.avi", "c.avi"}
        np.testing.assert_array_equal(masks_in(tmp_path / "out" / "a.avi"), carried.masks)
        assert (carried.masks[5] != loaded.prediction.masks[5]).any()
        np.testing.assert_array_equal(masks_in(tmp_path / "out" / "c.avi"), clips.open(2).prediction.masks)
        names = {path.name for path in (tmp_path / "out" / "a.avi").iterdir()}
        assert names == {"masks.tif", "mask.nii.gz", "frames.csv", "beats.csv", "png"}
        with pytest.raises(FileExistsError):
            export_clips(clips, corrections, tmp_path / "out")


def test_without_a_correction_nothing_is_carried(tmp_path, monkeypatch):
    data = write_folder(tmp_path / "data")
    monkeypatch.setattr(Clips, "carried", None)
    with reviewed(tmp_path, [data], {("a.avi", 3): FrameState(None, "accepted")}) as (clips, corrections):
        assert export_clips(clips, corrections, tmp_path / "out") == (1, [])


@pytest.mark.parametrize("frames", [[], [40]], ids=["none", "beyond the end"])
def test_nothing_is_exported_without_a_reviewed_frame(tmp_path, frames):
    data = write_folder(tmp_path / "data")
    states = {("a.avi", frame): FrameState(None, "accepted") for frame in frames}
    with reviewed(tmp_path, [data], states) as session, pytest.raises(DataError, match="no frame is corrected"):
        export_clips(*session, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def cine(tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    return shutil.copyfile(get_path("ybr_color"), folder / "cine.dcm")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pinned", "corrected", "algorithm"),
    [
        (False, [], "AUTOMATIC"),
        (True, [3], "SEMIAUTOMATIC"),
        (False, range(30), "SEMIAUTOMATIC"),
        (True, range(30), "MANUAL"),
    ],
)
def test_a_cine_has_a_segmentation_that_says_how_it_was_made(tmp_path, cine, pinned, corrected, algorithm):
    highdicom = pytest.importorskip("highdicom")
    handles = {k: Handles(outlines(30)[k] + np.float32(2), np.arange(5), np.full(5, pinned)) for k in corrected}
    states = {("cine.dcm", k): FrameState(of_frame) for k, of_frame in handles.items()}
    with reviewed(tmp_path, [cine], states) as (clips, corrections):
        loaded = clips.open(0)
        archive, note = zip_clip(clips, loaded, corrections, carry=False)
        expected = clips.corrected(loaded, states_of(loaded, corrections)).masks
    assert note == ""
    zipfile.ZipFile(BytesIO(archive)).extractall(tmp_path / "out")
    np.testing.assert_array_equal(masks_in(tmp_path / "out"), expected)
    read = highdicom.seg.segread(tmp_path / "out" / "segmentation.dcm")
    instance = pydicom.dcmread(cine, stop_before_pixels=True).SOPInstanceUID
    np.testing.assert_array_equal(read.get_pixels_by_source_frame(instance, range(1, 31))[..., 0], expected)
    assert read.SegmentSequence[0].SegmentAlgorithmType == algorithm


def test_what_a_cine_lacks_is_noted_and_the_rest_is_exported(tmp_path, cine, monkeypatch):
    monkeypatch.setattr("echoseg.report.dicom_segmentation.find_spec", lambda _: None)
    with reviewed(tmp_path, [cine], {}) as (clips, corrections):
        archive, note = zip_clip(clips, clips.open(0), corrections)
    assert "pip install 'echoseg[dicomseg]'" in note
    names = zipfile.ZipFile(BytesIO(archive)).namelist()
    assert {"masks.tif", "mask.nii.gz"} <= set(names)
    assert "segmentation.dcm" not in names


@pytest.mark.slow
def test_the_command_exports_masks(tmp_path, capsys, cine):
    corrections = CorrectionsFolder(tmp_path / "done", drawing_of_weights(), kind="chords")
    corrections.save("cine.dcm", 4, FrameState(None, "accepted"), version=0, before=np.zeros((13, 2)), effort=EFFORT)
    corrections.close()
    data = pydicom.dcmread(cine)
    del data.StudyInstanceUID
    data.save_as(cine)
    export = ["--corrections", str(tmp_path / "done"), "--export-masks", str(tmp_path / "out")]
    assert main(["review", str(cine), *export, "--device", "cpu"]) == 0
    printed = capsys.readouterr()
    assert "the masks of 1 file\n" in printed.out
    assert "no DICOM segmentation" in printed.err
    assert masks_in(tmp_path / "out" / "cine.dcm").shape == (30, 240, 320)
