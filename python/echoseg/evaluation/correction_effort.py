"""Effort of correcting a segmentation: the number of landmark drags or brush strokes, and the path of the cursor.

The user is simulated. Each drag moves the landmark with the largest error to its true position. Each stroke starts
where the brush corrects most pixels, and continues while it corrects more pixels than it damages. A real user needs
more drags or strokes.
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

MAX_STROKES = 20
"""Maximum number of strokes per image."""
DICE_GOALS = (0.90, 0.95)
"""The Dice that a correction should reach."""


class Correction(NamedTuple):
    """The progress of the correction of N images over S steps, which are drags or strokes.

    Attributes:
        dice: (N, S + 1) float64: The Dice before the first step and after each step.
        path: (N, S + 1) float64: The path of the cursor with the button pressed, pixels, up to this step.
    """

    dice: np.ndarray
    path: np.ndarray


_NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]


def correction_effort(
    predictor: Predictor, evaluation: Evaluation, store: Store, radii: Sequence[float]
) -> pd.DataFrame:
    """Compute the number of steps until the Dice of each image reaches each goal.

    Steps are strokes of the brush and, in the landmark approach, drags of landmarks.

    Args:
        predictor: The predictor that was evaluated.
        evaluation: The evaluation of one split of the store.
        store: The store.
        radii: The radii of the brush, pixels of the network's frames.

    Returns:
        A table with a row for each image, tool and goal: video, frame, patient, tool, target, the goal; and steps and
        path_px, the number of steps and the path of the cursor until the goal is reached. Both are inf if the goal is
        not reached with all landmarks or with `MAX_STROKES`.
    """
    masks, landmarks = evaluation.prediction.masks, evaluation.prediction.landmarks
    true_landmarks = predictor.codec.landmarks(store)
    tools: dict[str, Correction] = {}
    if landmarks is not None and true_landmarks is not None:
        tools["drag a landmark"] = drag_landmarks(
            landmarks, true_landmarks[evaluation.indices], evaluation.true_masks, predictor.codec.join
        )
    for radius in radii:
        tools[f"brush of radius {radius:g}"] = brush_masks(
            masks, evaluation.true_masks, radius=radius, goal=max(DICE_GOALS)
        )
    images = evaluation.images[["video", "frame", "patient"]]
    tables = []
    for tool, correction in tools.items():
        for goal in DICE_GOALS:
            steps, path = steps_until(correction, goal)
            tables.append(images.assign(tool=tool, target=goal, steps=steps, path_px=path))
    return pd.concat(tables, ignore_index=True)


def drag_landmarks(
    landmarks: np.ndarray, true_landmarks: np.ndarray, true_masks: np.ndarray, join: Callable[[np.ndarray], np.ndarray]
) -> Correction:
    """Simulate K drags, each of which moves the landmark with the largest error to its true position.

    Args:
        landmarks: (N, K, 2) float32, pixels, the predicted landmarks.
        true_landmarks: (N, K, 2) float32, pixels.
        true_masks: (N, H, W) uint8, 0 or 1.
        join: A function from (N, K, 2) landmarks to (N, P, 2) contours.

    Returns:
        The progress over K drags.
    """
    landmarks = landmarks.copy()
    images = np.arange(len(landmarks))
    size = true_masks.shape[1:]
    scores, paths = [dice(fill_polygons(join(landmarks), size), true_masks, both_empty=1)], [np.zeros(len(landmarks))]
    for _ in range(landmarks.shape[1]):
        errors = np.linalg.norm(landmarks - true_landmarks, axis=2)
        worst = errors.argmax(axis=1)
        landmarks[images, worst] = true_landmarks[images, worst]
        scores.append(dice(fill_polygons(join(landmarks), size), true_masks, both_empty=1))
        paths.append(paths[-1] + errors[images, worst])
    return Correction(np.stack(scores, axis=1), np.stack(paths, axis=1))


def brush_masks(
    masks: np.ndarray, true_masks: np.ndarray, *, radius: float, goal: float = 1.0, strokes: int = MAX_STROKES
) -> Correction:
    """Simulate strokes of a round brush that paints or erases.

    Args:
        masks: (N, H, W) uint8, 0 or 1, the predicted masks.
        true_masks: (N, H, W) uint8, 0 or 1.
        radius: The radius of the brush, pixels.
        goal: The Dice at which the correction of an image ends.
        strokes: The maximum number of strokes.

    Returns:
        The progress over the strokes. It is constant once the goal is reached or no stroke improves the mask.
    """
    brush = round_brush(radius)
    scores, paths = np.zeros((2, len(masks), strokes + 1))
    for score, path, mask, true in zip(scores, paths, masks.copy(), true_masks, strict=True):
        score[:] = dice(mask[None], true[None], both_empty=1)
        for stroke in range(1, strokes + 1):
            length = None if score[-1] >= goal else draw_stroke(mask, true, brush)
            if length is None:
                break
            score[stroke:] = dice(mask[None], true[None], both_empty=1)
            path[stroke:] += length
    return Correction(scores, paths)


def steps_until(correction: Correction, goal: float) -> tuple[np.ndarray, np.ndarray]:
    """Find the first step after which the Dice of each image reaches a goal.

    Args:
        correction: The progress of N images.
        goal: The Dice to reach.

    Returns:
        The number of steps and the path of the cursor, pixels, (N,) float64 each; inf if the goal is not reached.
    """
    reached = correction.dice >= goal
    first = reached.argmax(axis=1)
    path = np.take_along_axis(correction.path, first[:, None], axis=1)[:, 0]
    is_reached = reached.any(axis=1)
    return np.where(is_reached, first, np.inf), np.where(is_reached, path, np.inf)


def round_brush(radius: float) -> np.ndarray:
    """(2 r + 1, 2 r + 1) uint8: the pixels of a brush, 0 or 1, with r the whole part of the radius in pixels."""
    reach = int(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return (np.hypot(x, y) <= radius).astype(np.uint8)


def draw_stroke(mask: np.ndarray, true: np.ndarray, brush: np.ndarray) -> float | None:
    """Draw the best stroke into a mask.

    Args:
        mask: (H, W) uint8, 0 or 1; changed in place.
        true: (H, W) uint8, 0 or 1.
        brush: The pixels of the brush, as `round_brush` returns them.

    Returns:
        The length of the stroke, pixels; None if no stroke improves the mask.
    """
    improvements = {value: _improvement(mask, true, brush, value) for value in (0, 1)}
    value = max(improvements, key=lambda value: improvements[value].max())
    if improvements[value].max() <= 0:
        return None
    y, x = (int(index) for index in np.unravel_index(improvements[value].argmax(), mask.shape))
    reach = len(brush) // 2
    step = max(1, reach // 2)
    length = 0.0
    while True:
        # the pixels under the brush at its present and its next position
        top, left = max(0, y - reach - step), max(0, x - reach - step)
        window = np.s_[top : y + reach + step + 1, left : x + reach + step + 1]
        covered = cv2.dilate(_dot(mask[window].shape, (y - top, x - left)), brush)
        mask[window][covered > 0] = value
        improvement = _improvement(mask[window], true[window], brush, value)
        candidates = [(y - top + step * dy, x - left + step * dx) for dy, dx in _NEIGHBOURS]
        candidates = [(y, x) for y, x in candidates if 0 <= y < improvement.shape[0] and 0 <= x < improvement.shape[1]]
        best = max(candidates, key=lambda candidate: improvement[candidate])
        if improvement[best] <= 0:
            return length
        length += float(np.hypot(best[0] + top - y, best[1] + left - x))
        y, x = best[0] + top, best[1] + left


def _dot(shape: tuple[int, ...], index: tuple[int, int]) -> np.ndarray:
    """A mask with one pixel."""
    dot = np.zeros(shape, dtype=np.uint8)
    dot[index] = 1
    return dot


def _improvement(mask: np.ndarray, true: np.ndarray, brush: np.ndarray, value: int) -> np.ndarray:
    """(H, W) float32: The increase of correct pixels if the brush, centred at a pixel, sets pixels to `value`."""
    change = (mask != value) * np.where(true == value, np.float32(1), np.float32(-1))
    improvement = cv2.filter2D(change, -1, brush.astype(np.float32), borderType=cv2.BORDER_CONSTANT)
    return np.rint(improvement)  # OpenCV filters large brushes by FFT, where an error of 1e-6 would extend the stroke
