"""Which frames of a clip a person should look at, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from echoseg.inference.predictor import Prediction
from echoseg.inference.suggest import MIN_DISTANCE, frame_uncertainty, most_uncertain

MAX_SUGGESTED = 8
"""Maximum number of suggested frames in a clip without marked frames."""


class ReviewQueue(NamedTuple):
    """The frames that a person should look at.

    Attributes:
        frames: The frames, the most uncertain one first.
        reason: Why these frames, in a sentence for the person.
        uncertainty: (T,) float64: The relative standard deviation of the area; None if it is unknown.
    """

    frames: list[int]
    reason: str
    uncertainty: np.ndarray | None


def review_queue(prediction: Prediction, suggested: Sequence[int] = (), *, is_stack: bool) -> ReviewQueue:
    """Choose the frames that a person should look at.

    These are the frames that `echoseg suggest` chose, or else those that the predictor has marked for review. If it has
    marked none, up to `MAX_SUGGESTED` of the most uncertain frames are suggested.

    Args:
        prediction: The prediction of the clip.
        suggested: The frames that `echoseg suggest` chose; frames that the clip does not have are left out.
        is_stack: Whether the clip is a stack of slices.
    """
    uncertainty = frame_uncertainty(prediction)
    chosen = [frame for frame in suggested if frame < len(prediction)]
    if chosen:
        return ReviewQueue(chosen, "Label these frames: 'echoseg suggest' chose them.", uncertainty)
    if uncertainty is None:
        reason = "How certain the network is of each frame is unknown. Look at the ED and ES frames."
        return ReviewQueue([], reason, None)
    if prediction.review is not None and prediction.review.any():
        marked = np.flatnonzero(prediction.review)
        reason = (
            "The network marks these frames: the 95 % interval of the area (±, in percent of the area) is wide, or the"
            " shape or its motion is implausible."
        )
        return ReviewQueue(marked[np.argsort(-uncertainty[marked], kind="stable")].tolist(), reason, uncertainty)
    frames = most_uncertain(uncertainty, min_distance=1 if is_stack else MIN_DISTANCE)[:MAX_SUGGESTED]
    if prediction.area_std is not None:
        reason = "No frame is marked. These are the least certain ones; ±: 95 % interval of the area, in percent."
    else:
        reason = "The least certain frames; %: how much area is uncertain, in percent of the area."
    return ReviewQueue(frames, reason, uncertainty)
