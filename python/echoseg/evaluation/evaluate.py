"""A run against tracings: a table of images, and the summary that ``metrics.json`` holds."""

from __future__ import annotations

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
from echoseg.evaluation.ejection import agreements, traced_volumes, video_volumes
from echoseg.evaluation.stacks import measure_stacks, summarise_stacks
from echoseg.evaluation.temporal_context import predict_traced, reach_of
from echoseg.geometry.ragged import pad_contours
from echoseg.inference.postprocess import postprocess
from echoseg.inference.predictor import Prediction, Predictor
from echoseg.metrics.bootstrap import mean_interval
from echoseg.metrics.landmark_error import landmark_error
from echoseg.metrics.overlap import dice, dice_all_pixels, iou
from echoseg.metrics.surface import surface_distances
from echoseg.ops import fill_polygons

POOR = 0.8  # Dice below which a person should have looked
_PIECE = 64  # images between two moves of the progress bar


@dataclass(frozen=True)
class Evaluation:
    """Predictions on one split beside the truth.

    Attributes:
        images: a row an image: video, frame, patient, phase, and each measure; ``error0_px`` is the first landmark's.
        indices: (N,) int64, the images' places in the store.
        true_masks: (N, H, W) uint8.
        prediction: for the same images.
        summary: one split's entry of ``metrics.json``.
        volumes: a row a video; see ``inference.ejection.traced_volumes``.
        stacks: a row a stack of slices; see ``inference.stack.measure_stacks``.
        videos: a row a whole video, if asked for; see ``inference.ejection.video_volumes``.
    """

    images: pd.DataFrame
    indices: np.ndarray
    true_masks: np.ndarray
    prediction: Prediction
    summary: dict
    volumes: pd.DataFrame = field(default_factory=pd.DataFrame)
    stacks: pd.DataFrame = field(default_factory=pd.DataFrame)
    videos: pd.DataFrame = field(default_factory=pd.DataFrame)


def evaluate(
    predictor: Predictor,
    store: Store,
    split: str = "test",
    *,
    steps: Sequence[str] = (),
    recordings: Mapping[str, Recording] | None = None,
    whole_videos: bool = False,
) -> Evaluation:
    """Measure a predictor on one split of a store, at the store's size.

    Args:
        predictor: of a run.
        store: of any data set.
        split: train, val, test or all.
        steps: post-processing, see ``inference.postprocess``.
        recordings: by video, with their files; for whole videos, and for steps that look at neighbours of the traced
            frames.
        whole_videos: also predict every frame of the split's videos, for EF by beats.

    Raises:
        DataError: the store has no image in this split, or frames of another size than the run's; an unknown step; or
            recordings are needed and not given.
    """
    indices = split_indices(predictor, store, split)
    prediction = predict_split(predictor, store, indices, split, steps=steps, recordings=recordings)
    contours = pad_contours(store.points, store.offsets)[indices]
    true_masks = fill_polygons(contours, store.size)
    images = store.samples.iloc[indices][["video", "frame", "patient", "phase"]].reset_index(drop=True)
    images["dice"] = dice(prediction.masks, true_masks)
    images["dice_all_pixels"] = dice_all_pixels(prediction.masks, true_masks)
    images["iou"] = iou(prediction.masks, true_masks)
    images["hd95_px"], images["assd_px"] = surface_distances(prediction.masks, true_masks)
    images["area_px"], images["true_area_px"] = prediction.areas, true_masks.sum(axis=(1, 2), dtype=np.int64)
    shown = predictor.codec.landmarks(store)
    extra: dict[str, Any] = {}
    if prediction.landmarks is not None and shown is not None:
        true_landmarks = shown[indices]
        errors = landmark_error(prediction.landmarks, true_landmarks)
        images["landmark_error_px"] = errors.mean(axis=1)
        images[[f"error{k}_px" for k in range(errors.shape[1])]] = errors
        if prediction.review is not None:
            images["area_std_px"], images["review"] = prediction.area_std, prediction.review.astype(int)
            extra["review"] = _review(images)
            extra["calibration"] = check_calibration(predictor, prediction, true_landmarks, contours, images)
    volumes = traced_volumes(store, indices, prediction)
    stacks = measure_stacks(images, store.samples.iloc[indices])
    extra |= agreements(volumes) | ({"postprocess": list(steps)} if steps else {})
    extra |= {"stacks": summarise_stacks(stacks)} if len(stacks) else {}
    videos = pd.DataFrame()
    if whole_videos:
        known = _known(recordings, store, "whole videos need")
        videos = video_volumes(predictor, [known[name] for name in images["video"].unique()], volumes, steps=steps)
        extra |= agreements(videos, "_videos")
    summary = {**_summary(images, true_masks), **extra}
    return Evaluation(images, indices, true_masks, prediction, summary, volumes, stacks, videos)


def split_indices(predictor: Predictor, store: Store, split: str) -> np.ndarray:
    """(N,) places of a split's images in a store.

    Raises:
        DataError: the store has no image in this split, or frames of another size than the run's.
    """
    config = predictor.config
    if store.size != config.size:
        raise DataError(f"{store.path}: frames are {store.size}, the run was trained on {config.size}; prepare anew")
    indices = np.arange(len(store)) if split == "all" else np.flatnonzero(config.splits(store.samples) == split)
    if not len(indices):
        raise DataError(f"{store.path}: no image in split {split!r}; check the Split column or choose another --split")
    return indices


def predict_split(
    predictor: Predictor,
    store: Store,
    indices: np.ndarray,
    split: str,
    *,
    steps: Sequence[str] = (),
    recordings: Mapping[str, Recording] | None = None,
) -> Prediction:
    """Predict images of a store, post-processed; arguments and errors as for ``evaluate``."""
    if reach_of(steps):
        known = _known(recordings, store, "'smooth' needs")
        return predict_traced(predictor, known, store.samples.iloc[indices], steps)
    parts = []
    with tqdm(total=len(indices), desc=f"evaluate {split}", unit="image", disable=None) as bar:
        for start in range(0, len(indices), _PIECE):
            piece = indices[start : start + _PIECE]
            parts.append(postprocess(predictor(store.frames[piece]), steps, predictor.codec))
            bar.update(len(piece))
    return Prediction.join(parts)


def _known(recordings: Mapping[str, Recording] | None, store: Store, who: str) -> Mapping[str, Recording]:
    if recordings is None:
        raise DataError(
            f"{store.path}: a store holds traced frames only, {who} all; give --data the folder of videos instead"
        )
    return recordings


def _review(images: pd.DataFrame) -> dict[str, int]:
    """How many images are marked, how many are poor, and how many are both."""
    poor, marked = images["dice"] < POOR, images["review"] == 1
    return {"marked": int(marked.sum()), "poor": int(poor.sum()), "poor_marked": int((poor & marked).sum())}


def _summary(images: pd.DataFrame, true_masks: np.ndarray) -> dict:
    measures = ["dice", "dice_all_pixels", "iou", "hd95_px", "assd_px", "landmark_error_px"]
    black = np.zeros_like(true_masks)
    return {
        "images": len(images),
        "patients": int(images["patient"].nunique()),
        **{name: float(images[name].mean()) for name in measures if name in images},
        "dice_ci95": list(mean_interval(images["dice"].to_numpy(), images["patient"].to_numpy())),
        "empty_predictions": int((images["area_px"] == 0).sum()),
        "all_black": {
            "dice": float(dice(black, true_masks).mean()),
            "dice_all_pixels": float(dice_all_pixels(black, true_masks).mean()),
        },
    }
