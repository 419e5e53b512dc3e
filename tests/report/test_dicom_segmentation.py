"""DICOM segmentations: read again by highdicom and by pydicom, they hold the masks, frame by frame."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.examples import get_path
from pydicom.uid import ExplicitVRLittleEndian

from _series import SHAPE, pixels, write_series
from echoseg.errors import DataError
from echoseg.io.reading import read_clip
from echoseg.report.dicom_segmentation import ALGORITHMS, check_highdicom, write_dicom_segmentation

highdicom = pytest.importorskip("highdicom")

ULTRASOUND, RETIRED = "1.2.840.10008.5.1.4.1.1.3.1", "1.2.840.10008.5.1.4.1.1.3"
SINGLE, ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.4.1"
STUDY = {"StudyInstanceUID": "1.2.7", "FrameOfReferenceUID": "1.2.9", "SliceThickness": 8.0}


def masks_of(shape, seed=0):
    """Masks of which some are empty, with a number of pixels that is no multiple of 8."""
    masks = np.random.default_rng(seed).integers(0, 2, shape).astype(np.uint8)
    masks[::3] = 0
    return masks


def write_film(path, shape, sop_class=ULTRASOUND, **tags):
    """Write a film; a tag whose value is None is left out."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, "1.2.3"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID, data.Modality, data.PatientID = sop_class, "1.2.3", "US", "4711"
    data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.7", "1.2.8"
    data.Rows, data.Columns = shape[1:]
    if sop_class != SINGLE:
        data.NumberOfFrames = shape[0]
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 8, 8, 7
    data.PixelData = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8).tobytes()
    for name, value in tags.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


def written(tmp_path, source, masks, **settings):
    path = tmp_path / "segmentation.dcm"
    settings = {"structure": "left ventricle", "is_stack": False, **settings}
    write_dicom_segmentation(path, source, masks, **settings)
    data = pydicom.dcmread(path)
    if not settings["is_stack"]:  # the frames of stacks are in an order of their own
        np.testing.assert_array_equal(data.pixel_array.reshape(masks.shape), masks)
    return data, highdicom.seg.segread(path)


def references(data):
    """The instance and the number of the frame to which each frame refers."""
    items = [group.DerivationImageSequence[0].SourceImageSequence[0] for group in data.PerFrameFunctionalGroupsSequence]
    return [(item.ReferencedSOPInstanceUID, item.get("ReferencedFrameNumber")) for item in items]


@pytest.mark.parametrize("sop_class", [ULTRASOUND, RETIRED, ENHANCED_MR])
def test_the_frames_of_a_film_refer_to_those_that_they_segment(tmp_path, sop_class):
    masks = masks_of((7, 9, 11))
    source = write_film(tmp_path / "a.dcm", masks.shape, sop_class, FrameOfReferenceUID="1.2.9")
    data, read = written(tmp_path, source, masks)
    found = read.get_pixels_by_source_frame("1.2.3", list(range(1, 8)))
    np.testing.assert_array_equal(found[..., 0], masks)
    order = [5, 2, 7]
    np.testing.assert_array_equal(read.get_pixels_by_source_frame("1.2.3", order)[..., 0], masks[np.array(order) - 1])
    assert references(data) == [("1.2.3", number) for number in range(1, 8)]
    (instance,) = data.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert (instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID) == (sop_class, "1.2.3")
    assert "FrameOfReferenceUID" not in data
    assert "PixelMeasuresSequence" not in data.SharedFunctionalGroupsSequence[0]
    indices = [group.FrameContentSequence[0].DimensionIndexValues for group in data.PerFrameFunctionalGroupsSequence]
    assert [list(index) for index in indices] == [[1, number] for number in range(1, 8)]
    assert [item.DimensionDescriptionLabel for item in data.DimensionIndexSequence] == [
        "Referenced Segment Number", "Temporal Position Index"
    ]  # fmt: skip


def test_the_segment_says_what_it_is_and_how_it_was_made(tmp_path):
    masks = masks_of((2, 8, 8))
    source = write_film(tmp_path / "a.dcm", masks.shape, PatientName="Doe^Jane", StudyDate="20260102")
    for structure, code in (("LV", "87878005"), ("left atrium", "82471001")):
        for algorithm in ALGORITHMS:
            data, _ = written(tmp_path, source, masks, structure=structure, algorithm=algorithm, creator="Bea")
            (segment,) = data.SegmentSequence
            assert segment.SegmentAlgorithmType == algorithm
            assert segment.get("SegmentAlgorithmName") == (None if algorithm == "MANUAL" else "echoseg")
            kind = segment.SegmentedPropertyTypeCodeSequence[0]
            assert (kind.CodeValue, kind.CodingSchemeDesignator) == (code, "SCT")
    assert segment.SegmentLabel == "left atrium"
    assert (data.SegmentationType, data.ContentCreatorName) == ("BINARY", "Bea^")
    assert (data.PatientName, data.PatientID, data.StudyDate) == ("Doe^Jane", "4711", "20260102")
    assert (data.StudyInstanceUID, data.AccessionNumber, data.PatientSex) == ("1.2.7", "", "")
    assert data.SeriesInstanceUID != "1.2.8"


