"""The warning that a file looks unlike the images that a network was trained on."""

from __future__ import annotations

import numpy as np

from echoseg.inference.predictor import Prediction


def unlike_note(prediction: Prediction) -> str:
    """A note for the user if most frames look unlike the images that the network was trained on, else ""."""
    distances = prediction.image_distances
    if distances is None or not len(distances) or np.median(distances) <= 1:
        return ""
    return (
        f"looks unlike the training images (distance {np.median(distances):.1f} times the limit): do not trust the"
        " contours"
    )
