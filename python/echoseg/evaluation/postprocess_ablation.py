"""What each post-processing step is worth, so that nobody applies what does not help."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from echoseg.datasets.recording import Recording
from echoseg.datasets.store import Store
from echoseg.evaluation.evaluate import predict_split, split_indices
from echoseg.evaluation.temporal_context import reach_of
from echoseg.geometry.ragged import pad_contours
from echoseg.inference.postprocess import postprocess
from echoseg.inference.predictor import Prediction, Predictor
from echoseg.metrics.bootstrap import mean_interval
from echoseg.metrics.overlap import dice
from echoseg.metrics.surface import surface_distances
from echoseg.ops import fill_polygons

COMPARED = (
    *("threshold=0.3", "threshold=0.4", "threshold=0.6", "threshold=0.7"),
    *("reject_blank", "closing=3", "closing=5", "smooth=1", "smooth=2"),
)


def postprocess_ablation(
    predictor: Predictor, store: Store, split: str, recordings: Mapping[str, Recording] | None
) -> pd.DataFrame:
    """Measure each step alone against none.

    Args:
        predictor: of a run.
        store: of any data set.
        split: best "val": a step chosen on the test split would flatter it.
        recordings: by video, with their files; None leaves out what looks at neighbours of the traced frames.

    Returns:
        a row a step that has something to work on, "none" first: step, dice, hd95_px, gain (of Dice over none), and
        gain_low and gain_high, its 95 % interval, a paired bootstrap over patients.

    Raises:
        DataError: as for ``inference.evaluate.evaluate``.
    """
    indices = split_indices(predictor, store, split)
    patients = store.samples["patient"].iloc[indices].to_numpy()
    true = fill_polygons(pad_contours(store.points, store.offsets)[indices], store.size)
    plain = predict_split(predictor, store, indices, split)
    before, rows = dice(plain.masks, true), []
    for step in ("none", *(step for step in COMPARED if _is_applicable(step, plain, recordings is not None))):
        if step == "none":
            prediction = plain
        elif reach_of([step]):
            prediction = predict_split(predictor, store, indices, split, steps=[step], recordings=recordings)
        else:
            prediction = postprocess(plain, [step], predictor.codec)
        scores = dice(prediction.masks, true)
        low, high = mean_interval(scores - before, patients)
        hd95 = surface_distances(prediction.masks, true)[0].mean()
        gain = (scores - before).mean()
        rows.append(
            {"step": step, "dice": scores.mean(), "hd95_px": hd95, "gain": gain, "gain_low": low, "gain_high": high}
        )
    return pd.DataFrame(rows)


def _is_applicable(step: str, prediction: Prediction, videos: bool) -> bool:
    landmarks = prediction.landmarks is not None
    if reach_of([step]):
        return videos
    if step == "reject_blank":
        return not landmarks or prediction.area_std is not None
    return not (landmarks and step.startswith("threshold"))
