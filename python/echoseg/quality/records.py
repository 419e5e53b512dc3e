"""Finds suspicious records: patients in two splits, invalid splits, and videos that are cut off."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import pandas as pd

from echoseg.datasets.recording import Recording
from echoseg.datasets.split import assign_splits
from echoseg.datasets.store import Store
from echoseg.errors import DataError
from echoseg.io.file_types import VIDEO_SUFFIXES
from echoseg.io.reading import decode_clip
from echoseg.io.video import is_cut_off
from echoseg.quality.suspect import Suspect
from echoseg.utils.parallel import map_in_order


def split_names(samples: pd.DataFrame) -> np.ndarray:
    """(N,) str: the Split cell of each sample in lower case; for an empty cell, the set that training would use."""
    cells = samples["split"].str.strip().str.lower()
    chosen = assign_splits([""] * len(samples), samples["patient"].tolist())
    return np.where(cells == "", chosen, cells).astype(object)


def find_split_problems(store: Store) -> list[Suspect]:
    """Find patients in two splits, and a Split column that training would not accept."""
    samples = store.samples.assign(cell=store.samples["split"].str.strip().str.lower())
    found = []
    cells = samples.drop_duplicates(["patient", "cell"])
    for patient, rows in cells[cells.duplicated("patient", keep=False)].groupby("patient", sort=False):
        splits = " and ".join(f"{row.split!r} ({row.video})" for row in rows.itertuples())
        note = f"patient {patient!r} is in {splits}"
        video = rows["video"].iloc[-1]
        found.append(Suspect("patient in two splits", video, len(rows), note, tuple(rows.index[::-1])))
    patients = samples.drop_duplicates("patient")
    try:
        assign_splits(patients["cell"].tolist(), patients["patient"].tolist())
    except DataError as error:
        found.append(Suspect("invalid split", patients["video"].iloc[0], 1.0, str(error)))
    return found


def find_cut_off_videos(store: Store, recordings: Sequence[Recording]) -> list[Suspect]:
    """Find videos that are shorter than their header declares.

    Videos with a traced frame that is missing in the store are not examined; they already have a fault.

    Args:
        store: The store.
        recordings: The recordings that the store was made from.
    """
    counts = store.samples["video"].value_counts()
    complete = [recording for recording in recordings if counts.get(recording.name) == len(recording.tracings)]
    notes = zip(complete, map_in_order(_describe_missing, complete), strict=True)
    return [Suspect("video cut off", recording.name, 1.0, note) for recording, note in notes if note]


def _describe_missing(recording: Recording) -> str:
    """A description of what is missing in a video; "" if nothing is missing."""
    path = recording.path
    if is_cut_off(path):
        return f"{path.name} is shorter than its header declares; it was cut off"
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        return ""
    try:
        decoded = decode_clip(path, [sys.maxsize])  # passes all frames
    except DataError:  # the file has changed since it was decoded
        return ""
    if decoded.passed >= decoded.declared:
        return ""
    return f"{path.name} has {decoded.passed} frames, its header declares {decoded.declared}"
