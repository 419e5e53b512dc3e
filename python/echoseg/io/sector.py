"""Finds the sector of an ultrasound cine: it moves, the text, rulers and marks around it do not."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

from echoseg.io.clip import Clip

_STILL = 3  # grey levels by which compression changes a pixel that does not move
_MIN_AREA = 0.02  # share of the frame; smaller moving objects are not a sector


def find_sectors(frames: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Find the convex hulls of the objects that move.

    Args:
        frames: (T, H, W) uint8, grey.

    Returns:
        (H, W) uint8 masks of 0 and 1, that of the largest object first; empty if nothing moves, for example in a
        single frame.
    """
    moves = (frames.max(axis=0) - frames.min(axis=0) > _STILL).astype(np.uint8)
    moves = cv2.morphologyEx(moves, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    gap = max(3, min(moves.shape) // 40)  # larger than gaps within a sector, smaller than the distance to text
    joined = cv2.morphologyEx(moves, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (gap, gap)))
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(joined)
    sectors: list[NDArray[np.uint8]] = []
    for label in 1 + (-statistics[1:, cv2.CC_STAT_AREA]).argsort(kind="stable"):
        sector = np.zeros(moves.shape, dtype=np.uint8)
        cv2.fillConvexPoly(sector, cv2.convexHull(cv2.findNonZero(moves * (labels == label))), 1)
        if sector.mean() <= _MIN_AREA:
            break
        sectors.append(sector)
    return sectors


def box_of(sector: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Bounding box (top, left, bottom, right) of a mask that is not empty; bottom and right are exclusive."""
    left, top, width, height = cv2.boundingRect(sector)
    return top, left, top + height, left + width


def shares_in_common(first: tuple[float, ...], second: tuple[float, ...]) -> tuple[float, float]:
    """The area that two boxes (top, left, bottom, right) have in common, as a share of the first and of the second."""
    both = _area((*map(max, first[:2], second[:2]), *map(min, first[2:], second[2:])))
    return both / _area(first), both / _area(second)


def middle_square(sector: NDArray[np.uint8]) -> tuple[int, int, int]:
    """(top, left, side) of the centred square that is as high as the sector.

    In an apical view it contains the ventricle; the sides of a sector that is wider than high are left out.
    """
    top, left, bottom, right = box_of(sector)
    side = bottom - top
    return top, (left + right - side) // 2, side


def _area(box: tuple[float, ...]) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def crop_to_sector(clip: Clip) -> Clip:
    """Set everything outside the sector of a clip to black, and set `square` to the centred square of the sector.

    Args:
        clip: An ultrasound cine.

    Returns:
        The clip with new frames and `square`; the clip itself if nothing moves.
    """
    for sector in find_sectors(clip.frames)[:1]:
        return dataclasses.replace(clip, frames=clip.frames * sector, square=middle_square(sector))
    return clip
