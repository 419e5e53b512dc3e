"""Predictions from the probabilities or landmarks of a test, as a predictor would make them."""

from __future__ import annotations

from typing import Any

import numpy as np

from echoseg.inference.predictor import Prediction
from echoseg.models.codec import LandmarkCodec, MaskCodec


def of_probabilities(probabilities: np.ndarray) -> Prediction:
    """Return the prediction of the mask approach for (T, H, W) probabilities."""
    probabilities = np.asarray(probabilities, dtype=np.float32)
    return Prediction(*MaskCodec().contours(probabilities, None), probabilities)


def of_landmarks(landmarks: Any, codec: LandmarkCodec, size: tuple[int, int], **more: Any) -> Prediction:
    """Return the prediction of the landmark approach for (T, K, 2) landmarks in frames of `size`."""
    landmarks = np.asarray(landmarks, dtype=np.float32)
    probabilities = np.ones((len(landmarks), *size), dtype=np.float32)
    contours = codec.contours(probabilities, landmarks)
    return Prediction(*contours, probabilities, landmarks, codec.axes(landmarks), **more)
