"""How much work a person has to mend a segmentation: landmarks dragged, or brush strokes drawn.

The person is simulated, and perfect: every drag puts the worst landmark on its true place, every stroke begins where
the brush mends most and goes on as long as it mends more than it spoils. Real hands need more of either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from echoseg.datasets.store import Store
from echoseg.evaluation.evaluate import Evaluation
from echoseg.inference.predictor import Predictor
from echoseg.metrics.overlap import dice
from echoseg.ops import fill_polygons

STROKES = 20
"""After so many the person gives up."""
TARGETS = (0.90, 0.95)
"""Dice that is to be reached."""


class Correction(NamedTuple):
    """What became of N images, from no step on.

    Attributes:
        dice: (N, S + 1) float64, after each step.
        way: (N, S + 1) float64, pixels over which the hand has moved with the button held.
    """

    dice: np.ndarray
    way: np.ndarray


_AROUND = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]


def correction_effort(
    predictor: Predictor, evaluation: Evaluation, store: Store, radii: Sequence[float]
) -> pd.DataFrame:
    """Steps until each image's Dice reaches each target: drags in the landmark approach, strokes in both.

    Args:
        predictor: that was evaluated.
        evaluation: of one split of ``store``.
        store: the data.
        radii: of the brush, pixels of the network's frames.

    Returns:
        N rows an entry of tool and target: video, frame, patient, tool, target, and the steps and way_px
        (pixels over which the hand moves) until it is reached; inf where not even all landmarks, or
        ``STROKES``, reach it.
    """
    masks, landmarks = evaluation.prediction.masks, evaluation.prediction.landmarks
    true_landmarks = predictor.codec.landmarks(store)
    tools: dict[str, Correction] = {}
    if landmarks is not None and true_landmarks is not None:
        shown = true_landmarks[evaluation.indices]
        tools["drag a landmark"] = drag_landmarks(landmarks, shown, evaluation.true_masks, predictor.codec.join)
    for radius in radii:
        tools[f"brush of radius {radius:g}"] = brush_masks(
            masks, evaluation.true_masks, radius=radius, enough=max(TARGETS)
        )
    images = evaluation.images[["video", "frame", "patient"]]
    return pd.concat(
        [
            images.assign(tool=tool, target=target, **dict(zip(("steps", "way_px"), found, strict=True)))
            for tool, correction in tools.items()
            for target in TARGETS
            for found in [steps_until(correction, target)]
        ],
        ignore_index=True,
    )


def drag_landmarks(
    landmarks: np.ndarray, true_landmarks: np.ndarray, true_masks: np.ndarray, join: Callable[[np.ndarray], np.ndarray]
) -> Correction:
    """Drag the worst landmark to its true place, again and again.

    Args:
        landmarks: (N, K, 2) float32, pixels, as predicted.
        true_landmarks: (N, K, 2) float32, pixels.
        true_masks: (N, H, W) uint8.
        join: (N, K, 2) landmarks → (N, P, 2) outlines.

    Returns:
        From no drag to K.
    """
    landmarks = landmarks.copy()
    images = np.arange(len(landmarks))
    size = true_masks.shape[1:]
    scores, ways = [dice(fill_polygons(join(landmarks), size), true_masks)], [np.zeros(len(landmarks))]
    for _ in range(landmarks.shape[1]):
        errors = np.linalg.norm(landmarks - true_landmarks, axis=2)
        worst = errors.argmax(axis=1)
        landmarks[images, worst] = true_landmarks[images, worst]
        scores.append(dice(fill_polygons(join(landmarks), size), true_masks))
        ways.append(ways[-1] + errors[images, worst])
    return Correction(np.stack(scores, axis=1), np.stack(ways, axis=1))


def brush_masks(
    masks: np.ndarray, true_masks: np.ndarray, *, radius: float, enough: float = 1.0, strokes: int = STROKES
) -> Correction:
    """Draw the best stroke of a round brush that paints or erases, again and again.

    Args:
        masks: (N, H, W) uint8, as predicted.
        true_masks: (N, H, W) uint8.
        radius: of the brush, pixels.
        enough: Dice at which the person stops.
        strokes: to draw at most.

    Returns:
        From no stroke to ``strokes``; constant once there is enough, or no stroke mends anything.
    """
    reach = int(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    brush = (np.hypot(x, y) <= radius).astype(np.uint8)
    scores, ways = np.zeros((2, len(masks), strokes + 1))
    for score, way, mask, true in zip(scores, ways, masks.copy(), true_masks, strict=True):
        score[:] = dice(mask[None], true[None])
        for stroke in range(1, strokes + 1):
            length = None if score[-1] >= enough else _draw_stroke(mask, true, brush)
            if length is None:
                break
            score[stroke:] = dice(mask[None], true[None])
            way[stroke:] += length
    return Correction(scores, ways)


def steps_until(correction: Correction, target: float) -> tuple[np.ndarray, np.ndarray]:
    """(N,) float64 each: steps and way until each image's Dice first reaches ``target``; inf if it never does."""
    reached = correction.dice >= target
    first = reached.argmax(axis=1)
    way = np.take_along_axis(correction.way, first[:, None], axis=1)[:, 0]
    ever = reached.any(axis=1)
    return np.where(ever, first, np.inf), np.where(ever, way, np.inf)


def _draw_stroke(mask: np.ndarray, true: np.ndarray, brush: np.ndarray) -> float | None:
    """Draw the best stroke into ``mask`` and return its length; None if none mends more than it spoils."""
    gains = {value: _gains(mask, true, brush, value) for value in (0, 1)}
    value = max(gains, key=lambda value: gains[value].max())
    if gains[value].max() <= 0:
        return None
    y, x = (int(place) for place in np.unravel_index(gains[value].argmax(), mask.shape))
    reach = len(brush) // 2
    step = max(1, reach // 2)
    length = 0.0
    while True:
        # what the brush and its next places touch
        top, left = max(0, y - reach - step), max(0, x - reach - step)
        window = np.s_[top : y + reach + step + 1, left : x + reach + step + 1]
        touched = cv2.dilate(_dot(mask[window].shape, (y - top, x - left)), brush)
        mask[window][touched > 0] = value
        near = _gains(mask[window], true[window], brush, value)
        places = [(y - top + step * dy, x - left + step * dx) for dy, dx in _AROUND]
        places = [(y, x) for y, x in places if 0 <= y < near.shape[0] and 0 <= x < near.shape[1]]
        best = max(places, key=lambda place: near[place])
        if near[best] <= 0:
            return length
        length += float(np.hypot(best[0] + top - y, best[1] + left - x))
        y, x = best[0] + top, best[1] + left


def _dot(shape: tuple[int, ...], place: tuple[int, int]) -> np.ndarray:
    dot = np.zeros(shape, dtype=np.uint8)
    dot[place] = 1
    return dot


def _gains(mask: np.ndarray, true: np.ndarray, brush: np.ndarray, value: int) -> np.ndarray:
    """(H, W) float32: how many more pixels are right once the brush has set those around a place to ``value``."""
    change = (mask != value) * np.where(true == value, np.float32(1), np.float32(-1))
    gains = cv2.filter2D(change, -1, brush.astype(np.float32), borderType=cv2.BORDER_CONSTANT)
    return np.rint(gains)  # of large brushes OpenCV sums by FFT: a rest of 1e-6 would keep a stroke going for ever
