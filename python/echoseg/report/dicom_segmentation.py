"""Writes masks of a DICOM file, or of a series in a folder, as a DICOM segmentation (DICOM-SEG).

The masks of a stack have its geometry. Frames of a film are placed by reference alone: an ultrasound cine has no frame
of reference, and the segmentation then has none either. Each of its frames refers to the frame that it segments, pixel
by pixel, and its index is the Temporal Position Index.

A segmentation has the name and the identifiers of the patient, as the standard demands.

Source: DICOM PS3.3, A.51 (Segmentation IOD) and C.8.20.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from echoseg.datasets.structure import structure_name
from echoseg.errors import DataError
from echoseg.io.dicom_file import is_dicom, naming_cause
from echoseg.io.reading import open_volume, read_dicom_headers

if TYPE_CHECKING:
    from pydicom import Dataset

ALGORITHMS = ("AUTOMATIC", "SEMIAUTOMATIC", "MANUAL")
"""How contours were made: by the network; by the network, corrected by a person; by a person, point by point."""

_CODES = {  # SNOMED CT
    "left ventricle": "LeftVentricle",
    "left atrium": "LeftAtrium",
    "right ventricle": "RightVentricle",
    "right atrium": "RightAtrium",
}
_REQUIRED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_OF_STACK = ("FrameOfReferenceUID", "SliceThickness")
_OF_PATIENT = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex")
_OF_STUDY = ("AccessionNumber", "StudyID", "StudyDate", "StudyTime")
_SINGLE_FRAME = "1.2.840.10008.5.1.4.1.1.7"  # Secondary Capture Image Storage
_TEMPORAL_POSITION_INDEX, _FRAME_CONTENT = 0x00209128, 0x00209111


class _Reference(NamedTuple):
    """The image that a mask segments; `frame` counts from 1, and is None for an image of one frame."""

    sop_class: str
    instance: str
    frame: int | None


def is_dicom_source(source: Path) -> bool:
    """Whether an input is a DICOM file, or a folder with a series."""
    return source.is_dir() or is_dicom(source)


def check_highdicom() -> None:
    """Check that the extra `dicomseg` is installed.

    Raises:
        DataError: It is not.
    """
    if find_spec("highdicom") is None:
        raise DataError("a DICOM segmentation needs another package; pip install 'echoseg[dicomseg]'")


def write_dicom_segmentation(
    path: Path,
    source: Path,
    masks: NDArray[np.uint8],
    *,
    structure: str,
    is_stack: bool,
    algorithm: str = "AUTOMATIC",
    creator: str = "",
) -> None:
    """Write masks as a binary DICOM segmentation with one segment.

    Args:
        path: The file to write.
        source: The DICOM file that the masks segment, or the folder of a series.
        masks: (T, H, W) uint8, 0 or 1: a mask for each frame of the clip that was read from the source.
        structure: The name of what is segmented.
        is_stack: Whether the frames are slices.
        algorithm: How the contours were made, a name in `ALGORITHMS`.
        creator: The person who made or corrected the contours; "" if unknown.

    Raises:
        DataError: The package highdicom is missing; the source lacks an attribute that a segmentation refers to; the
            frames are slices in one file; or the structure is no chamber of the heart.
    """
    check_highdicom()
    if structure_name(structure) not in _CODES:
        raise DataError(
            f"{source}: no DICOM segmentation is written of {structure}, for which echoseg has no code; use the masks"
            f" beside it (it has codes for {', '.join(_CODES)})"
        )
    if is_stack and not source.is_dir():
        raise DataError(
            f"{source}: no DICOM segmentation is written of slices in one file; use mask.nii.gz, or save each slice as"
            " a file"
        )
    headers = read_dicom_headers(source)
    if is_stack:
        voxels = open_volume(source).restore(masks)  # (column, row, slice)
        masks = np.moveaxis(voxels, -1, 0).transpose(0, 2, 1)
    with naming_cause(source), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # highdicom's, about names of patients
        _complete(headers, (*_REQUIRED, *_OF_STACK) if is_stack else _REQUIRED)
        made = {"structure": structure_name(structure), "algorithm": algorithm, "creator": creator}
        segment = _segmentation if is_stack else _of_film  # slices have their geometry
        segment([header for _, header in headers], masks, **made).save_as(path)


def _complete(headers: list[tuple[str, Dataset]], required: Sequence[str]) -> None:
    """Check the headers of files, and add what anonymised files may lack; in a segmentation it may be empty.

    Raises:
        DataError: A header lacks a required attribute. The message lacks the name of a single file.
    """
    for file, header in headers:
        for name in required:
            if name not in header:
                part = f"{file}: " if len(headers) > 1 else ""
                raise DataError(f"{part}its header has no {name}, which a DICOM segmentation needs; export it again")
        for name in (*_OF_PATIENT, *_OF_STUDY):
            if name not in header:
                setattr(header, name, None)


def _of_film(headers: list[Dataset], masks: NDArray[np.uint8], **made: str) -> Any:
    """The segmentation of a film or a single image.

    highdicom makes segmentations without a frame of reference for one frame only. The other frames are added here.
    """
    import pydicom
    from pydicom.pixels import pack_bits

    header = headers[0]
    if len(headers) == 1:
        numbers = [None] if "NumberOfFrames" not in header else range(1, len(masks) + 1)
        references = [_Reference(header.SOPClassUID, header.SOPInstanceUID, number) for number in numbers]
    else:
        references = [_Reference(each.SOPClassUID, each.SOPInstanceUID, None) for each in headers]
    if (header.Rows, header.Columns) != masks.shape[1:] or len(references) != len(masks):
        raise DataError("its header declares other frames than it holds; export it again")
    for name in ("FrameOfReferenceUID", "NumberOfFrames", "PixelSpacing"):
        if name in header:
            delattr(header, name)
    header.SOPClassUID = _SINGLE_FRAME  # classes that are retired, or demand a frame of reference, are refused
    segmentation = _segmentation([header], masks[:1], **made)

    instances = [_image_reference(each) for each in dict.fromkeys(each._replace(frame=None) for each in references)]
    segmentation.SourceImageSequence = instances
    segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence = instances
    index = pydicom.Dataset()
    index.DimensionOrganizationUID = segmentation.DimensionIndexSequence[0].DimensionOrganizationUID
    index.DimensionIndexPointer, index.FunctionalGroupPointer = _TEMPORAL_POSITION_INDEX, _FRAME_CONTENT
    index.DimensionDescriptionLabel = "Temporal Position Index"
    segmentation.DimensionIndexSequence.append(index)
    template = segmentation.PerFrameFunctionalGroupsSequence[0]
    groups = []
    for position, reference in enumerate(references, 1):
        group = copy.deepcopy(template)
        group.FrameContentSequence[0].DimensionIndexValues = [1, position]  # the segment, the frame
        group.FrameContentSequence[0].TemporalPositionIndex = position
        group.DerivationImageSequence[0].SourceImageSequence[0].update(_image_reference(reference))
        groups.append(group)
    segmentation.PerFrameFunctionalGroupsSequence = groups
    segmentation.NumberOfFrames, segmentation.PixelData = len(masks), pack_bits(masks)
    return segmentation


def _image_reference(reference: _Reference) -> Dataset:
    import pydicom

    item = pydicom.Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = reference.sop_class, reference.instance
    if reference.frame is not None:
        item.ReferencedFrameNumber = reference.frame
    return item


def _segmentation(
    headers: list[Dataset], masks: NDArray[np.uint8], *, structure: str, algorithm: str, creator: str
) -> Any:
    import highdicom
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom.sr.codedict import codes

    software = version("echoseg")
    identification = None
    if algorithm != "MANUAL":
        family = codes.DCM.ArtificialIntelligence
        identification = highdicom.AlgorithmIdentificationSequence("echoseg", family, software)
    description = SegmentDescription(
        1, structure, codes.SCT.AnatomicalStructure, getattr(codes.SCT, _CODES[structure]), algorithm, identification
    )
    segmentation = Segmentation(
        headers,
        masks,
        "BINARY",
        [description],
        series_instance_uid=highdicom.UID(),
        series_number=1,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="echoseg",
        manufacturer_model_name="echoseg",
        software_versions=software,
        device_serial_number="none",
        content_description=f"{structure}, {algorithm.lower()}",
        content_creator_name=f"{creator}^" if creator else None,
        omit_empty_frames=False,
    )
    if not creator.isascii():
        segmentation.SpecificCharacterSet = "ISO_IR 192"  # UTF-8
    return segmentation
