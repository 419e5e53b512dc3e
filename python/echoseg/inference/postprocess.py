"""Post-processing of predictions: optional steps, applied by name in the given order.

Some steps have a parameter, as in `closing=7`. No step is applied by default. `echoseg evaluate RUN --split val
--compare-postprocess` shows the effect of each step on the Dice.

Every step changes the contours. Masks, areas and volumes are computed from the changed contours. Values that are no
longer valid become None: landmarks and their intervals after "closing".

Source: the threshold, the rejections of blank frames by the network's output, and the closing with its default size of
5 follow Craciun, "Image Segmentation for Heart using Deep Learning", 2022. `CRACIUN` are the steps of that work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from echoseg.errors import DataError
from echoseg.geometry.level_set import mask_contour
from echoseg.inference.predictor import Prediction, Predictor
from echoseg.inference.temporal import smooth_contours
from echoseg.metrics.intervals import NORMAL_95
from echoseg.models.codec import Codec, threshold_contours
from echoseg.ops import dilate, erode
from echoseg.training.logs import logger

CRACIUN = (f"threshold={77 / 255:.4g}", "closing=5", f"reject_bright={4.5 / 255:.4g}")
"""The steps of Craciun, in the order in which that work adds them; its grey levels from 0 to 255 become 0 to 1."""


class Step(NamedTuple):
    """One post-processing step.

    Attributes:
        change: A function of prediction, codec and parameter that returns the changed prediction.
        default: The default of the parameter; None for a step without one.
        above: What the parameter must exceed.
    """

    change: Callable[[Prediction, Codec, float], Prediction]
    default: float | None
    above: float = 0.0


def postprocess(prediction: Prediction, names: Sequence[str], codec: Codec) -> Prediction:
    """Apply post-processing steps one after the other.

    Args:
        prediction: The prediction.
        names: `NAME` or `NAME=NUMBER`, with the names in `STEPS`.
        codec: The codec of the predictor.

    Returns:
        The changed prediction, after any step without intervals of EF, which are those of unchanged predictions.

    Raises:
        DataError: A step is unknown, its parameter is not a positive number, or the prediction lacks the values that
            the step needs.
    """
    for name in names:
        step, parameter = parse_step(name)
        changed = step.change(prediction, codec, parameter)
        if len(changed) > 1 and not any(map(len, changed.contours)) and any(map(len, prediction.contours)):
            logger.warning("post-processing %r has emptied all %d frames; change its number", name, len(changed))
        prediction = changed
    return replace(prediction, ef_intervals=None) if names else prediction


def check_steps(names: Sequence[str], predictor: Predictor | None = None) -> None:
    """Check steps before a long computation starts.

    Args:
        names: `NAME` or `NAME=NUMBER`, with the names in `STEPS`.
        predictor: The predictor whose predictions will be changed; None checks names and parameters only.

    Raises:
        DataError: See `postprocess`.
    """
    for name in names:
        parse_step(name)
    if predictor is not None:
        postprocess(predictor(np.empty((0, 1, 1), dtype=np.uint8)), names, predictor.codec)


def parse_step(name: str) -> tuple[Step, float]:
    """Split `NAME` or `NAME=NUMBER` into the step and its parameter.

    Args:
        name: The name, with or without a parameter.

    Returns:
        The step, and its parameter or the default; 0 for a step without a parameter.

    Raises:
        DataError: The step is unknown or has no parameter, or the parameter is not a positive number.
    """
    key, equals, text = name.partition("=")
    if key not in STEPS:
        raise DataError(f"unknown post-processing {key!r}; known: {', '.join(STEPS)}")
    step = STEPS[key]
    if not equals:
        return step, step.default or 0.0
    if step.default is None:
        raise DataError(f"post-processing {name!r}: the step has no number to set; write {key}")
    try:
        parameter = float(text)
    except ValueError:
        parameter = np.nan
    if not step.above < parameter < np.inf:
        raise DataError(
            f"post-processing {name!r}: expected a number above {step.above:g}, as in {key}={step.default:g}"
        )
    return step, parameter


def _threshold(prediction: Prediction, codec: Codec, threshold: float) -> Prediction:
    """Use another threshold of the probabilities."""
    if codec.method is not None:
        raise DataError("post-processing 'threshold': landmark runs have no mask probabilities; remove the step")
    return with_threshold(prediction, threshold)


def _reject_blank(prediction: Prediction, codec: Codec, confidence: float) -> Prediction:
    """Empty the frames of low confidence.

    The confidence of a mask is the largest probability in the frame. That of landmarks is 1 minus half the width of the
    area's 95 % interval, as a share of the area.
    """
    if codec.method is None:
        return prediction.emptied(prediction.probabilities.max(axis=(1, 2), initial=0) < confidence)
    if prediction.area_std is None:
        raise DataError(
            "post-processing 'reject_blank': the intervals of the areas are unknown, because the run is not calibrated "
            "or an earlier step changed the contours; apply it first, or remove it"
        )
    return prediction.emptied(~(NORMAL_95 * prediction.area_std <= (1 - confidence) * prediction.areas))


def _reject_bright(prediction: Prediction, codec: Codec, limit: float) -> Prediction:
    """Empty the frames whose output is bright: its mean, after scaling to a minimum of 0 and a maximum of 1.

    On a frame without the structure, the largest output is hardly larger than the rest, so that the scaled output is
    bright everywhere. The mean of other frames is about the share of the structure in the frame.
    """
    if codec.method is not None:
        raise DataError("post-processing 'reject_bright': landmark runs have no mask probabilities; remove the step")
    low, high, mean = (getattr(prediction.probabilities, name)(axis=(1, 2)) for name in ("min", "max", "mean"))
    brightness = np.divide(mean - low, high - low, out=np.ones_like(mean), where=high > low)
    return prediction.emptied(brightness > limit)


def _closing(prediction: Prediction, codec: Codec, kernel_size: float) -> Prediction:
    """Apply a morphological closing to the masks, with a square of `kernel_size` pixels."""
    size = round(kernel_size)
    closed = erode(dilate(prediction.masks, kernel_size=size), kernel_size=size)
    changed = (closed != prediction.masks).any(axis=(1, 2))
    if not changed.any():
        return prediction
    contours = [
        mask_contour(mask) if is_changed else contour
        for mask, is_changed, contour in zip(closed, changed, prediction.contours, strict=True)
    ]
    return prediction.with_contours(contours)


def with_threshold(prediction: Prediction, threshold: float) -> Prediction:
    """A prediction of the mask approach with its contours at another threshold, smoothed if they were smoothed."""
    contours, pieces = threshold_contours(prediction.probabilities, threshold)
    if prediction.smoothed:
        contours = smooth_contours(contours)
    return replace(prediction.with_contours(contours), pieces=pieces, smoothed=prediction.smoothed)


STEPS: dict[str, Step] = {
    "threshold": Step(_threshold, 0.4),
    "reject_blank": Step(_reject_blank, 0.5),
    "reject_bright": Step(_reject_bright, 0.3),
    "closing": Step(_closing, 5.0, above=0.5),  # rounds to at least 1
}
"""Steps by name."""
