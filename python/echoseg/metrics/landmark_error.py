"""How far predicted landmarks lie from the true ones."""

from __future__ import annotations

import numpy as np


def landmark_error(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Euclidean distance of each landmark to the true one of the same identity.

    Args:
        predicted, true: (N, K, 2) float, pixels.

    Returns:
        (N, K) float64, pixels.
    """
    return np.linalg.norm(predicted.astype(np.float64) - true, axis=2)
