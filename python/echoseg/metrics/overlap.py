"""Overlap of masks: Dice and IoU."""

from __future__ import annotations

import math

import numpy as np

POOR_DICE = 0.8
"""Images with a smaller Dice should be reviewed."""


def dice(predicted: np.ndarray, true: np.ndarray, *, both_empty: float = math.nan) -> np.ndarray:
    """Foreground Dice of each mask, 2|A∩B| / (|A| + |B|).

    An empty prediction of a ventricle has Dice 0. For two empty masks Dice is not applicable.

    Args:
        predicted: (N, H, W) masks of 0 and 1.
        true: (N, H, W) masks of 0 and 1.
        both_empty: The value for two empty masks: nan, or 1 where an empty prediction of a blank slice is a success.

    Returns:
        (N,) float64.
    """
    intersection, union = _counts(predicted, true)
    return _ratio(2 * intersection, intersection + union, both_empty)


def iou(predicted: np.ndarray, true: np.ndarray, *, both_empty: float = math.nan) -> np.ndarray:
    """Intersection over union of each mask, |A∩B| / |A∪B|.

    An empty prediction of a ventricle has IoU 0. For two empty masks IoU is not applicable.

    Args:
        predicted: (N, H, W) masks of 0 and 1.
        true: (N, H, W) masks of 0 and 1.
        both_empty: The value for two empty masks.

    Returns:
        (N,) float64.
    """
    intersection, union = _counts(predicted, true)
    return _ratio(intersection, union, both_empty)


def area_similarity(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Volumetric similarity of two-dimensional masks, 1 - ||A| - |B|| / (|A| + |B|): equal areas give 1.

    It does not depend on where the masks are. One empty mask gives 0.

    Source: Taha and Hanbury, "Metrics for evaluating 3D medical image segmentation: analysis, selection, and tool", BMC
    Medical Imaging 15, 2015.

    Args:
        predicted: (N, H, W) masks of 0 and 1.
        true: (N, H, W) masks of 0 and 1.

    Returns:
        (N,) float64, nan for two empty masks.
    """
    a, b = (masks.sum(axis=(1, 2), dtype=np.int64) for masks in (predicted, true))
    return _ratio(a + b - abs(a - b), a + b, math.nan)


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


def _ratio(part: np.ndarray, whole: np.ndarray, otherwise: float) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), float(otherwise)), where=whole > 0)
