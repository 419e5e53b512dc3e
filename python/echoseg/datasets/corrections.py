"""Tracings that a person corrected, in place of a data set's own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from echoseg.datasets.echonet import TRACINGS, read_tracings, stem_of
from echoseg.datasets.recording import Dataset, Fault, Recording
from echoseg.datasets.samples import name_phases
from echoseg.errors import DataError
from echoseg.geometry.contour import order_contour
from echoseg.utils.checksum import parse
from echoseg.utils.files import hash_file

CHECKSUMS = "sha256.json"
"""By the name of a table beside it, the SHA-256 of what it may hold: two while it is being replaced."""


def name_in_tables(recording: Recording) -> str:
    """What corrections call a recording: its file's name where that tells it from the others."""
    return recording.path.name if recording.path.stem == recording.name else recording.name


def corrections_file(path: str | Path) -> Path:
    """The table of corrected tracings: the path itself, or that of a folder which `echoseg review` wrote."""
    return Path(path) / TRACINGS if Path(path).is_dir() else Path(path)


def read_checksums(folder: Path) -> dict[str, list[str]]:
    """The hashes that `echoseg review` left beside its tables; none where it left none.

    Raises:
        DataError: They are damaged.
    """
    path = folder / CHECKSUMS
    try:
        return parse(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError):
        raise DataError(f"{path}: damaged; delete it to take the tables beside it as they are") from None


def verify_checksums(table: Path) -> None:
    """See that a table is what `echoseg review` wrote, if it was.

    Raises:
        DataError: It is not, or what tells so is damaged.
    """
    known = read_checksums(table.parent).get(table.name)
    if known is not None and table.exists() and hash_file(table) not in known:
        checksums = table.parent / CHECKSUMS
        raise DataError(f"{table}: damaged, or edited; bring it back, or delete {checksums} to take it as it is")


def correct(dataset: Dataset, file: Path) -> Dataset:
    """Put corrected tracings in the place of a data set's own; those of other frames join them.

    Which frame is ED and which ES stays as it was.

    Args:
        dataset: As read.
        file: In the columns of `VolumeTracings.csv`.

    Raises:
        DataError: The file cannot be read, fails `verify_checksums`, or holds another kind of tracing than the
            data set.
    """
    verify_checksums(file)
    kind, traced, faults = read_tracings(file)
    if kind != dataset.kind:
        raise DataError(
            f"{file}: holds {kind}, and {dataset.folder} {dataset.kind}; review with --data {dataset.folder}"
        )
    recordings = []
    for recording in dataset.recordings:
        mine = traced.pop(stem_of(name_in_tables(recording)), None)
        if mine is not None:
            faults += mine.faults
            phases = name_phases(recording, [order_contour(tracing.coordinates) for tracing in recording.tracings])
            told = {tracing.frame: phase for tracing, phase in zip(recording.tracings, phases, strict=True)}
            tracings = {
                tracing.frame: dataclasses.replace(tracing, phase=told.get(tracing.frame, ""))
                for tracing in (*recording.tracings, *mine.tracings)
            }
            recording = dataclasses.replace(recording, tracings=tuple(tracings[frame] for frame in sorted(tracings)))
        recordings.append(recording)
    for name, stray in traced.items():
        faults.append(Fault(TRACINGS, stray.row, f"{name} is not among the traced videos", "FileName"))
    told_of = [dataclasses.replace(fault, file=str(file)) for fault in faults]
    return dataclasses.replace(dataset, recordings=tuple(recordings), faults=(*dataset.faults, *told_of))
