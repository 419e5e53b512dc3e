"""Exports reviewed clips as the files that `echoseg predict` writes, and as DICOM segmentations."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from echoseg.datasets.structure import LEFT_VENTRICLE
from echoseg.errors import DataError
from echoseg.review.clip_states import measure_reviewed, states_of
from echoseg.review.clips import Clips, LoadedClip
from echoseg.review.corrections_folder import CorrectionsFolder
from echoseg.review.tables import FrameState
from echoseg.utils.files import new_folder

OUTPUTS = {"cine": ("masks", "frames", "png", "nifti"), "stack": ("masks", "frames")}
SEGMENTATION = "segmentation.dcm"


class ExportedClips(NamedTuple):
    """What was exported.

    Attributes:
        files: The number of files.
        notes: A line for each file of which something was not written: file, cause and cure.
    """

    files: int
    notes: list[str]


def write_clip(
    folder: Path, clips: Clips, loaded: LoadedClip, corrections: CorrectionsFolder, *, carry: bool = True
) -> str:
    """Write the masks, frames and beats of a clip, with corrections.

    These are what `echoseg predict --keep masks frames png nifti` writes: `masks.tif`; `mask.nii.gz`; `frames.csv`; and
    `png/`, with a mask and an overlay of each frame. Of a stack, it is what `--keep masks frames` writes. `beats.csv`
    has a row for each beat. If the clip is DICOM, `segmentation.dcm` has the masks as a DICOM segmentation.

    Args:
        folder: The folder to write to.
        clips: The clips of the review.
        loaded: One of them.
        corrections: What the person did.
        carry: Whether the corrections are carried to the other frames of a cine.

    Returns:
        Why there is no DICOM segmentation of a DICOM file: file, cause and cure; else "".

    Raises:
        DataError: The files cannot be written.
    """
    # these import matplotlib and pydicom, which the page does not need
    from echoseg.report.dicom_segmentation import is_dicom_source, write_dicom_segmentation
    from echoseg.report.results import write_prediction

    states, source = states_of(loaded, corrections), loaded.source.path
    is_stack = bool(np.isfinite(loaded.clip.thickness))
    is_corrected = any(state.handles is not None for state in states.values())
    is_carried = carry and is_corrected and not is_stack
    prediction = clips.carried(loaded, states) if is_carried else clips.corrected(loaded, states)
    measurement = measure_reviewed(clips, loaded, prediction, corrections)
    structure, keep = clips.predictor.config.structure or LEFT_VENTRICLE, OUTPUTS["stack" if is_stack else "cine"]
    write_prediction(source, loaded.clip, prediction, measurement, folder, keep=keep, structure=structure)
    if not is_stack:
        beats = {"ed": measurement.ed, "es": measurement.es}
        volumes = {f"edv_{measurement.unit}": measurement.edv, f"esv_{measurement.unit}": measurement.esv}
        table = pd.DataFrame({**beats, **volumes, "ef": measurement.ef})
        table.to_csv(folder / "beats.csv", index=False, float_format="%.3f")
    if not is_dicom_source(source):
        return ""
    algorithm = _algorithm(states, len(prediction))
    try:
        write_dicom_segmentation(
            folder / SEGMENTATION,
            source,
            prediction.masks,
            structure=structure,
            is_stack=is_stack,
            algorithm=algorithm,
            creator=corrections.reader,
        )
    except DataError as error:
        return str(error)
    return ""


def zip_clip(
    clips: Clips, loaded: LoadedClip, corrections: CorrectionsFolder, *, carry: bool = True
) -> tuple[bytes, str]:
    """Make a ZIP archive of what `write_clip` writes, and return it with the note."""
    archive = io.BytesIO()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        note = write_clip(folder, clips, loaded, corrections, carry=carry)
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    file.write(path, path.relative_to(folder).as_posix())
    return archive.getvalue(), note


def export_clips(clips: Clips, corrections: CorrectionsFolder, out: Path) -> ExportedClips:
    """Write a folder for each clip with a corrected or accepted frame, by `write_clip`.

    Args:
        clips: The clips of the review.
        corrections: What the person did with them.
        out: The folder to write; it must not exist.

    Raises:
        DataError: No frame is corrected or accepted, or a file cannot be read.
        FileExistsError: `out` exists.
        OSError: A file cannot be written.
    """
    files, notes = 0, []
    with new_folder(out) as folder:
        for number, source in enumerate(clips.sources):
            if not any(state.is_kept for state, _ in corrections.states(source.name).values()):
                continue
            loaded = clips.open(number)
            if not any(state.is_kept for state in states_of(loaded, corrections).values()):
                continue
            target = folder / source.name
            target.mkdir()
            notes.append(write_clip(target, clips, loaded, corrections))
            files += 1
        if not files:
            raise DataError(f"{corrections.folder}: no frame is corrected or accepted yet")
    return ExportedClips(files, [note for note in notes if note])


def _algorithm(states: Mapping[int, FrameState], frames: int) -> str:
    """How the contours were made, as DICOM calls it; manual if a person has placed every point of every frame."""
    corrected = [state.handles for state in states.values() if state.handles is not None]
    if len(corrected) == frames and all(handles.pinned.all() for handles in corrected):
        return "MANUAL"
    return "SEMIAUTOMATIC" if corrected else "AUTOMATIC"
