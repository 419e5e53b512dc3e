"""Records that look wrong: patients and splits, and files that end too early."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from echoseg.assess.quality_suspect import Suspect
from echoseg.data.split import assign_splits
from echoseg.data.store import Store
from echoseg.data.tracing import Recording
from echoseg.data.video import is_cut
from echoseg.errors import DataError


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
    """Files that were cut off, though behind the last traced frame: else a frame is left out, and that is said."""
    held = store.samples["video"].value_counts()
    note = "{} is shorter than its head says; it was cut off"
    return [
        Suspect("video cut off", recording.name, 1.0, note.format(recording.path.name))
        for recording in recordings
        if held.get(recording.name) == len(recording.tracings) and is_cut(recording.path)
    ]
