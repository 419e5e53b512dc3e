"""Evaluate a run on traced images: a table of images, and the summary for `metrics.json`."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from echoseg.datasets.recording import Recording
from echoseg.datasets.store import Store
from echoseg.errors import DataError
from echoseg.evaluation.calibrate import check_calibration
from echoseg.evaluation.ef_bands import ef_bands
from echoseg.evaluation.ejection import (
    STEADINESS,
    agreements,
    single_view_volumes,
    traced_volumes,
    video_volumes,
    warn_of_unpaired,
)
from echoseg.evaluation.image_table import measure_images, summarise_images
from echoseg.evaluation.observers import observer_agreement
from echoseg.evaluation.stacks import measure_stacks, predict_stacks, summarise_stacks
from echoseg.evaluation.subgroups import subgroups
from echoseg.geometry.ragged import pad_contours
from echoseg.inference.postprocess import postprocess
from echoseg.inference.predictor import Prediction, Predictor
from echoseg.metrics.bootstrap import mean_interval
from echoseg.metrics.landmark_error import landmark_error
from echoseg.metrics.overlap import POOR_DICE, dice
from echoseg.ops import fill_polygons
from echoseg.training.splits import NO_TEST
from echoseg.training.stopwatch import Stopwatch

_CHUNK = 64  # images between two updates of the progress bar


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a predictor on one split with N images.

    Attributes:
        images: A table with a row per image: video, frame, patient, phase, and the measures; `error0_px` is the error
            of the first landmark.
        indices: (N,) int64, the indices of the images in the store.
        true_masks: (N, H, W) uint8, 0 or 1.
        prediction: The prediction for the images.
        summary: The split's entry of `metrics.json`.
        volumes: A table with a row per video; see `echoseg.evaluation.ejection.traced_volumes`.
        stacks: A table with a row per stack of slices; see `echoseg.evaluation.stacks.measure_stacks`.
        videos: A table with a row per video of which all frames were predicted; see
            `echoseg.evaluation.ejection.video_volumes`. Empty if `whole_videos` was False.
        seconds: How long the evaluation took: "prediction" (of the traced frames, with post-processing) and "measures".
    """

    images: pd.DataFrame
    indices: np.ndarray
    true_masks: np.ndarray
    prediction: Prediction
    summary: dict
    volumes: pd.DataFrame = field(default_factory=pd.DataFrame)
    stacks: pd.DataFrame = field(default_factory=pd.DataFrame)
    videos: pd.DataFrame = field(default_factory=pd.DataFrame)
    seconds: dict[str, float] = field(default_factory=dict)


def evaluate(
    predictor: Predictor,
    store: Store,
    split: str = "test",
    *,
    steps: Sequence[str] = (),
    recordings: Mapping[str, Recording] | None = None,
    whole_videos: bool = False,
    blanks: bool = False,
) -> Evaluation:
    """Evaluate a predictor on one split of a store, at the size of the store's frames.

    Args:
        predictor: The predictor of a run.
        store: A store of any data set.
        split: "train", "val", "test" or "all".
        steps: Post-processing steps; see `echoseg.inference.postprocess`.
        recordings: The recordings by name of the video, which are needed for whole videos.
        whole_videos: Whether to predict also all frames of the split's videos, for EF by detected beats.
        blanks: Whether blank slices are among the images whose measures are averaged. A blank slice has a Dice of 1 if
            the prediction is empty, else of 0. The volumes of stacks contain them in any case, and so does the entry
            "blanks" of the summary.

    Returns:
        The evaluation.

    Raises:
        DataError: The store has no image in this split, or only blank ones, or its frame size differs from that of the
            run; a step is unknown; or recordings are needed but missing.
    """
    all_indices = indices = split_indices(predictor, store, split)
    watch, started = Stopwatch(), time.perf_counter()
    with watch.measure("prediction"):
        prediction = predict_split(predictor, store, indices, split, steps=steps)
    blank = store.blank[indices]
    extra: dict[str, Any] = {"blanks_averaged": True} if blanks else {}
    extra |= {"blanks": _blanks(prediction, store, indices)} if blank.any() else {}
    if blank.any() and not blanks:
        traced = np.flatnonzero(~blank)
        if not len(traced):
            raise DataError(f"{store.source}: split {split!r} has only blank slices; choose another split")
        prediction, indices = prediction.take(traced), indices[traced]
    contours = pad_contours(store.points, store.offsets)[indices]
    true_masks = fill_polygons(contours, store.size)
    both_empty = 1.0 if blanks else math.nan
    images = measure_images(prediction, true_masks, store.samples.iloc[indices], both_empty=both_empty)
    all_landmarks = predictor.codec.landmarks(store)
    if prediction.landmarks is not None and all_landmarks is not None:
        true_landmarks = all_landmarks[indices]
        errors = landmark_error(prediction.landmarks, true_landmarks)
        images["landmark_error_px"] = errors.mean(axis=1)
        images[[f"error{k}_px" for k in range(errors.shape[1])]] = errors
        if prediction.review is not None:
            images["area_std_px"], images["review"] = prediction.area_std, prediction.review.astype(int)
            extra["review"] = count_reviews(images)
            traced = np.flatnonzero(~store.blank[indices])
            samples = store.samples.iloc[indices[traced]]
            extra["calibration"] = check_calibration(
                predictor, prediction.take(traced), true_landmarks[traced], contours[traced], samples
            )
    warn_of_unpaired(store.samples.iloc[indices])
    volumes = traced_volumes(store, indices, prediction)
    stacks = measure_stacks(predict_stacks(predictor, store, all_indices, steps))
    extra |= summarise_tables(images, volumes, stacks) | ({"postprocess": list(steps)} if steps else {})
    extra |= observer_agreement(store, indices, prediction)
    videos = pd.DataFrame()
    if whole_videos:
        traced_videos = single_view_volumes(store, indices, prediction)
        videos = _measure_videos(predictor, store, indices, traced_videos, _require(recordings, store), steps)
        extra |= agreements(videos, "_videos")
        extra |= {"ef_bands_videos": bands} if (bands := ef_bands(videos)) else {}
        names = [name for name in ("dice", *STEADINESS) if videos[name].notna().any()]
        extra["videos"] = {name: float(videos[name].mean()) for name in names}
        patients = videos["patient"].to_numpy()
        extra["videos"]["ci95"] = {name: list(mean_interval(videos[name].to_numpy(), patients)) for name in names}
    summary = {**summarise_images(images, true_masks, both_empty=both_empty), "structure": store.structure, **extra}
    seconds = watch.seconds()
    seconds["measures"] = time.perf_counter() - started - seconds["prediction"]
    return Evaluation(images, indices, true_masks, prediction, summary, volumes, stacks, videos, seconds)


