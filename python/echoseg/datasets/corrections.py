"""Replaces tracings of a data set by tracings corrected with `echoseg review`."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Any

from echoseg.datasets.file_contents import read_hashes, verify_contents
from echoseg.datasets.recording import Dataset, Fault, Recording
from echoseg.datasets.samples import name_phases
from echoseg.datasets.tracings import TRACINGS, read_tracings, stem_of
from echoseg.errors import DataError
from echoseg.geometry.contour import order_contour
from echoseg.io.file_types import suffix_of
from echoseg.utils.checksum import parse
from echoseg.utils.files import hash_file

CHECKSUMS = "sha256.json"
"""The file with the SHA-256 of each table beside it; two values while a table is being replaced."""


def name_in_tables(recording: Recording) -> str:
    """The name of a recording in tables of corrections: its file name if that is unique, else its own name."""
    return recording.path.name if recording.path.stem == recording.name else recording.name


def corrections_file(path: str | Path) -> Path:
    """The table of corrected tracings, given the table or the folder that `echoseg review` wrote.

    Raises:
        DataError: There is no table.
    """
    table = Path(path) / TRACINGS if Path(path).is_dir() else Path(path)
    if not table.is_file():
        raise DataError(f"{table}: missing; give the folder in which 'echoseg review' has saved corrections")
    return table


def read_checksums(folder: Path) -> dict[str, list[str]]:
    """Read the SHA-256 values that `echoseg review` wrote for its tables; empty if there are none.

    Raises:
        DataError: The file is damaged.
    """
    path = folder / CHECKSUMS
    try:
        return parse(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError):
        raise DataError(f"{path}: damaged; delete it to use the tables beside it as they are") from None


def verify_checksums(table: Path) -> None:
    """Check that a table is unchanged since `echoseg review` wrote it; a table without checksum is accepted.

    Raises:
        DataError: The table was changed, or the file of checksums is damaged.
    """
    expected = read_checksums(table.parent).get(table.name)
    if expected is not None and table.exists() and hash_file(table) not in expected:
        checksums = table.parent / CHECKSUMS
        raise DataError(f"{table}: damaged, or edited; restore it, or delete {checksums} to use it as it is")


def correct(dataset: Dataset, file: Path) -> Dataset:
    """Replace tracings of a data set by corrected ones; corrected tracings of other frames are added.

    The phases of the frames and their observers stay unchanged.

    Args:
        dataset: The data set.
        file: A table with the columns of `VolumeTracings.csv`.

    Raises:
        DataError: The file cannot be read, its checksum is wrong, it has another kind of tracing than the data set, or
            its tracings of a recording were made for another file of the same name.
    """
    verify_checksums(file)
    table = read_tracings(file)
    kind, traced, faults = table.kind, table.videos, table.nameless
    if kind != dataset.kind:
        raise DataError(
            f"{file}: contains {kind}, but {dataset.folder} {dataset.kind}; review with --data {dataset.folder}"
        )
    _verify_recordings(dataset, file, traced)
    recordings = []
    for recording in dataset.recordings:
        corrected = traced.pop(stem_of(name_in_tables(recording)), None)
        if corrected is not None:
            faults += corrected.faults
            phases = name_phases(recording, [order_contour(tracing.coordinates) for tracing in recording.tracings])
            by_frame: dict[int, dict[str, Any]] = {
                tracing.frame: {"phase": phase, "observer": tracing.observer}
                for tracing, phase in zip(recording.tracings, phases, strict=True)
            }
            tracings = {
                tracing.frame: dataclasses.replace(tracing, **by_frame.get(tracing.frame, {}))
                for tracing in (
                    *recording.tracings,
                    *(dataclasses.replace(tracing, file=str(file)) for tracing in corrected.tracings),
                )
            }
            recording = dataclasses.replace(recording, tracings=tuple(tracings[frame] for frame in sorted(tracings)))
        recordings.append(recording)
    for name, video in traced.items():
        faults.append(Fault(TRACINGS, video.row, f"{name} is not among the traced videos", "FileName"))
    faults = [dataclasses.replace(fault, file=str(file)) for fault in faults]
    return dataclasses.replace(dataset, recordings=tuple(recordings), faults=(*dataset.faults, *faults))


def _verify_recordings(dataset: Dataset, file: Path, traced: Collection[str]) -> None:
    """Check that the recordings with corrections are those that were reviewed, as far as `Files.csv` says it.

    A file of the same name in another format may be a copy of the one that was reviewed, and is accepted.
    """
    contents, paths = read_hashes(file.parent), {}
    files = {stem_of(name_in_tables(recording)): recording.path for recording in dataset.recordings}
    for name in contents:
        stem = stem_of(name)
        if stem in traced and stem in files and (stem == name or suffix_of(name) == suffix_of(files[stem].name)):
            paths[name] = files[stem]
    verify_contents(file.parent, contents, paths)
