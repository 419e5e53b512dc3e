"""What a user should know of a file: that it looks unlike the training images, and what was guessed in reading it."""

from __future__ import annotations

import numpy as np

from echoseg.inference.predictor import Prediction
from echoseg.io.clip import Clip


def unlike_note(prediction: Prediction) -> str:
    """A note for the user if most frames look unlike the images that the network was trained on, else ""."""
    distances = prediction.image_distances
    if distances is None or not len(distances) or np.median(distances) <= 1:
        return ""
    return (
        f"looks unlike the training images (distance {np.median(distances):.1f} times the limit): do not trust the"
        " contours"
    )


def reading_note(clip: Clip) -> str:
    """A note on a wrong number of frames in the header and on what was guessed in reading; "" if there is neither."""
    declared = f"the header declares {clip.declared} frames" if clip.declared else ""
    return "; ".join(filter(None, [declared, clip.note]))
