"""Overlap of masks: Dice and IoU."""

from __future__ import annotations

import numpy as np

POOR_DICE = 0.8
"""Images with a smaller Dice should be reviewed."""


def dice(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Foreground Dice of each mask, 2|A∩B| / (|A| + |B|).

    An empty prediction of a ventricle has Dice 0; two empty masks have Dice 1.

    Args:
        predicted: (N, H, W) masks of 0 and 1.
        true: (N, H, W) masks of 0 and 1.

    Returns:
        (N,) float64.
    """
    intersection, union = _counts(predicted, true)
    return _ratio(2 * intersection, intersection + union)


def iou(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Intersection over union of each mask, |A∩B| / |A∪B|.

    An empty prediction of a ventricle has IoU 0; two empty masks have IoU 1.

    Args:
        predicted: (N, H, W) masks of 0 and 1.
        true: (N, H, W) masks of 0 and 1.

    Returns:
        (N,) float64.
    """
    intersection, union = _counts(predicted, true)
    return _ratio(intersection, union)


def dice_all_pixels(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The "Dice" of Rodríguez Valencia et al., which is the pixel accuracy.

    It averages over foreground and background. An empty prediction has 1 minus the ventricle's share of the frame,
    about 0.88 on echocardiograms. It is reported only for comparison with this paper.

    Args:
        predicted: (N, H, W) masks of 0 and 1.
        true: (N, H, W) masks of 0 and 1.

    Returns:
        (N,) float64.
    """
    return (predicted == true).mean(axis=(1, 2))


def _counts(predicted: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    predicted, true = predicted.astype(bool), true.astype(bool)
    return (predicted & true).sum(axis=(1, 2)), (predicted | true).sum(axis=(1, 2))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.ones(len(whole)), where=whole > 0)
