"""Reader of EchoNet-Pediatric's parent folder: `A4C/` and `PSAX/`, an EchoNet folder each.

Source: https://echonet.github.io/pediatric/
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

from echoseg.datasets import echonet
from echoseg.datasets.recording import Dataset, Fault, Recording
from echoseg.errors import DataError


def looks_like(folder: Path) -> bool:
    """Whether one of the two folders is there."""
    return bool(_parts(folder))


def files_of(folder: Path) -> list[Path]:
    """Every file that matters."""
    return [path for part in _parts(folder) for path in echonet.files_of(part)]


def read_pediatric(folder: Path) -> Dataset:
    """Read both views. A name that stands in both bears its view in front, and is one patient.

    Raises:
        DataError: As `read_echonet`, or one holds chords and the other point lists.
    """
    parts = [echonet.read_echonet(part) for part in _parts(folder)]
    if len({part.kind for part in parts}) > 1:
        raise DataError(f"{folder}: holds chords and point lists; prepare A4C and PSAX one by one")
    uses = Counter(recording.name for part in parts for recording in part.recordings)
    recordings: list[Recording] = []
    faults: list[Fault] = []
    for part in parts:
        view = part.folder.name
        for recording in part.recordings:
            name = recording.name if uses[recording.name] == 1 else f"{view}-{recording.name}"
            tracings = tuple(dataclasses.replace(one, file=f"{view}/{one.file}") for one in recording.tracings)
            recordings.append(dataclasses.replace(recording, name=name, tracings=tracings))
        faults += [dataclasses.replace(fault, file=f"{view}/{fault.file}") for fault in part.faults]
    return Dataset(folder, parts[0].kind, tuple(recordings), tuple(faults))


def _parts(folder: Path) -> list[Path]:
    return [folder / view for view in echonet.VIEWS if echonet.looks_like(folder / view)]
