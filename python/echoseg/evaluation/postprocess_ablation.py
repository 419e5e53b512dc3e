"""Ablation studies of post-processing: the effect on the Dice of each step alone, and of steps one after the other.

Blank slices of stacks are evaluated too: an empty prediction has a Dice of 1 on them, any other has 0. So the number of
a step that rejects blank frames can be chosen on a split that contains blanks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from echoseg.datasets.store import Store
from echoseg.evaluation.evaluate import predict_split, split_indices
from echoseg.geometry.ragged import pad_contours
from echoseg.inference.postprocess import CRACIUN, postprocess
from echoseg.inference.predictor import Prediction, Predictor
from echoseg.metrics.bootstrap import mean_interval
from echoseg.metrics.overlap import dice
from echoseg.metrics.surface import surface_distances
from echoseg.ops import fill_polygons

_dice = partial(dice, both_empty=1)
_STEPS = (
    *("threshold=0.3", "threshold=0.4", "threshold=0.6", "threshold=0.7"),
    *("reject_blank=0.5", "reject_blank=0.7", "reject_blank=0.9", "reject_blank=0.95", "reject_blank=0.99"),
    *("reject_bright=0.02", "reject_bright=0.04", "reject_bright=0.06", "reject_bright=0.08"),
    *("reject_bright=0.1", "reject_bright=0.15", "reject_bright=0.2", "reject_bright=0.3"),
    *("closing=3", "closing=5"),
)
_MASKS_ONLY = ("threshold", "reject_bright")


def postprocess_ablation(predictor: Predictor, store: Store, split: str) -> pd.DataFrame:
    """Evaluate a predictor without post-processing and with each step alone.

    Args:
        predictor: The predictor of a run.
        store: A store of any data set.
        split: "train", "val", "test" or "all". Steps should be chosen on "val", since results on the split on which
            they are chosen are biased.

    Returns:
        A table with a row per step that can be applied, the first is "none": step, dice, hd95_px, gain, the difference
        of the Dice to "none", and gain_low and gain_high, the 95 % interval of the gain by a paired bootstrap over
        patients; emptied, the number of images whose contour the step removed.

    Raises:
        DataError: The store has no image in this split, or its frame size differs from that of the run.
    """
    images = _Images(predictor, store, split)
    baseline, rows = _dice(images.unprocessed.masks, images.true), []
    for step in ("none", *(step for step in _STEPS if images.accept(step))):
        prediction = images.unprocessed if step == "none" else images.predict((step,))
        rows.append(images.measure(step, prediction, images.unprocessed, baseline))
    return pd.DataFrame(rows)


def postprocess_ladder(predictor: Predictor, store: Store, split: str, steps: Sequence[str]) -> pd.DataFrame:
    """Evaluate post-processing steps that are added one after the other.

    Args:
        predictor: The predictor of a run.
        store: A store of any data set.
        split: "train", "val", "test" or "all"; see `postprocess_ablation`.
        steps: The steps in their order; empty takes those of Craciun that the run's approach has.

    Returns:
        A table with the columns of `postprocess_ablation`; gain is the difference to the row before. In the mask
        approach the first row is "output", the soft Dice of the probabilities without any threshold, without a hd95_px.
        In the landmark approach it is "none". In the other rows, all steps up to this one are applied.

    Raises:
        DataError: The store has no image in this split, its frame size differs from that of the run, or a step cannot
            be applied.
    """
    images = _Images(predictor, store, split)
    steps = steps or [step for step in CRACIUN if images.accept(step)]
    previous = images.unprocessed
    if previous.landmarks is None:
        before = _soft_dice(previous.probabilities, images.true)
        rows: list[dict[str, Any]] = [{"step": "output", "dice": before.mean(), "hd95_px": np.nan}]
    else:
        before = _dice(previous.masks, images.true)
        rows = [images.measure("none", previous, previous, before)]
    for count, step in enumerate(steps, 1):
        prediction = images.predict(steps[:count])
        rows.append(images.measure(step, prediction, previous, before))
        before, previous = _dice(prediction.masks, images.true), prediction
    return pd.DataFrame(rows)


def choose_step(
    predictor: Predictor, store: Store, split: str, candidates: Sequence[str], *, before: Sequence[str] = ()
) -> str:
    """Choose the step with the highest Dice.

    Args:
        predictor: The predictor of a run.
        store: A store of any data set.
        split: The split to choose on, which should contain blank slices for a step that rejects blank frames.
        candidates: The steps, for example one name with several numbers. Of equal ones, the first is chosen.
        before: The steps that are applied before it.

    Raises:
        DataError: The store has no image in this split, its frame size differs from that of the run, or a step cannot
            be applied.
    """
    images = _Images(predictor, store, split)
    scores = [_dice(images.predict([*before, step]).masks, images.true).mean() for step in candidates]
    return candidates[int(np.argmax(scores))]


class _Images:
    """The images of a split.

    Attributes:
        true: (N, H, W) uint8, the true masks.
        unprocessed: The prediction without post-processing.
    """

    def __init__(self, predictor: Predictor, store: Store, split: str) -> None:
        self._codec = predictor.codec
        indices = split_indices(predictor, store, split)
        self._patients = store.samples["patient"].iloc[indices].tolist()
        self.true = fill_polygons(pad_contours(store.points, store.offsets)[indices], store.size)
        self.unprocessed = predict_split(predictor, store, indices, split)

    def predict(self, steps: Sequence[str]) -> Prediction:
        """The prediction with post-processing steps."""
        return postprocess(self.unprocessed, steps, self._codec)

    def accept(self, step: str) -> bool:
        """Whether a step can be applied."""
        has_landmarks = self.unprocessed.landmarks is not None
        name = step.partition("=")[0]
        if has_landmarks and name in _MASKS_ONLY:
            return False
        return name != "reject_blank" or not has_landmarks or self.unprocessed.area_std is not None

    def measure(self, step: str, after: Prediction, before: Prediction, baseline: np.ndarray) -> dict[str, Any]:
        """The row of a prediction in a table, compared with the Dice of the images before the step."""
        scores = _dice(after.masks, self.true)
        low, high = mean_interval(scores - baseline, self._patients)
        return {
            "step": step,
            "dice": scores.mean(),
            "hd95_px": np.nanmean(surface_distances(after.masks, self.true)[0]),
            "gain": (scores - baseline).mean(),
            "gain_low": low,
            "gain_high": high,
            "emptied": sum(len(a) > 0 and not len(b) for a, b in zip(before.contours, after.contours, strict=True)),
        }


def _soft_dice(probabilities: np.ndarray, true: np.ndarray) -> np.ndarray:
    """(N,) float64: the Dice of probabilities, in which a pixel counts by its probability."""
    overlap = 2 * (probabilities * true).sum(axis=(1, 2), dtype=np.float64)
    total = probabilities.sum(axis=(1, 2), dtype=np.float64) + true.sum(axis=(1, 2))
    return np.divide(overlap, total, out=np.ones_like(total), where=total > 0)
