"""Exports what a person has reviewed as a data set, on which `echoseg train` trains.

The data set has the layout of EchoNet-Dynamic and copies of the files. Its tracings are the contours that the person
has corrected or accepted. Rejected frames, frames without a contour, and frames that were not looked at, have none.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from echoseg.datasets.echonet import FILE_LIST, VIDEOS
from echoseg.datasets.file_contents import HEADERS_ONLY
from echoseg.datasets.tracings import TRACINGS, stem_of
from echoseg.errors import DataError
from echoseg.review.clip_states import states_of
from echoseg.review.clips import Clips
from echoseg.review.corrections_folder import CorrectionsFolder
from echoseg.review.sources import find_patients
from echoseg.utils.files import naming, new_folder


class ExportedSession(NamedTuple):
    """What was exported.

    Attributes:
        files: The number of files.
        frames: The number of frames with a contour.
        left_out: A line for each file with a reviewed frame that is not exported: file, cause and cure.
    """

    files: int
    frames: int
    left_out: list[str]


def export_session(clips: Clips, corrections: CorrectionsFolder, out: Path) -> ExportedSession:
    """Write the corrected and accepted frames as a data set.

    Args:
        clips: The clips of the review.
        corrections: What the person did with them.
        out: The folder to write; it must not exist.

    Raises:
        DataError: No frame is corrected or accepted, or a file cannot be read.
        FileExistsError: `out` exists.
        OSError: A file cannot be copied.
    """
    left_out, files, tracings, frames = [], [], list[str](), 0
    patients = find_patients(clips.sources)
    with new_folder(out) as folder:
        (folder / VIDEOS).mkdir()
        for number, source in enumerate(clips.sources):
            if not any(state.is_kept for state, _ in corrections.states(source.name).values()):
                continue
            if source.path.is_dir() or source.path.suffix.lower() in HEADERS_ONLY:
                left_out.append(f"{source.path}: consists of several files; save it as one file to export it")
                continue
            loaded = clips.open(number)
            states = states_of(loaded, corrections)
            prediction = clips.corrected(loaded, states)
            kept = [frame for frame in sorted(states) if states[frame].is_kept and len(prediction.contours[frame])]
            if not kept:
                left_out.append(f"{source.path}: has no contour in its corrected and accepted frames; correct one")
                continue
            # the name in the tables may be that of a list, without suffix
            name = stem_of(source.name) + source.path.name[len(stem_of(source.path.name)) :]
            with naming(source.path):
                shutil.copyfile(source.path, folder / VIDEOS / name)
            for frame in kept:
                axis = None if prediction.axes is None else prediction.axes[frame]
                tracings += corrections.tracing_rows(name, frame, prediction.contours[frame], axis)
            files.append((name, "" if source.recording is None else source.recording.split, patients[source.name]))
            frames += len(kept)
        if not files:
            raise DataError(left_out[0] if left_out else f"{corrections.folder}: no frame is corrected or accepted yet")
        table = pd.DataFrame(files, columns=["FileName", "Split", "PatientId"]).dropna(axis=1, how="all")
        table.to_csv(folder / FILE_LIST, index=False, lineterminator="\n")
        lines = [corrections.tracing_header, *tracings]
        (folder / TRACINGS).write_text("\n".join([*lines, ""]), encoding="utf-8")
    return ExportedSession(len(files), frames, left_out)
