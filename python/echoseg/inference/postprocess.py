"""What may be done to predictions afterwards, by name and in the order given.

Some steps have a number that may be set, as in ``closing=7``. None of them is applied unless asked for: ``echoseg
evaluate RUN --split val --compare-postprocess`` shows what each is worth.

Source: threshold, blank frames, closing and the number 5 are the third seed's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from echoseg.errors import DataError
from echoseg.inference.predictor import Prediction
from echoseg.models.codec import Codec, LandmarkCodec
from echoseg.ops import dilate, erode, fill_polygons

_CUT = 0.5  # probability from which a pixel is ventricle
_95 = 1.96  # standard deviations
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
    if prediction.landmarks is not None:
        raise DataError("post-processing 'threshold': landmarks have no probability to cut; leave it out")
    return _with_masks(prediction, prediction.probabilities >= number)


def _reject_blank(prediction: Prediction, codec: Codec, number: float) -> Prediction:
    if prediction.landmarks is None:
        seen = prediction.probabilities.max(axis=(1, 2), initial=0) >= _SURE
    elif prediction.area_std is not None:
        seen = _95 * prediction.area_std <= _WIDE * prediction.areas
    else:
        raise DataError("post-processing 'reject_blank': the run was not calibrated; leave it out, or train anew")
    return _with_masks(prediction, prediction.masks * seen[:, None, None])


def _closing(prediction: Prediction, codec: Codec, number: float) -> Prediction:
    size = round(number)
    return _with_masks(prediction, erode(dilate(prediction.masks, kernel_size=size), kernel_size=size))


def _largest_component(prediction: Prediction, codec: Codec, number: float) -> Prediction:
    kept = np.zeros_like(prediction.masks)
    for mask, out in zip(prediction.masks, kept, strict=True):
        count, labels, facts, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        if count > 1:
            out[labels == 1 + facts[1:, cv2.CC_STAT_AREA].argmax()] = 1
    return _with_masks(prediction, kept)


def _fill_holes(prediction: Prediction, codec: Codec, number: float) -> Prediction:
    filled = prediction.masks.copy()
    for mask in filled:
        outer, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(mask, outer, -1, 1, cv2.FILLED)
    return _with_masks(prediction, filled)


def _smooth(prediction: Prediction, codec: Codec, number: float) -> Prediction:
    if not len(prediction.masks):
        return prediction
    if isinstance(codec, LandmarkCodec):
        assert prediction.landmarks is not None
        landmarks = gaussian_filter1d(prediction.landmarks, number, axis=0, mode="nearest")
        masks = fill_polygons(codec.join(landmarks), prediction.masks.shape[1:])
        return _with_masks(replace(prediction, landmarks=landmarks), masks)
    probabilities = gaussian_filter1d(prediction.probabilities, number, axis=0, mode="nearest")
    return _with_masks(replace(prediction, probabilities=probabilities), probabilities >= _CUT)


def _with_masks(prediction: Prediction, masks: np.ndarray) -> Prediction:
    return replace(prediction, masks=masks.astype(np.uint8), areas=masks.sum(axis=(1, 2), dtype=np.int64))


STEPS: dict[str, Step] = {
    "threshold": Step(_threshold, 0.4, "probabilities", "cut masks at this probability"),
    "reject_blank": Step(
        _reject_blank, None, "probabilities, or the spread of landmarks", "empty frames in which nothing is seen surely"
    ),
    "closing": Step(_closing, 5.0, "masks", "close gaps with a square of so many pixels"),
    "largest_component": Step(_largest_component, None, "masks", "keep the largest piece"),
    "fill_holes": Step(_fill_holes, None, "masks", "fill what is enclosed"),
    "smooth": Step(_smooth, 1.0, "landmarks or probabilities over time", "Gaussian of so many frames, σ"),
}
"""Name → step."""
