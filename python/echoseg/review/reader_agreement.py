"""How far the readers of a review differ from each other.

Two readers are compared in the frames that both have corrected or accepted. EDV, ESV and EF of a reader come from the
beats whose ED and ES frames this reader has corrected or accepted, so that no contour of the network alone enters.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from echoseg.datasets.patients import patient_of_name
from echoseg.datasets.tracings import stem_of
from echoseg.errors import DataError
from echoseg.evaluation.image_table import measure_images
from echoseg.evaluation.observers import summarise_pair
from echoseg.inference.predictor import Prediction
from echoseg.metrics.agreement import agreement
from echoseg.metrics.landmark_error import landmark_error
from echoseg.review.clip_states import chosen_beats, states_of
from echoseg.review.clips import Clips, LoadedClip
from echoseg.review.corrections_folder import CorrectionsFolder
from echoseg.review.sources import find_patients
from echoseg.utils.files import new_folder

FIRST_READER = "first reader"
"""What the reader without a name is called."""
_NOT_OF_READERS = ["view", "phase", "area_px", "true_area_px", "failure"]
_VOLUMES = ("edv", "esv", "ef")


class ReaderAgreement(NamedTuple):
    """How far readers differ.

    Attributes:
        frames: A row for each frame of each pair of readers: `first`, `second`, `video`, `frame`, `patient`, and the
            measures of `measure_images`; with landmarks also `landmark_error_px`, the mean over the landmarks that both
            readers have.
        volumes: A row for each cine and reader: `file`, `patient`, `reader`, `unit`, `beats`, the number of beats that
            were used, and `edv`, `esv` and `ef`, the means over these; nan if there are none.
        observers: An entry for each pair, as `echoseg.evaluation.observers.observer_agreement` returns them; also with
            `edv` and `esv` in ml.
    """

    frames: pd.DataFrame
    volumes: pd.DataFrame
    observers: list[dict[str, Any]]


def reader_agreement(clips: Clips, readers: Mapping[str, CorrectionsFolder]) -> ReaderAgreement:
    """Compare the readers of a review, each with each.

    Args:
        clips: The clips of the review.
        readers: What each reader did, by name.

    Raises:
        DataError: No frame was corrected or accepted by two readers, or a file cannot be read.
    """
    frames, volumes = [], []
    patients = find_patients(clips.sources)
    for number, source in enumerate(clips.sources):
        kept = {
            name: {frame for frame, (state, _) in corrections.states(source.name).items() if state.is_kept}
            for name, corrections in readers.items()
        }
        pairs = [pair for pair in itertools.combinations(readers, 2) if kept[pair[0]] & kept[pair[1]]]
        if not pairs:
            continue
        loaded = clips.open(number)
        patient = patients[source.name] or patient_of_name(stem_of(source.name))
        names = [name for name in readers if any(name in pair for pair in pairs)]
        states = {name: states_of(loaded, readers[name]) for name in names}
        kept = {name: {frame for frame, state in states[name].items() if state.is_kept} for name in names}
        predictions = {name: clips.corrected(loaded, states[name]) for name in names}
        for first, second in pairs:
            both = np.array(sorted(kept[first] & kept[second]), dtype=np.int64)
            if not len(both):
                continue
            table = _compare(loaded, both, predictions[first].take(both), predictions[second].take(both))
            frames.append(table.assign(patient=patient, first=first, second=second))
        if np.isnan(loaded.clip.thickness):
            for name in names:
                measured = _volumes(clips, loaded, predictions[name], readers[name], kept[name])
                volumes.append(measured | {"patient": patient, "reader": name})
    if not frames:
        raise DataError(
            "no frame was corrected or accepted by two readers; let a second person review the same files with --reader"
            " NAME"
        )
    table = pd.concat(frames, ignore_index=True)
    columns = ["file", "patient", "reader", "unit", "beats", *_VOLUMES]
    of_readers = pd.DataFrame(volumes, columns=columns)
    observers = [
        {"first": first, "second": second, **summarise_pair(part), **_volume_agreement(of_readers, first, second)}
        for (first, second), part in table.groupby(["first", "second"], sort=False)
    ]
    return ReaderAgreement(table[["first", "second", *table.columns[:-2]]], of_readers, observers)


def write_agreement(found: ReaderAgreement, out: Path) -> None:
    """Write `frames.csv`, `volumes.csv`, and `agreement.json` with the entries of the pairs.

    Args:
        found: The agreement.
        out: The folder to write; it must not exist.

    Raises:
        FileExistsError: `out` exists.
        OSError: A file cannot be written.
    """
    with new_folder(out) as folder:
        found.frames.to_csv(folder / "frames.csv", index=False, float_format="%.5f")
        found.volumes.to_csv(folder / "volumes.csv", index=False, float_format="%.3f")
        text = json.dumps({"observers": found.observers}, indent=2) + "\n"
        (folder / "agreement.json").write_text(text, encoding="utf-8")


def _compare(loaded: LoadedClip, frames: np.ndarray, first: Prediction, second: Prediction) -> pd.DataFrame:
    spacing_y, spacing_x = loaded.clip.spacing
    samples = pd.DataFrame({"video": loaded.source.name, "frame": frames, "patient": ""})
    samples = samples.assign(phase="", view="", spacing_y=spacing_y, spacing_x=spacing_x)
    table = measure_images(first, second.masks, samples).drop(columns=_NOT_OF_READERS)
    if first.landmarks is not None and second.landmarks is not None:
        distances = landmark_error(first.landmarks, second.landmarks)
        table["landmark_error_px"] = pd.DataFrame(distances).mean(axis=1)  # without deleted landmarks, which are nan
    return table


def _volumes(
    clips: Clips, loaded: LoadedClip, prediction: Prediction, corrections: CorrectionsFolder, kept: set[int]
) -> dict[str, Any]:
    """The volumes of a reader, from the beats whose frames the reader has corrected or accepted."""
    chosen = chosen_beats(loaded, corrections)[0]
    beats = [beat for beat in (loaded.facts["beats"] if chosen is None else chosen) if set(beat) <= kept]
    measured = clips.measure(loaded, prediction, beats=beats)
    return {
        "file": loaded.source.name,
        "unit": measured.unit,
        "beats": len(beats),
        "edv": measured.mean_edv,
        "esv": measured.mean_esv,
        "ef": measured.mean_ef,
    }


def _volume_agreement(volumes: pd.DataFrame, first: str, second: str) -> dict[str, Any]:
    """The agreement of EF, and of EDV and ESV in ml, in the files in which both readers have them."""
    one, other = (volumes[volumes["reader"] == name] for name in (first, second))
    both = one.merge(other, on="file", suffixes=("", "_other")).dropna(subset=["ef", "ef_other"])
    entries = {}
    for name in _VOLUMES:
        part = both if name == "ef" else both[both["unit"] == "ml"]
        if len(part):
            entries[name] = agreement(
                part[name].to_numpy(), part[f"{name}_other"].to_numpy(), part["patient"].to_list()
            )
    return entries
