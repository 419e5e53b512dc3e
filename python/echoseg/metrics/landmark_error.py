"""Distances between predicted and true landmarks."""

from __future__ import annotations

import numpy as np


def landmark_error(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Euclidean distance between each predicted landmark and the true one.

    Args:
        predicted: (N, K, 2) float, pixels.
        true: (N, K, 2) float, pixels.

    Returns:
        (N, K) float64, pixels.
    """
    return np.linalg.norm(predicted.astype(np.float64) - true, axis=2)
