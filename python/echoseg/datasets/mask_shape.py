"""What the shape of a mask says about its meaning: an inverted mask, the wall instead of the cavity, several pieces."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_COVERED, MAX_HOLES = 0.95, 0.25
"""Shares above which a mask is not that of a chamber: of the image that it covers, of its outline that is a hole."""


def find_impossible(inside: NDArray[np.bool_], *, may_have_holes: bool = False) -> str:
    """Why a mask cannot be that of a structure; "" if it can.

    Args:
        inside: (T, H, W), the pixels of the structure.
        may_have_holes: Whether the structure may have holes, as a wall has.
    """
    traced = inside[inside.any(axis=(1, 2))]
    if not len(traced):
        return ""
    if traced[:, [0, 0, -1, -1], [0, -1, 0, -1]].all(axis=1).any() or traced.mean(axis=(1, 2)).max() > MAX_COVERED:
        covered = traced.mean(axis=(1, 2)).max()
        return (
            f"covers {covered:.0%} of the image and its corners, so background and structure may be swapped; invert it,"
            ' or name both in dataset.json, for example {"labels": {"background": 255, "LV": 0}}'
        )
    holes = float(np.median([outside_contour(frame)[1] for frame in traced]))
    if holes > MAX_HOLES and not may_have_holes:
        return (
            f"{holes:.0%} inside its outline is left out, so it may be the wall, not the cavity; give the mask of the"
            " cavity, or fill the holes"
        )
    return ""


def outside_contour(inside: NDArray[np.bool_]) -> tuple[float, float]:
    """What the contour of the largest piece does not say about a mask.

    Args:
        inside: (H, W), the pixels of the structure.

    Returns:
        The share of the mask's pixels in other pieces, and the share of the pixels in the contour that are holes.
    """
    count, pieces, statistics, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=8)
    if count < 2:
        return 0.0, 0.0
    areas = statistics[1:, cv2.CC_STAT_AREA]
    largest = (pieces == 1 + int(np.argmax(areas))).astype(np.uint8)
    outlines, _ = cv2.findContours(largest, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(largest), outlines, -1, 1, cv2.FILLED)
    return float(1 - areas.max() / areas.sum()), float(1 - areas.max() / filled.sum())
