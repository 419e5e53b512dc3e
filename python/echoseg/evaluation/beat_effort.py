"""Effort of correcting all frames of a cine, with and without carrying corrections to the other frames.

The simulated user always corrects the worst frame, as in `echoseg.evaluation.correction_effort`, until each frame of
the cine has the Dice that is the goal.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from echoseg.datasets.clips import read_recording
from echoseg.datasets.recording import Recording
from echoseg.errors import DataError
from echoseg.evaluation.correction_effort import draw_stroke, round_brush
from echoseg.geometry.contour import order_contour
from echoseg.geometry.landmarks import choose_landmarks
from echoseg.geometry.level_set import mask_contour
from echoseg.inference.predictor import Prediction, Predictor
from echoseg.inference.propagation import CorrectedFrame, propagate
from echoseg.metrics.overlap import dice
from echoseg.metrics.steadiness import steadiness
from echoseg.models.codec import fill_contours

MIN_TRACED = 5
"""Minimum number of traced frames of a cine."""


class _Correction(NamedTuple):
    steps: int
    path: float  # of the cursor, pixels
    frame: CorrectedFrame


@dataclass(frozen=True)
class _User:
    """A person who knows the true contours, and corrects frames until their Dice is the goal."""

    predictor: Predictor
    truth: dict[int, np.ndarray]  # contours by frame
    masks: dict[int, np.ndarray]
    goal: float
    radius: float  # of the brush, pixels

    def correct(self, prediction: Prediction, frame: int) -> _Correction:
        return self._brush(prediction, frame) if prediction.landmarks is None else self._drag(prediction, frame)

    def _drag(self, prediction: Prediction, frame: int) -> _Correction:
        codec, contour = self.predictor.codec, self.truth[frame]
        ends = np.array([0, len(contour)])
        assert prediction.landmarks is not None
        true = choose_landmarks(contour, prediction.landmarks.shape[1], scheme=codec.scheme, offsets=ends)[0]
        points, moved, path = prediction.landmarks[frame].copy(), np.zeros(len(true), dtype=bool), 0.0
        while self._dice(codec.join(points[None])[0], frame) < self.goal and not moved.all():
            errors = np.where(moved, -1, np.linalg.norm(points - true, axis=1))
            worst = int(errors.argmax())
            points[worst], moved[worst], path = true[worst], True, path + float(errors[worst])
        axes = codec.axes(points[None])
        axis = None if axes is None else axes[0]
        corrected = CorrectedFrame(codec.join(points[None])[0], axis, np.arange(len(true)), points, moved)
        return _Correction(int(moved.sum()), path, corrected)

    def _brush(self, prediction: Prediction, frame: int) -> _Correction:
        mask, true, brush = prediction.masks[frame].copy(), self.masks[frame], round_brush(self.radius)
        steps, path = 0, 0.0
        while dice(mask[None], true[None])[0] < self.goal:
            length = draw_stroke(mask, true, brush)
            if length is None:
                break
            steps, path = steps + 1, path + length
        none = np.zeros((0, 2), np.float32)
        return _Correction(
            steps, path, CorrectedFrame(mask_contour(mask), None, np.zeros(0, int), none, none[:, 0] > 0)
        )

    def _dice(self, contour: np.ndarray, frame: int) -> float:
        true = self.masks[frame]
        return float(dice(fill_contours([contour], true.shape), true[None], both_empty=1)[0])


def beat_effort(
    predictor: Predictor, recordings: Sequence[Recording], *, goal: float = 0.95, radius: float = 4.0
) -> pd.DataFrame:
    """Simulate the correction of cines, frame by frame and with corrections that are carried to the other frames.

    The tool is a drag of a landmark in the landmark approach, else a stroke of a brush.

    Args:
        predictor: The predictor.
        recordings: The recordings. Stacks, and those with fewer than `MIN_TRACED` traced frames, are left out.
        goal: The Dice that each traced frame should reach.
        radius: The radius of the brush, pixels of the frames.

    Returns:
        A table with two rows for each cine: video, patient, and frames, the number of traced frames; carried, whether
        corrections are carried to the other frames; corrected, the number of frames that the user corrects; steps and
        path_px, the number of drags or strokes and the path of the cursor; reached, whether all frames reach the goal;
        dice, the mean over the traced frames at the end; neighbour_dice and area_jitter_percent, the steadiness at the
        end; and seconds, the median time until the other frames are changed.

    Raises:
        DataError: No recording has enough traced frames, or one cannot be read.
    """
    cines = (recording for recording in recordings if math.isnan(recording.thickness))
    traced = [recording for recording in cines if len(recording.tracings) >= MIN_TRACED]
    if not traced:
        raise DataError(
            f"{recordings[0].path.parent if recordings else 'data'}: no video has {MIN_TRACED} traced frames or more; "
            "give data with tracings of whole cines, such as those of 'echoseg phantom OUT --exact'"
        )
    rows = []
    for recording in tqdm(traced, desc="correct", unit="video", disable=None):
        clip = read_recording(recording)
        prediction = predictor(clip)
        present = (tracing for tracing in recording.tracings if tracing.frame < len(clip.frames))
        truth = {tracing.frame: order_contour(tracing.coordinates) for tracing in present}
        if not truth:
            continue
        masks = dict(zip(truth, fill_contours(list(truth.values()), prediction.size), strict=True))
        user = _User(predictor, truth, masks, goal, radius)
        for carried in (False, True):
            shared = {"video": recording.name, "patient": recording.patient, "frames": len(truth), "carried": carried}
            rows.append(shared | _correct_cine(user, prediction, clip.fps, carried))
    return pd.DataFrame(rows)


def _correct_cine(user: _User, prediction: Prediction, fps: float, carried: bool) -> dict[str, Any]:
    frames = np.array(list(user.truth))
    true = np.stack(list(user.masks.values()))
    current, corrections, seconds = prediction, dict[int, _Correction](), []
    while True:
        scores = dice(current.masks[frames], true, both_empty=1)
        open_scores = np.where(np.isin(frames, list(corrections)), np.inf, scores)
        worst = int(frames[open_scores.argmin()])
        if open_scores.min() >= user.goal:
            break
        corrections[worst] = user.correct(current, worst)
        corrected = {frame: correction.frame for frame, correction in corrections.items()}
        if carried:
            started = time.perf_counter()
            current = propagate(user.predictor, prediction, corrected, fps)
            seconds.append(time.perf_counter() - started)
        else:
            contours = list(current.contours)
            contours[worst] = corrected[worst].contour
            current = replace(current, contours=contours)
    values = steadiness(current.masks, current.areas, None, np.zeros(0, int))
    return {
        "corrected": len(corrections),
        "steps": sum(correction.steps for correction in corrections.values()),
        "path_px": sum(correction.path for correction in corrections.values()),
        "reached": bool((scores >= user.goal).all()),
        "dice": float(scores.mean()),
        **{name: values[name] for name in ("neighbour_dice", "area_jitter_percent")},
        "seconds": float(np.median(seconds)) if seconds else np.nan,
    }
