"""Reader of EchoNet-Pediatric: a folder with the EchoNet folders `A4C/` and `PSAX/`.

Source: https://echonet.github.io/pediatric/
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

from echoseg.datasets import echonet
from echoseg.datasets.recording import Dataset, Fault, Recording
from echoseg.errors import DataError


def matches(folder: Path) -> bool:
    """Whether a folder contains at least one of the two views."""
    return bool(_parts(folder))


def files_of(folder: Path) -> list[Path]:
    """List the tables and the videos of both views."""
    return [path for part in _parts(folder) for path in echonet.files_of(part)]


def read_pediatric(folder: Path, structure: str | None = None) -> Dataset:
    """Read both views.

    A recording name that occurs in both views is prefixed by its view; both recordings belong to one patient.

    Args:
        folder: The folder.
        structure: The name of what is traced; None: the left ventricle.

    Raises:
        DataError: See `read_echonet`; or one view has chords and the other has points.
    """
    parts = [echonet.read_echonet(part, structure) for part in _parts(folder)]
    if len({part.kind for part in parts}) > 1:
        raise DataError(f"{folder}: contains chords and points; prepare A4C and PSAX separately")
    uses = Counter(recording.name for part in parts for recording in part.recordings)
    recordings: list[Recording] = []
    faults: list[Fault] = []
    for part in parts:
        view = part.folder.name
        for recording in part.recordings:
            name = recording.name if uses[recording.name] == 1 else f"{view}-{recording.name}"
            tracings, others = (
                tuple(dataclasses.replace(tracing, file=f"{view}/{tracing.file}") for tracing in traced)
                for traced in (recording.tracings, recording.others)
            )
            recordings.append(dataclasses.replace(recording, name=name, tracings=tracings, others=others))
        faults += [dataclasses.replace(fault, file=f"{view}/{fault.file}") for fault in part.faults]
    notes = dict.fromkeys(note for part in parts for note in part.notes)
    return dataclasses.replace(
        parts[0], folder=folder, recordings=tuple(recordings), faults=tuple(faults), notes=tuple(notes)
    )


def _parts(folder: Path) -> list[Path]:
    return [folder / view for view in echonet.VIEWS if echonet.matches(folder / view)]
