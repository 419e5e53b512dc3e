"""Volumes and ejection fractions of a split: predicted, of the true contours, and as the data set lists them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from echoseg.datasets.clips import read_recording
from echoseg.datasets.recording import Recording
from echoseg.datasets.store import Store
from echoseg.errors import DataError
from echoseg.geometry.discs import ejection_fraction, landmark_axes
from echoseg.geometry.landmarks import choose_landmarks
from echoseg.geometry.ragged import pad_contours
from echoseg.inference.measure import measure
from echoseg.inference.postprocess import postprocess
from echoseg.inference.predictor import Prediction, Predictor
from echoseg.io.clip import Clip
from echoseg.metrics.agreement import agreement
from echoseg.metrics.volumes import (
    MM3_PER_ML,
    ScaledContour,
    area_length_volumes,
    biplane_volumes,
    disc_volumes,
    scale_contours,
)
from echoseg.utils.parallel import map_in_order

_VIEWS = ("A4C", "A2C")  # at a right angle to each other
_SHORT_AXIS = ("PSAX", "SAX")  # shows no long axis, so there are no discs along it
_MEASURED = [f"{whose}{what}" for whose in ("", "true_", "listed_") for what in ("edv", "esv", "ef")]
COLUMNS = ["video", "patient", "view", "unit", *_MEASURED]


def traced_volumes(store: Store, indices: np.ndarray, prediction: Prediction) -> pd.DataFrame:
    """Volumes by the method of discs in the traced frames of each video that has an ED and an ES one.

    Files that hold one moment each make a pair by patient and view. Where a patient has both apical views and their
    spacing is known, one biplane row stands in the place of the two. Stacks and short-axis views are left out.

    Args:
        store: that was evaluated.
        indices: (N,) places in it.
        prediction: of these images.

    Returns:
        a row a video: ``COLUMNS`` (volumes in ``unit``, EF in percent, nan where unknown), and ``ef_area_length``, the
        second opinion on the predicted EF.
    """
    samples = store.samples.iloc[indices].reset_index(drop=True)
    pairs = _pairs(samples)
    places = np.unique(pairs[["ed", "es"]].to_numpy(np.intp))
    predicted, true = _scaled_contours(store, indices, samples, prediction, places)
    table = _with_volumes(pairs, None, predicted, true)
    second = [area_length_volumes([predicted[i] for i in pairs[phase]]) for phase in ("ed", "es")]
    table["ef_area_length"] = ejection_fraction(*second)

    apical = pairs[pairs["unit"] == "ml"]
    views = [apical[apical["view"] == view].drop_duplicates("patient", keep=False) for view in _VIEWS]
    four, two = (view[view["patient"].isin(set(views[0]["patient"]) & set(views[1]["patient"]))] for view in views)
    four, two = (view.sort_values("patient") for view in (four, two))
    both = _with_volumes(four, two, predicted, true)
    both["video"], both["view"] = [f"{a}+{b}" for a, b in zip(four["video"], two["video"], strict=True)], "biplane"
    single = table.drop(index=[*four.index, *two.index])
    return pd.concat([single, both] if len(both) else [single], ignore_index=True)[[*COLUMNS, "ef_area_length"]]


def video_volumes(
    predictor: Predictor,
    recordings: Sequence[Recording],
    traced: pd.DataFrame,
    *,
    steps: Sequence[str] = (),
) -> pd.DataFrame:
    """Volumes of whole videos, ED and ES found by beats, means over the beats.

    Args:
        predictor: of any run.
        recordings: with their files; single pictures, stacks and short-axis views are left out.
        traced: of ``traced_volumes``; the true volumes are taken from it.
        steps: post-processing, see ``inference.postprocess``.

    Returns:
        a row a video: ``COLUMNS``; ``beats``, their number; and ``error``, why a video could not be read, else "".
    """
    recordings = [recording for recording in recordings if recording.view not in _SHORT_AXIS]
    rows = []
    bar = tqdm(recordings, desc="evaluate videos", unit="video", disable=None)
    for recording, (clip, error) in zip(bar, map_in_order(_read, recordings), strict=True):
        if clip is not None and (len(clip.frames) < 2 or math.isfinite(clip.thickness)):
            continue
        row = {
            "video": recording.name,
            "patient": recording.patient,
            "view": recording.view,
            **{f"listed_{name}": getattr(recording, name) for name in ("edv", "esv", "ef")},
            "error": error,
        }
        if clip is not None:
            prediction = postprocess(predictor(clip), steps, predictor.codec)
            found = measure(prediction, clip)
            row |= {"unit": found.unit, "edv": found.mean_edv, "esv": found.mean_esv, "ef": found.mean_ef}
            row["beats"] = len(found.ef)
        rows.append(row)
    table = pd.DataFrame(rows, columns=[*(name for name in COLUMNS if "true" not in name), "beats", "error"])
    true = traced[["video", "true_edv", "true_esv", "true_ef"]]
    return table.fillna({"unit": "", "beats": 0}).merge(true, on="video", how="left")[[*COLUMNS, "beats", "error"]]


def _read(recording: Recording) -> tuple[Clip | None, str]:
    try:
        return read_recording(recording), ""
    except DataError as error:
        return None, str(error).removeprefix(f"{recording.path}: ")


def agreements(table: pd.DataFrame, suffix: str = "") -> dict[str, Any]:
    """Entries for ``metrics.json`` from a table of volumes.

    ``ef`` compares with the list, and where it is silent with the true contours; so do ``edv`` and ``esv``, where they
    are in ml. ``ef_method`` and so on compare the true contours with the list: what the method alone gets wrong. What
    has nothing to compare with is left out.
    """
    found = {}
    for what in ("ef", "edv", "esv"):
        rows = table if what == "ef" else table[table["unit"] == "ml"]
        value, true, listed = (rows[f"{whose}{what}"].to_numpy(np.float64) for whose in ("", "true_", "listed_"))
        found[f"{what}{suffix}"] = agreement(value, np.where(np.isfinite(listed), listed, true))
        if not suffix:
            found[f"{what}_method"] = agreement(true, listed)
    return {name: entry for name, entry in found.items() if entry["videos"] + entry["missing"]}


def _pairs(samples: pd.DataFrame) -> pd.DataFrame:
    """A row a pair of traced moments: what is known of the video, and ``ed`` and ``es``, places in the samples."""
    known = samples[["spacing_y", "spacing_x"]].notna().all(axis=1)
    moments = samples.assign(unit=np.where(known, "ml", "px3"), place=samples.index)
    moments = moments[moments["thickness"].isna() & moments["phase"].isin(["ED", "ES"])]
    moments = moments[~moments["view"].isin(_SHORT_AXIS)]
    whole = moments.groupby("video")["phase"].transform("nunique") == 2
    moments["pair"] = np.where(whole, moments["video"], moments["patient"] + "/" + moments["view"])
    ed, es = (moments[moments["phase"] == phase].drop_duplicates("pair") for phase in ("ED", "ES"))
    pairs = ed.merge(es[["pair", "place"]], on="pair", suffixes=("", "_es"))
    renamed = {"place": "ed", "place_es": "es", **{name: f"listed_{name}" for name in ("edv", "esv", "ef")}}
    return pairs.rename(columns=renamed)[["video", "patient", "view", "unit", *renamed.values()]]


def _scaled_contours(
    store: Store, indices: np.ndarray, samples: pd.DataFrame, prediction: Prediction, places: np.ndarray
) -> tuple[dict[int, ScaledContour], dict[int, ScaledContour]]:
    """Predicted and true contours by place: in mm where that is known, else in pixels of the video itself."""
    known = samples[["spacing_y", "spacing_x"]].to_numpy()[places]
    pixels = samples[["height", "width"]].to_numpy()[places] / store.size
    spacings = np.where(np.isfinite(known).all(axis=1, keepdims=True), known, pixels)
    axes = None if prediction.axes is None else prediction.axes[places]
    predicted = scale_contours([prediction.contours[i] for i in places], axes, spacings)
    contours = pad_contours(store.points, store.offsets)[indices[places]]
    traced = None
    if store.has_chords:
        ends = choose_landmarks(contours, 3, scheme="anatomical")
        traced = landmark_axes(ends, "anatomical")
    true = scale_contours(contours, traced, spacings)
    return dict(zip(places, predicted, strict=True)), dict(zip(places, true, strict=True))


def _with_volumes(
    pairs: pd.DataFrame,
    others: pd.DataFrame | None,
    predicted: Mapping[int, ScaledContour],
    true: Mapping[int, ScaledContour],
) -> pd.DataFrame:
    """Volumes and EF added to pairs: from one view, or with the ``others`` from two."""
    table = pairs.copy()
    scale = np.where(pairs["unit"] == "ml", 1 / MM3_PER_ML, 1.0)
    for whose, outlines in (("", predicted), ("true_", true)):
        for phase in ("ed", "es"):
            first = [outlines[i] for i in pairs[phase]]
            if others is None:
                volumes = disc_volumes(first)
            else:
                volumes = biplane_volumes(first, [outlines[i] for i in others[phase]])
            table[f"{whose}{phase}v"] = scale * volumes
        table[f"{whose}ef"] = ejection_fraction(table[f"{whose}edv"], table[f"{whose}esv"])
    return table
