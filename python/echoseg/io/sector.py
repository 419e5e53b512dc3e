"""The sector of an ultrasound cine: what moves, told from the text, rulers and marks around it."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

from echoseg.io.clip import Clip

_STILL = 3  # grey levels by which compression changes what stands still
_LEAST = 0.02  # of the frame; whatever moves and is smaller is no sector


def find_sector(frames: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Find the sector: the convex hull of the largest thing that moves.

    Args:
        frames: (T, H, W) uint8, grey.

    Returns:
        (H, W) uint8 mask of 0 and 1; None where nothing moves, as in a single frame.
    """
    moves = (frames.max(axis=0) - frames.min(axis=0) > _STILL).astype(np.uint8)
    moves = cv2.morphologyEx(moves, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    gap = max(3, min(moves.shape) // 40)  # between islands of one sector, and between a sector and the text beside it
    joined = cv2.morphologyEx(moves, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (gap, gap)))
    count, labels, facts, _ = cv2.connectedComponentsWithStats(joined)
    if count == 1:
        return None
    largest = 1 + int(facts[1:, cv2.CC_STAT_AREA].argmax())
    hull = cv2.convexHull(cv2.findNonZero(moves * (labels == largest)))
    sector = np.zeros(moves.shape, dtype=np.uint8)
    cv2.fillConvexPoly(sector, hull, 1)
    return sector if sector.mean() > _LEAST else None


def box_of(sector: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of a mask that is not empty; the last two are one past it."""
    left, top, width, height = cv2.boundingRect(sector)
    return top, left, top + height, left + width


def overlap_of_boxes(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    """Intersection over union of two boxes (top, left, bottom, right)."""
    both = _area((*map(max, first[:2], second[:2]), *map(min, first[2:], second[2:])))
    return both / (_area(first) + _area(second) - both)


def middle_square(sector: NDArray[np.uint8]) -> tuple[int, int, int]:
    """(top, left, side) of the square that is as high as the sector and in its middle.

    There an apical view has its ventricle; the wings of a sector wider than high are left out.
    """
    top, left, bottom, right = box_of(sector)
    side = bottom - top
    return top, (left + right - side) // 2, side


def _area(box: tuple[float, ...]) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def crop_to_sector(clip: Clip) -> Clip:
    """Blacken everything around the sector of a clip, and name the square in its middle as the part to segment.

    Args:
        clip: An ultrasound cine.

    Returns:
        The clip with new frames and `square`; the clip itself if nothing moves in it.
    """
    sector = find_sector(clip.frames)
    if sector is None:
        return clip
    return dataclasses.replace(clip, frames=clip.frames * sector, square=middle_square(sector))
