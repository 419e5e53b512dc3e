"""Exports what a person has reviewed as a data set, on which `echoseg train` trains.

The data set has the layout of EchoNet-Dynamic and copies of the files. Its tracings are the contours that the person
has corrected or accepted. Rejected frames, and frames that were not looked at, have none.
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import NamedTuple

from echoseg.datasets.echonet import FILE_LIST, VIDEOS
from echoseg.datasets.tracings import TRACINGS, stem_of
from echoseg.errors import DataError
from echoseg.review.clips import Clips
from echoseg.review.corrections_folder import CorrectionsFolder
from echoseg.utils.files import naming, new_folder


class ExportedSession(NamedTuple):
    """What was exported.

    Attributes:
        files: The number of files.
        frames: The number of frames with a contour.
        left_out: A line for each file with a reviewed frame that cannot be copied: file, cause and cure.
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
        DataError: No frame is corrected or accepted, or an accepted file cannot be read.
        FileExistsError: `out` exists.
        OSError: A file cannot be copied.
    """
    left_out, files, tracings, frames = [], [], list[str](), 0
    with new_folder(out) as folder:
        (folder / VIDEOS).mkdir()
        for number, source in enumerate(clips.sources):
            states = {frame: state for frame, (state, _) in corrections.states(source.name).items()}
            kept = {frame: state for frame, state in sorted(states.items()) if state.is_kept}
            if not kept:
                continue
            if source.path.is_dir():
                left_out.append(f"{source.path}: is a series of files; save it as one file to export it")
                continue
            # the name in the tables may be that of a list, without suffix
            name = stem_of(source.name) + source.path.name[len(stem_of(source.path.name)) :]
            with naming(source.path):
                shutil.copyfile(source.path, folder / VIDEOS / name)
            for frame, state in kept.items():
                handles = clips.open(number).handles[frame] if state.handles is None else state.handles
                tracings += corrections.tracing_rows(name, frame, handles)
            files.append((name, "" if source.recording is None else source.recording.split))
            frames += len(kept)
        if not files:
            raise DataError(left_out[0] if left_out else f"{corrections.folder}: no frame is corrected or accepted yet")
        with (folder / FILE_LIST).open("w", newline="", encoding="utf-8") as table:
            csv.writer(table, lineterminator="\n").writerows([("FileName", "Split"), *files])
        lines = [corrections.tracing_header, *tracings]
        (folder / TRACINGS).write_text("\n".join([*lines, ""]), encoding="utf-8")
    return ExportedSession(len(files), frames, left_out)
