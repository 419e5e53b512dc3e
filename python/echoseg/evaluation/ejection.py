"""Volumes and ejection fractions of a split: predicted, computed from the true contours, and listed by the data set."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from echoseg.datasets.clips import read_recording
from echoseg.datasets.masks import parse_stem
from echoseg.datasets.patients import examination
from echoseg.datasets.recording import Recording
from echoseg.datasets.store import Store
from echoseg.errors import DataError
from echoseg.geometry.discs import ejection_fraction, landmark_axes
from echoseg.geometry.landmarks import choose_landmarks
from echoseg.geometry.ragged import pad_contours
from echoseg.inference.measure import ef_deviations, measure
from echoseg.inference.postprocess import postprocess
from echoseg.inference.predictor import Prediction, Predictor
from echoseg.io.clip import Clip
from echoseg.metrics.agreement import agreement
from echoseg.metrics.overlap import dice
from echoseg.metrics.steadiness import steadiness
from echoseg.metrics.volumes import (
    MM3_PER_ML,
    ScaledContour,
    area_length_volumes,
    biplane_volumes,
    disc_volumes,
    scale_contours,
)
from echoseg.models.codec import fill_contours
from echoseg.training.logs import logger
from echoseg.utils.parallel import map_in_order

_BIPLANE_VIEWS = ("A4C", "A2C")  # perpendicular to each other
SHORT_AXIS_VIEWS = ("PSAX", "SAX")
"""Views that do not show the long axis, which the method of discs needs."""
_MAX_LISTED = 5
_QUANTITIES = [f"{prefix}{name}" for prefix in ("", "true_", "listed_") for name in ("edv", "esv", "ef")]
STEADINESS = ("neighbour_dice", "area_jitter_percent", "base_jitter_px", "base_drift_px")
"""Columns of the results of `echoseg.metrics.steadiness.steadiness`."""
UNKNOWN_PAIR = "which ED belongs to which ES is unknown; give their files names that differ in the phase alone"
"""Why a patient has no EF."""
COLUMNS = ["video", "patient", "view", "unit", *_QUANTITIES]
"""Columns of a table of volumes: predicted, true and listed volumes in `unit`, EF in percent, nan if unknown."""
INTERVAL = ["ef_low", "ef_high"]
"""Columns of the 90 % interval of the predicted EF, percent; nan if it is unknown, as it is for two views."""


def traced_volumes(store: Store, indices: np.ndarray, prediction: Prediction) -> pd.DataFrame:
    """Compute volumes by the method of discs from the traced frames of each video with an ED and an ES frame.

    Files with a single frame are paired if their names differ in phase and number of the frame alone. Those whose names
    do not say the phase are also paired if they are the only ones of a patient and view, among those with a spacing or
    among the others. If an examination has one pair of each apical view, and their spacing is known, the two rows are
    replaced by one biplane row. Stacks and short-axis views are left out.

    Args:
        store: The store that was evaluated.
        indices: (N,) int, indices of images in the store.
        prediction: The prediction for these images.

    Returns:
        A table with a row per video: `COLUMNS`; `INTERVAL`; and `ef_area_length`, the predicted EF by the area-length
        formula.
    """
    pairs, predicted, true = _paired_contours(store, indices, prediction)
    table = _single_view(pairs, prediction, predicted, true)
    volumes = [area_length_volumes([predicted[i] for i in pairs[phase]]) for phase in ("ed", "es")]
    table["ef_area_length"] = ejection_fraction(*volumes)
    table[INTERVAL] = np.nan
    if prediction.ef_intervals is not None:
        ends = prediction.ef_intervals.of(table["ef"].to_numpy(), table["ef_std"].to_numpy())
        table[INTERVAL] = np.stack(ends, axis=1)

    apical = pairs[pairs["unit"] == "ml"]
    views = [apical[apical["view"] == view].drop_duplicates("examination", keep=False) for view in _BIPLANE_VIEWS]
    both = set(views[0]["examination"]) & set(views[1]["examination"])
    four, two = (view[view["examination"].isin(both)].sort_values("examination") for view in views)
    biplane = _with_volumes(four, two, predicted, true)
    biplane["video"] = [f"{a}+{b}" for a, b in zip(four["video"], two["video"], strict=True)]
    biplane["view"] = "biplane"
    single = table.drop(index=[*four.index, *two.index])
    tables = [single, biplane] if len(biplane) else [single]
    return pd.concat(tables, ignore_index=True)[[*COLUMNS, *INTERVAL, "ef_area_length"]]


def single_view_volumes(store: Store, indices: np.ndarray, prediction: Prediction) -> pd.DataFrame:
    """Compute volumes as `traced_volumes` does, without combining the views of a patient.

    Returns:
        A table with a row per pair of frames: `COLUMNS`, and `ef_std`, the result of
        `echoseg.inference.measure.ef_deviations`.
    """
    pairs, predicted, true = _paired_contours(store, indices, prediction)
    return _single_view(pairs, prediction, predicted, true)[[*COLUMNS, "ef_std"]]


def video_volumes(
    predictor: Predictor,
    recordings: Sequence[Recording],
    traced: pd.DataFrame,
    contours: Mapping[str, Mapping[int, np.ndarray]],
    *,
    steps: Sequence[str] = (),
) -> pd.DataFrame:
    """Predict all frames of videos and compute their volumes and EF, as means over the detected beats.

    Cines are smoothed over time as in `echoseg predict`, unless the predictor was loaded without smoothing.

    Args:
        predictor: The predictor.
        recordings: The recordings; single images, stacks and short-axis views are left out.
        traced: The result of `single_view_volumes`, with the true volumes.
        contours: By name of the video and frame: the true contours, (P, 2) float32, in pixels of the video.
        steps: Post-processing steps; see `echoseg.inference.postprocess`.

    Returns:
        A table with a row per video: `COLUMNS`; `INTERVAL`; `beats`, the number of beats; `dice`, the mean over the
        traced frames; `STEADINESS`; and `error`, the reason why a video could not be read, or "".
    """
    recordings = [recording for recording in recordings if recording.view not in SHORT_AXIS_VIEWS]
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
            measurement = measure(prediction, clip)
            row |= {"unit": measurement.unit, "beats": len(measurement.ef)}
            row |= {"edv": measurement.mean_edv, "esv": measurement.mean_esv, "ef": measurement.mean_ef}
            if true := contours.get(recording.name):
                masks = fill_contours(list(true.values()), prediction.size)
                row["dice"] = np.nanmean(dice(prediction.masks[list(true)], masks))
            row |= dict(zip(INTERVAL, measurement.ef_interval, strict=True))
            row |= steadiness(prediction.masks, prediction.areas, prediction.axes, measurement.ed)
        rows.append(row)
    after = [*INTERVAL, "beats", "dice", *STEADINESS, "error"]
    table = pd.DataFrame(rows, columns=[*(name for name in COLUMNS if "true" not in name), *after])
    true = traced[["video", "true_edv", "true_esv", "true_ef"]]
    return table.fillna({"unit": "", "beats": 0}).merge(true, on="video", how="left")[[*COLUMNS, *after]]


def _read(recording: Recording) -> tuple[Clip | None, str]:
    """The clip of a recording and an error message; the clip is None if there is an error."""
    try:
        return read_recording(recording), ""
    except DataError as error:
        return None, str(error).removeprefix(f"{recording.path}: ")


def reference_values(table: pd.DataFrame, quantity: str) -> pd.Series:
    """The values that predictions are compared with: the listed ones or, where there are none, those of the tracings.

    Args:
        table: A table of volumes.
        quantity: "ef", "edv" or "esv".
    """
    listed = table[f"listed_{quantity}"].astype(np.float64)
    return listed.where(np.isfinite(listed), table[f"true_{quantity}"])


def reference_ef(table: pd.DataFrame) -> pd.Series:
    """The EF that predictions are compared with; see `reference_values`."""
    return reference_values(table, "ef")


def agreements(table: pd.DataFrame, suffix: str = "") -> dict[str, Any]:
    """Compute the entries of `metrics.json` about volumes and EF.

    Predictions are compared with the listed value of a video or, if there is none, with the value of the true contours.
    The entries "ef_method", "edv_method" and "esv_method" compare the true contours with the listed values, which gives
    the error of the method of discs itself.

    Args:
        table: A table of volumes.
        suffix: A suffix for the names of the entries. With a suffix, the entries of the method are left out.

    Returns:
        The results of `echoseg.metrics.agreement.agreement` by name. Volumes are compared in ml only. Entries without
        reference values are left out.
    """
    entries = {}
    for name in ("ef", "edv", "esv"):
        rows = table if name == "ef" else table[table["unit"] == "ml"]
        predicted, true, listed = (rows[f"{prefix}{name}"].to_numpy(np.float64) for prefix in ("", "true_", "listed_"))
        patients = rows["patient"].to_numpy()
        entries[f"{name}{suffix}"] = agreement(predicted, np.where(np.isfinite(listed), listed, true), patients)
        if not suffix:
            entries[f"{name}_method"] = agreement(true, listed, patients)
    return {name: entry for name, entry in entries.items() if entry["videos"] + entry["missing"]}


def warn_of_unpaired(samples: pd.DataFrame) -> None:
    """Log a warning of the patients whose ED and ES images give no EF, since it is unknown which belong together."""
    frames, pairs = _phase_frames(samples), _pairs(samples)
    has_both = frames.groupby("pair")["phase"].transform("nunique") == 2
    lost = has_both & ~frames["pair"].isin(pairs["pair"])
    ambiguous = _is_ambiguous(frames) & lost
    apart = (frames.groupby("place")["phase"].transform("nunique") == 2) & ~frames["place"].isin(
        frames["place"][has_both]
    )
    cause = "only one of the two images, ED and ES, has a spacing; give both or neither one"
    warn_of_missing_ef(frames["place"][lost & ~ambiguous], cause)
    warn_of_missing_ef(frames["place"][ambiguous | apart], UNKNOWN_PAIR)


def warn_of_missing_ef(names: Iterable[str], cause: str) -> None:
    """Log a warning of patients without EF, if there are any."""
    distinct = sorted({name.rstrip("/") for name in names})
    if distinct:
        listed = ", ".join(distinct[:_MAX_LISTED]) + (", …" if len(distinct) > _MAX_LISTED else "")
        logger.warning("no EF of %s: %s", listed, cause)


def _phase_frames(samples: pd.DataFrame) -> pd.DataFrame:
    """The samples at ED or ES that show the long axis.

    They have `unit`; `index`; `examination`; `place`, the patient and view; and `pair`, by which ED and ES are paired.
    """
    has_spacing = samples[["spacing_y", "spacing_x"]].notna().all(axis=1)
    frames = samples.assign(unit=np.where(has_spacing, "ml", "px3"), index=samples.index)
    frames = frames[frames["thickness"].isna() & frames["phase"].isin(["ED", "ES"])]
    frames = frames[~frames["view"].isin(SHORT_AXIS_VIEWS)]
    names = list(zip(frames["patient"], frames["video"], strict=True))
    examinations = pd.Series([examination(*each) for each in names], frames.index, dtype=str)
    says_phase = pd.Series([parse_stem(video)[1] != "" for _, video in names], frames.index, dtype=bool)
    place = frames["patient"] + "/" + frames["view"]
    of_name = place + "/" + examinations
    pair = place.mask(says_phase, of_name)
    for key in (of_name, frames["video"]):
        pair = pair.mask(frames["phase"].groupby(key).transform("nunique") == 2, key)
    return frames.assign(examination=examinations, place=place, pair=pair)


def _is_ambiguous(frames: pd.DataFrame) -> pd.Series:
    """Which of the frames of `_phase_frames` belong to a pair with several files of one phase and unit."""
    key = ["pair", "unit"]
    several = frames.groupby([*key, "phase"])["video"].transform("nunique") > 1
    return several.groupby([frames[name] for name in key]).transform("any")


def _pairs(samples: pd.DataFrame) -> pd.DataFrame:
    """The pairs of a traced ED and ES frame: a row per pair, with `ed` and `es`, the indices of the samples."""
    key, frames = ["pair", "unit"], _phase_frames(samples)
    frames = frames[~_is_ambiguous(frames)].drop_duplicates([*key, "phase"])
    ed, es = (frames[frames["phase"] == phase] for phase in ("ED", "ES"))
    pairs = ed.merge(es[[*key, "index"]], on=key, suffixes=("", "_es"))
    pairs = pairs.sort_values("unit", kind="stable").drop_duplicates("pair").sort_index(ignore_index=True)  # ml first
    renamed = {"index": "ed", "index_es": "es", **{name: f"listed_{name}" for name in ("edv", "esv", "ef")}}
    return pairs.rename(columns=renamed)[["pair", "video", "patient", "examination", "view", "unit", *renamed.values()]]


def _paired_contours(
    store: Store, indices: np.ndarray, prediction: Prediction
) -> tuple[pd.DataFrame, dict[int, ScaledContour], dict[int, ScaledContour]]:
    """The result of `_pairs`, and the predicted and true contours of the paired samples, by index.

    The contours are in mm, or in pixels of the video if its spacing is unknown.
    """
    samples = store.samples.iloc[indices].reset_index(drop=True)
    pairs = _pairs(samples)
    paired = np.unique(pairs[["ed", "es"]].to_numpy(np.intp))
    listed = samples[["spacing_y", "spacing_x"]].to_numpy()[paired]
    pixels = samples[["height", "width"]].to_numpy()[paired] / store.size
    spacings = np.where(np.isfinite(listed).all(axis=1, keepdims=True), listed, pixels)
    axes = None if prediction.axes is None else prediction.axes[paired]
    predicted = scale_contours([prediction.contours[i] for i in paired], axes, spacings)
    contours = pad_contours(store.points, store.offsets)[indices[paired]]
    true_axes = None
    if store.has_chords:
        landmarks = choose_landmarks(contours, 3, scheme="anatomical")
        true_axes = landmark_axes(landmarks, "anatomical")
    true = scale_contours(contours, true_axes, spacings)
    return pairs, dict(zip(paired, predicted, strict=True)), dict(zip(paired, true, strict=True))


def _single_view(
    pairs: pd.DataFrame,
    prediction: Prediction,
    predicted: Mapping[int, ScaledContour],
    true: Mapping[int, ScaledContour],
) -> pd.DataFrame:
    """The pairs with volumes and EF from one view, and the standard deviations of the EF."""
    table = _with_volumes(pairs, None, predicted, true)
    frames = table[["ed", "es"]].to_numpy(np.intp).T
    table["ef_std"] = ef_deviations(prediction, frames, table[["edv", "esv"]].to_numpy().T)
    return table


def _with_volumes(
    pairs: pd.DataFrame,
    others: pd.DataFrame | None,
    predicted: Mapping[int, ScaledContour],
    true: Mapping[int, ScaledContour],
) -> pd.DataFrame:
    """The pairs with volumes and EF: from one view or, with pairs of the other view in `others`, from two views."""
    table = pairs.copy()
    scale = np.where(pairs["unit"] == "ml", 1 / MM3_PER_ML, 1.0)
    for prefix, contours in (("", predicted), ("true_", true)):
        for phase in ("ed", "es"):
            first = [contours[i] for i in pairs[phase]]
            if others is None:
                volumes = disc_volumes(first)
            else:
                volumes = biplane_volumes(first, [contours[i] for i in others[phase]])
            table[f"{prefix}{phase}v"] = scale * volumes
        table[f"{prefix}ef"] = ejection_fraction(table[f"{prefix}edv"], table[f"{prefix}esv"])
    return table
