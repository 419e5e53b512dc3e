"""How much work it is to mend what a run predicts: drags of landmarks against strokes of a brush."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from echoseg.datasets.store import Store
from echoseg.evaluation.correction_effort import Correction, brush_masks, drag_landmarks, steps_until
from echoseg.evaluation.evaluate import Evaluation
from echoseg.inference.predictor import Predictor
from echoseg.models.codec import LandmarkCodec

TARGETS = (0.90, 0.95)


def correction_effort(
    predictor: Predictor, evaluation: Evaluation, store: Store, radii: Sequence[float]
) -> pd.DataFrame:
    """Steps until each image's Dice reaches each target: drags in the landmark approach, strokes in both.

    Args:
        predictor: that was evaluated.
        evaluation: of one split of ``store``.
        store: the data.
        radii: of the brush, pixels of the network's frames.

    Returns:
        N rows an entry of tool and target: video, frame, patient, tool, target, and the steps and way_px
        (pixels over which the hand moves) until it is reached; inf where not even all landmarks, or
        ``assess.effort.STROKES``, reach it.
    """
    masks, landmarks = evaluation.prediction.masks, evaluation.prediction.landmarks
    true_landmarks = predictor.codec.landmarks(store)
    tools: dict[str, Correction] = {}
    if isinstance(predictor.codec, LandmarkCodec) and landmarks is not None and true_landmarks is not None:
        shown = true_landmarks[evaluation.indices]
        tools["drag a landmark"] = drag_landmarks(landmarks, shown, evaluation.true_masks, predictor.codec.join)
    for radius in radii:
        tools[f"brush of radius {radius:g}"] = brush_masks(
            masks, evaluation.true_masks, radius=radius, enough=max(TARGETS)
        )
    images = evaluation.images[["video", "frame", "patient"]]
    return pd.concat(
        [
            images.assign(tool=tool, target=target, **dict(zip(("steps", "way_px"), found, strict=True)))
            for tool, correction in tools.items()
            for target in TARGETS
            for found in [steps_until(correction, target)]
        ],
        ignore_index=True,
    )
