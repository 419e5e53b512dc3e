"""Records that look wrong: patients and splits, and files that end too early."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import pandas as pd

from echoseg.datasets.recording import Recording
from echoseg.datasets.split import assign_splits
from echoseg.datasets.store import Store
from echoseg.errors import DataError
from echoseg.io.reading import VIDEOS, decode_clip
from echoseg.io.video import is_cut
from echoseg.quality.suspect import Suspect
from echoseg.utils.parallel import map_in_order


def split_names(samples: pd.DataFrame) -> np.ndarray:
    """(N,) str: the Split cell of each sample in lower case, or, where that is empty, what training takes."""
    cells = samples["split"].str.strip().str.lower()
    chosen = assign_splits([""] * len(samples), samples["patient"].tolist())
    return np.where(cells == "", chosen, cells).astype(object)


def find_odd_patients(store: Store) -> list[Suspect]:
    """Patients in two splits, and a Split column that training would refuse for another reason."""
    samples = store.samples.assign(cell=store.samples["split"].str.strip().str.lower())
    found = []
    places = samples.drop_duplicates(["patient", "cell"])
    for patient, mine in places[places.duplicated("patient", keep=False)].groupby("patient", sort=False):
        words = " and ".join(f"{row.split!r} ({row.video})" for row in mine.itertuples())
        note = f"patient {patient!r} stands in {words}"
        video = mine["video"].iloc[-1]
        found.append(Suspect("patient across splits", video, len(mine), note, tuple(mine.index[::-1])))
    patients = samples.drop_duplicates("patient")
    try:
        assign_splits(patients["cell"].tolist(), patients["patient"].tolist())
    except DataError as error:
        found.append(Suspect("split unusable", patients["video"].iloc[0], 1.0, str(error)))
    return found


def find_cut_videos(store: Store, recordings: Sequence[Recording]) -> list[Suspect]:
    """Files that hold less than they say, behind the last traced frame or before: else a frame is left out."""
    held = store.samples["video"].value_counts()
    used = [recording for recording in recordings if held.get(recording.name) == len(recording.tracings)]
    notes = zip(used, map_in_order(_lacking, used), strict=True)
    return [Suspect("video cut off", recording.name, 1.0, note) for recording, note in notes if note]


def _lacking(recording: Recording) -> str:
    """What a video lacks; "" if nothing is known to."""
    path = recording.path
    if is_cut(path):
        return f"{path.name} is shorter than its head says; it was cut off"
    if path.suffix.lower() not in VIDEOS:
        return ""
    try:
        found = decode_clip(path, [sys.maxsize])  # walks to the end
    except DataError:  # changed since it was decoded
        return ""
    lacks = found.passed < found.declared
    return f"{path.name} holds {found.passed} frames, its header tells of {found.declared}" if lacks else ""