@pytest.mark.parametrize("character_set", ["ISO_IR 100", "ISO_IR 192"])
def test_names_are_written_in_unicode(tmp_path, character_set):
    masks = masks_of((2, 8, 8))
    names = {"SpecificCharacterSet": character_set, "PatientName": "Müller^Jürgen"}
    source = write_film(tmp_path / "a.dcm", masks.shape, **names)
    data, _ = written(tmp_path, source, masks, creator="Łukasz 山田")
    assert (data.PatientName, data.ContentCreatorName) == ("Müller^Jürgen", "Łukasz 山田^")


def test_an_image_of_one_frame_has_no_number_of_a_frame(tmp_path):
    masks = masks_of((1, 9, 11)) + 1
    masks[0, 4:] = 0
    data, _ = written(tmp_path, write_film(tmp_path / "a.dcm", masks.shape, SINGLE), masks)
    assert references(data) == [("1.2.3", None)]


@pytest.mark.slow
def test_a_real_cine(tmp_path):
    source = get_path("ybr_color")
    masks = masks_of(read_clip(source).frames.shape)
    data, read = written(tmp_path, source, masks, algorithm="SEMIAUTOMATIC")
    instance = pydicom.dcmread(source, stop_before_pixels=True).SOPInstanceUID
    np.testing.assert_array_equal(read.get_pixels_by_source_frame(instance, range(1, 31))[..., 0], masks)
    assert data.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == instance


def test_the_masks_of_a_series_have_its_geometry(tmp_path):
    folder = write_series(tmp_path / "series", pixels(), **STUDY)
    clip = read_clip(folder)
    assert np.isfinite(clip.thickness)
    masks = masks_of(clip.frames.shape)
    data, read = written(tmp_path, folder, masks, is_stack=True)
    assert data.FrameOfReferenceUID == "1.2.9"
    assert data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing == [1.25, 1.5]
    slices = {pydicom.dcmread(path).SOPInstanceUID: path for path in folder.iterdir()}
    assert len(slices) == len(masks)
    for segmented, (instance, _) in zip(data.pixel_array, references(data), strict=True):
        stored = pydicom.dcmread(slices[instance]).pixel_array
        likeness = [np.corrcoef(stored.ravel(), frame.ravel())[0, 1] for frame in clip.frames]
        mask = masks[np.argmax(likeness)]  # of the frame that shows this slice
        assert max(likeness) > 0.99
        np.testing.assert_array_equal(segmented, mask)
        np.testing.assert_array_equal(read.get_pixels_by_source_instance([instance])[0, ..., 0], mask)


def test_a_film_whose_frames_are_files(tmp_path):
    folder = tmp_path / "film"
    for k, image in enumerate(pixels()):
        write_series(folder / f"{k}", image[None], TriggerTime=40.0 * k, **STUDY)
        next((folder / f"{k}").iterdir()).rename(folder / f"{k}.dcm")
        (folder / f"{k}").rmdir()
        data = pydicom.dcmread(folder / f"{k}.dcm")
        data.SOPInstanceUID = f"1.2.3.{k}"
        data.save_as(folder / f"{k}.dcm")
    masks = masks_of(SHAPE)
    assert np.isnan(read_clip(folder).thickness)
    data, _ = written(tmp_path, folder, masks)
    assert references(data) == [(f"1.2.3.{k}", None) for k in range(SHAPE[0])]
    assert len(data.SourceImageSequence) == SHAPE[0]


@pytest.mark.parametrize("name", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_a_missing_attribute_is_named_in_one_line(tmp_path, name):
    source = write_film(tmp_path / "a.dcm", (2, 8, 8), **{name: None})
    with pytest.raises(DataError, match=f"^{source}: its header has no {name}, .* export it again$"):
        written(tmp_path, source, masks_of((2, 8, 8)))


@pytest.mark.parametrize("name", ["FrameOfReferenceUID", "SliceThickness", "StudyInstanceUID"])
def test_a_series_names_its_missing_attribute(tmp_path, name):
    tags = {tag: value for tag, value in STUDY.items() if tag != name}
    folder = write_series(tmp_path / "series", pixels(), **tags)
    with pytest.raises(DataError, match=name) as caught:
        written(tmp_path, folder, masks_of(read_clip(folder).frames.shape), is_stack=True)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"structure": "spleen"}, "of spleen, for which echoseg has no code"),
        ({"is_stack": True}, "of slices in one file; use mask.nii.gz"),
    ],
)
def test_what_is_not_written_is_said(tmp_path, settings, message):
    with pytest.raises(DataError, match=message):
        written(tmp_path, write_film(tmp_path / "a.dcm", (2, 8, 8)), masks_of((2, 8, 8)), **settings)


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr("echoseg.report.dicom_segmentation.find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"pip install 'echoseg\[dicomseg\]'"):
        check_highdicom()
