"""What may be done to predictions afterwards, by name and in the order given.

Some steps have a number that may be set, as in ``closing=7``. None of them is applied unless asked for: ``echoseg
evaluate RUN --split val --compare-postprocess`` shows what each is worth.

Every step changes the contours; masks, areas and volumes follow. What a step makes unknown becomes None: landmarks
after "closing", intervals after "smooth".

Source: threshold, blank frames, closing and the number 5 are those of Craciun, "Image Segmentation for Heart using Deep
Learning", 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

from echoseg.errors import DataError
from echoseg.geometry.level_set import mask_contour
from echoseg.inference.predictor import Prediction, Predictor
from echoseg.metrics.intervals import NORMAL_95
from echoseg.models.codec import THRESHOLD, Codec, threshold_contours
from echoseg.ops import dilate, erode

_SURE = 0.95  # probability: a network that sees a ventricle is as sure as that of its middle
_WIDE = 0.5  # of the area: likewise, its 95 % interval reaches no farther to either side


class Step(NamedTuple):
    """One way to change a prediction.

    Attributes:
        change: (prediction, codec, number) → prediction.
        number: the default; None where there is nothing to set.
        works_on: what it looks at.
        help: what it does with the number.
    """

    change: Callable[[Prediction, Codec, float], Prediction]
    number: float | None
    works_on: str
    help: str


def postprocess(prediction: Prediction, names: Sequence[str], codec: Codec, *, over_time: bool = True) -> Prediction:
    """Apply steps one after the other.

    Args:
        prediction: of any frames.
        names: ``NAME`` or ``NAME=NUMBER``, names of ``STEPS``.
        codec: of the predictor.
        over_time: whether the frames are moments that follow each other; of slices, nothing is smoothed.

    Raises:
        DataError: an unknown step, no number, or a step that has nothing to work on in this approach.
    """
    for name in names:
        step, number = parse_step(name)
        if over_time or step.change is not _smooth:
            prediction = step.change(prediction, codec, number)
    return prediction


def check_steps(names: Sequence[str], predictor: Predictor | None = None) -> None:
    """Refuse wrong steps before work begins.

    Args:
        names: `NAME` or `NAME=NUMBER`, names of `STEPS`.
        predictor: Of the run that they are for; None checks names and numbers only.

    Raises:
        DataError: See `postprocess`.
    """
    for name in names:
        parse_step(name)
    if predictor is not None:
        postprocess(predictor(np.empty((0, 1, 1), dtype=np.uint8)), names, predictor.codec)


def parse_step(name: str) -> tuple[Step, float]:
    """``NAME`` or ``NAME=NUMBER`` → the step and its number.

    Raises:
        DataError: an unknown step, no number above 0, or one where there is nothing to set.
    """
    known, equals, text = name.partition("=")
    if known not in STEPS:
        raise DataError(f"unknown post-processing {known!r}; known: {', '.join(STEPS)}")
    step = STEPS[known]
    if not equals:
        return step, step.number or 0.0
    if step.number is None:
        raise DataError(f"post-processing {name!r}: has no number to set; write {known}")
    try:
        number = float(text)
    except ValueError:
        number = np.nan
    if not 0 < number < np.inf:
        raise DataError(f"post-processing {name!r}: expected a number above 0, as in {known}={step.number:g}")
    return step, number


def _threshold(prediction: Prediction, codec: Codec, number: float) -> Prediction:
    if codec.method is not None:
        raise DataError("post-processing 'threshold': landmarks have no probability to cut; leave it out")
    return _with_threshold(prediction, number)


def _reject_blank(prediction: Prediction, codec: Codec, number: float) -> Prediction:
    if codec.method is None:
        return prediction.emptied(prediction.probabilities.max(axis=(1, 2), initial=0) < _SURE)
    if prediction.area_std is None:
        raise DataError(
            "post-processing 'reject_blank': the areas' intervals are unknown, since the run is not calibrated or an "
            "earlier step changed the contours; put it first, or leave it out"
        )
    return prediction.emptied(~(NORMAL_95 * prediction.area_std <= _WIDE * prediction.areas))


def _closing(prediction: Prediction, codec: Codec, number: float) -> Prediction:
    size = round(number)
    closed = erode(dilate(prediction.masks, kernel_size=size), kernel_size=size)
    changed = (closed != prediction.masks).any(axis=(1, 2))
    if not changed.any():
        return prediction
    contours = [
        mask_contour(mask) if other else contour
        for mask, other, contour in zip(closed, changed, prediction.contours, strict=True)
    ]
    return prediction.with_contours(contours)


def _smooth(prediction: Prediction, codec: Codec, number: float) -> Prediction:
    if not len(prediction):
        return prediction
    if codec.method is None:
        probabilities = gaussian_filter1d(prediction.probabilities, number, axis=0, mode="nearest")
        return _with_threshold(replace(prediction, probabilities=probabilities), THRESHOLD)
    if prediction.landmarks is None or not np.isfinite(prediction.landmarks).all():
        raise DataError("post-processing 'smooth': an earlier step removed the landmarks; put 'smooth' first")
    landmarks = gaussian_filter1d(prediction.landmarks, number, axis=0, mode="nearest")
    smoothed = prediction.with_contours(list(codec.join(landmarks)))
    return replace(smoothed, landmarks=landmarks, axes=codec.axes(landmarks))


def _with_threshold(prediction: Prediction, threshold: float) -> Prediction:
    contours, pieces = threshold_contours(prediction.probabilities, threshold)
    return replace(prediction.with_contours(contours), pieces=pieces)


STEPS: dict[str, Step] = {
    "threshold": Step(_threshold, 0.4, "probabilities", "cut masks at this probability"),
    "reject_blank": Step(
        _reject_blank, None, "probabilities, or the spread of landmarks", "empty frames in which nothing is seen surely"
    ),
    "closing": Step(_closing, 5.0, "masks", "close gaps with a square of so many pixels"),
    "smooth": Step(_smooth, 1.0, "landmarks or probabilities over time", "Gaussian of so many frames, σ"),
}
"""Name → step."""