def split_indices(predictor: Predictor, store: Store, split: str) -> np.ndarray:
    """Select the images of a split.

    Args:
        predictor: The predictor of a run.
        store: A store of any data set.
        split: "train", "val", "test" or "all".

    Returns:
        (N,) int64, indices of images in the store.

    Raises:
        DataError: The store has no image in this split, or its frame size differs from that of the run.
    """
    config = predictor.config
    if store.size != config.size:
        raise DataError(
            f"{store.source}: the frames have the size {store.size}, but the run was trained on {config.size}; run "
            "'echoseg prepare' again with this size"
        )
    indices = np.arange(len(store)) if split == "all" else np.flatnonzero(config.splits(store.samples) == split)
    if not len(indices) and split == "test" and config.test_fold == NO_TEST:
        raise DataError(
            f"{store.source}: the run was trained on all patients (test fold none), so there is no test split; measure "
            "it on other data by --data FOLDER --split all"
        )
    if not len(indices):
        raise DataError(
            f"{store.source}: no image in split {split!r}; choose another --split, such as all, or correct the splits"
            " of the data"
        )
    return indices


def predict_split(
    predictor: Predictor,
    store: Store,
    indices: np.ndarray,
    split: str,
    *,
    steps: Sequence[str] = (),
) -> Prediction:
    """Predict images of a store and apply post-processing.

    Args:
        predictor: The predictor of a run.
        store: A store of any data set.
        indices: (N,) int, indices of images in the store.
        split: The name of the split, for the progress bar.
        steps: Post-processing steps; see `echoseg.inference.postprocess`.

    Returns:
        The prediction for the images.

    Raises:
        DataError: A step is unknown.
    """
    parts = []
    with tqdm(total=len(indices), desc=f"evaluate {split}", unit="image", disable=None) as bar:
        for start in range(0, len(indices), _CHUNK):
            chunk = indices[start : start + _CHUNK]
            parts.append(predictor(store.frames[chunk]))
            bar.update(len(chunk))
    return postprocess(Prediction.join(parts), steps, predictor.codec)


def summarise_tables(images: pd.DataFrame, volumes: pd.DataFrame, stacks: pd.DataFrame) -> dict[str, Any]:
    """The entries of `metrics.json` about subgroups of images, volumes, EF and stacks; those without rows are left out.

    Args:
        images: See `Evaluation`.
        volumes: See `Evaluation`.
        stacks: See `Evaluation`.
    """
    entries: dict[str, Any] = {"subgroups": subgroups(images, volumes, stacks), **agreements(volumes)}
    entries["ef_bands"] = ef_bands(volumes)
    entries["stacks"] = summarise_stacks(stacks) if len(stacks) else {}
    return {name: entry for name, entry in entries.items() if entry}


def _measure_videos(
    predictor: Predictor,
    store: Store,
    indices: np.ndarray,
    traced: pd.DataFrame,
    recordings: Mapping[str, Recording],
    steps: Sequence[str],
) -> pd.DataFrame:
    """The table of whole videos; see `echoseg.evaluation.ejection.video_volumes`."""
    contours: dict[str, dict[int, np.ndarray]] = {}
    samples = store.samples.iloc[indices]
    for index, video, frame in zip(indices, samples["video"], samples["frame"], strict=True):
        contours.setdefault(video, {})[frame] = store.crop(index).points_in_frame(store.contour(index))
    return video_volumes(predictor, [recordings[name] for name in contours], traced, contours, steps=steps)


def _require(recordings: Mapping[str, Recording] | None, store: Store) -> Mapping[str, Recording]:
    """The recordings, which whole videos need.

    Raises:
        DataError: `recordings` is None.
    """
    if recordings is None:
        raise DataError(
            f"{store.path}: a store contains only the traced frames, but all frames are needed for whole videos; give "
            "--data the folder of videos instead"
        )
    return recordings


def _blanks(prediction: Prediction, store: Store, indices: np.ndarray) -> dict[str, float]:
    """The number of blank slices, of those with an empty prediction, and the mean Dice of all slices, 1 for these."""
    blank = store.blank[indices]
    true = fill_polygons(pad_contours(store.points, store.offsets)[indices], store.size)
    return {
        "images": int(blank.sum()),
        "empty_predictions": int((prediction.areas[blank] == 0).sum()),
        "dice_all": float(dice(prediction.masks, true, both_empty=1).mean()),
    }


def count_reviews(images: pd.DataFrame) -> dict[str, int]:
    """The numbers of images that are marked for review, that have a poor Dice, and that are both."""
    poor, marked = images["dice"] < POOR_DICE, images["review"] == 1
    return {"marked": int(marked.sum()), "poor": int(poor.sum()), "poor_marked": int((poor & marked).sum())}
