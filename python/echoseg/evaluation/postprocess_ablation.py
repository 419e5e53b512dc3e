"""Ablation study of post-processing: the effect of each step on the Dice."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from echoseg.datasets.recording import Recording
from echoseg.datasets.store import Store
from echoseg.evaluation.evaluate import predict_split, split_indices
from echoseg.evaluation.temporal_context import temporal_radius
from echoseg.geometry.ragged import pad_contours
from echoseg.inference.postprocess import postprocess
from echoseg.inference.predictor import Prediction, Predictor
from echoseg.metrics.bootstrap import mean_interval
from echoseg.metrics.overlap import dice
from echoseg.metrics.surface import surface_distances
from echoseg.ops import fill_polygons

_STEPS = (
    *("threshold=0.3", "threshold=0.4", "threshold=0.6", "threshold=0.7"),
    *("reject_blank", "closing=3", "closing=5", "smooth=1", "smooth=2"),
)


def postprocess_ablation(
    predictor: Predictor, store: Store, split: str, recordings: Mapping[str, Recording] | None
) -> pd.DataFrame:
    """Evaluate a predictor without post-processing and with each step alone.

    Args:
        predictor: The predictor of a run.
        store: A store of any data set.
        split: "train", "val", "test" or "all". Steps should be chosen on "val", since results on the split on which
            they are chosen are biased.
        recordings: The recordings by name of the video; None leaves out steps that use frames before and after the
            traced ones.

    Returns:
        A table with a row per step that can be applied, the first is "none": step, dice, hd95_px, gain, the difference
        of the Dice to "none", and gain_low and gain_high, the 95 % interval of the gain by a paired bootstrap over
        patients.

    Raises:
        DataError: The store has no image in this split, or its frame size differs from that of the run.
    """
    indices = split_indices(predictor, store, split)
    patients = store.samples["patient"].iloc[indices].to_numpy()
    true = fill_polygons(pad_contours(store.points, store.offsets)[indices], store.size)
    unprocessed = predict_split(predictor, store, indices, split)
    baseline, rows = dice(unprocessed.masks, true), []
    for step in ("none", *(step for step in _STEPS if _is_applicable(step, unprocessed, recordings is not None))):
        if step == "none":
            prediction = unprocessed
        elif temporal_radius([step]):
            prediction = predict_split(predictor, store, indices, split, steps=[step], recordings=recordings)
        else:
            prediction = postprocess(unprocessed, [step], predictor.codec)
        scores = dice(prediction.masks, true)
        low, high = mean_interval(scores - baseline, patients)
        hd95 = surface_distances(prediction.masks, true)[0].mean()
        gain = (scores - baseline).mean()
        rows.append(
            {"step": step, "dice": scores.mean(), "hd95_px": hd95, "gain": gain, "gain_low": low, "gain_high": high}
        )
    return pd.DataFrame(rows)


def _is_applicable(step: str, prediction: Prediction, has_recordings: bool) -> bool:
    """Whether a step can be applied to a prediction of traced frames."""
    has_landmarks = prediction.landmarks is not None
    if temporal_radius([step]):
        return has_recordings
    if step == "reject_blank":
        return not has_landmarks or prediction.area_std is not None
    return not (has_landmarks and step.startswith("threshold"))
