"""The clips of a review. A clip is read and predicted when it is opened for the first time."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from echoseg.errors import DataError
from echoseg.geometry.contour import order_contour
from echoseg.geometry.landmarks import choose_landmarks
from echoseg.inference.measure import Measurement, measure, volume_deviations
from echoseg.inference.predictor import Prediction, Predictor
from echoseg.inference.unlike_note import unlike_note
from echoseg.io.clip import Clip
from echoseg.review.handles import Drawing, Handles, drawing_of
from echoseg.review.review_queue import review_queue
from echoseg.review.sources import ReviewClip, read_source

MAX_LOADED = 3
"""Maximum number of clips in memory."""


@dataclass(frozen=True, eq=False)
class LoadedClip:
    """A clip in memory, with everything that the page shows.

    Attributes:
        source: The file.
        clip: The clip that was read from it, with T frames.
        prediction: The prediction of the clip.
        measurement: The measurement of the prediction.
        probabilities: (T, H, W) uint8, the probabilities scaled to 255.
        handles: The predicted handles of each frame.
        facts: The metadata and predictions that are sent to the page, as JSON values.
    """

    source: ReviewClip
    clip: Clip
    prediction: Prediction
    measurement: Measurement
    probabilities: np.ndarray
    handles: list[Handles]
    facts: dict[str, Any]


class Clips:
    """The clips of a review by number. The `MAX_LOADED` clips that were opened last stay in memory.

    Attributes:
        predictor: The predictor.
        sources: The files.
        drawing: The curve through the handles.
    """

    def __init__(self, predictor: Predictor, sources: Sequence[ReviewClip]) -> None:
        self.predictor, self.sources, self.drawing = predictor, sources, drawing_of(predictor.codec)
        self._loaded: dict[int, LoadedClip] = {}
        self._queues: dict[int, list[int]] = {}
        self._predicting = threading.Lock()  # one prediction at a time, since each uses all cores

    def open(self, number: int) -> LoadedClip:
        """Read and predict a clip, or return it from memory.

        Args:
            number: Index of the clip in `sources`.

        Returns:
            The loaded clip.

        Raises:
            KeyError: There is no clip of this number.
            DataError: The file is damaged.
        """
        if not 0 <= number < len(self.sources):
            raise KeyError(number)
        loaded = self._loaded.get(number)
        if loaded is not None:
            return loaded
        with self._predicting:
            if number not in self._loaded:
                if len(self._loaded) == MAX_LOADED:
                    del self._loaded[next(iter(self._loaded))]
                self._loaded[number] = self._load(self.sources[number])
                self._queues[number] = self._loaded[number].facts["to_review"]
            return self._loaded[number]

    def queue(self, number: int) -> list[int] | None:
        """The frames to review of a clip; None if the clip was not opened yet."""
        return self._queues.get(number)

    def _load(self, source: ReviewClip) -> LoadedClip:
        recording = source.recording
        clip = read_source(source)
        prediction = self.predictor(clip)
        handles = _handles_of(prediction, self.drawing)
        measurement = measure(prediction, clip)
        queue = review_queue(prediction, is_stack=not np.isnan(clip.thickness))
        volume_std = volume_deviations(prediction, measurement)
        tracings = () if recording is None else recording.tracings
        contours = {t.frame: order_contour(t.coordinates) for t in tracings if len(t.coordinates)}
        facts = {
            "name": source.name,
            "height": clip.frames.shape[1],
            "width": clip.frames.shape[2],
            "frames": len(clip.frames),
            "fps": _or_none(clip.fps),
            "scale": _scale(clip).tolist(),
            "known": measurement.unit == "ml",
            "thickness": _or_none(clip.thickness),
            "points": np.stack([frame_handles.points for frame_handles in handles]).round(4).tolist(),
            "outlines": None if prediction.landmarks is not None else [c.tolist() for c in prediction.contours],
            "truth": {frame: contour.round(3).tolist() for frame, contour in contours.items()},
            "areas": prediction.areas.tolist(),
            "area_std": None if prediction.area_std is None else prediction.area_std.round(2).tolist(),
            "volumes": measurement.volumes.tolist(),
            "beats": np.stack([measurement.ed, measurement.es], axis=1).tolist(),
            "volume_std": None if volume_std is None else volume_std.round(3).tolist(),
            "to_review": queue.frames,
            "review_reason": queue.reason,
            "uncertainty": None if queue.uncertainty is None else queue.uncertainty.round(4).tolist(),
            "ef_interval": None if np.isnan(measurement.ef_interval[0]) else list(measurement.ef_interval),
            "warning": unlike_note(prediction),
            "notes": _notes(prediction),
            "listed_ef": None if recording is None else _or_none(recording.ef),
        }
        probabilities = (prediction.probabilities * 255).round().astype(np.uint8)
        return LoadedClip(source, clip, prediction, measurement, probabilities, handles, facts)

    def update_others(self, loaded: LoadedClip, frame: int, handles: Handles) -> Handles:
        """Move the landmarks that are not pinned to their expected positions, given the pinned landmarks.

        Args:
            loaded: The clip.
            frame: Index of a frame.
            handles: The handles of the frame, at least one of which is a pinned landmark.

        Returns:
            The moved handles.

        Raises:
            DataError: The run is not calibrated, or no landmark is pinned.
        """
        calibration = self.predictor.calibration
        if calibration is None or loaded.prediction.covariances is None:
            raise DataError("the run is not calibrated, so the correlation of its landmarks' errors is unknown")
        is_landmark = handles.landmarks >= 0
        pinned = handles.landmarks[is_landmark & handles.pinned]
        if not len(pinned):
            raise DataError("no landmark is pinned; move one first")
        predicted = loaded.handles[frame].points
        points = handles.points.copy()
        moved = calibration.condition_on(
            predicted, loaded.prediction.covariances[frame], pinned, points[is_landmark & handles.pinned]
        )
        free = is_landmark & ~handles.pinned
        points[free] = moved[handles.landmarks[free]]
        return Handles(points, handles.landmarks, handles.pinned)

    def measure(
        self,
        loaded: LoadedClip,
        corrected: Mapping[int, Handles],
        *,
        beats: Sequence[tuple[int, int]] | None = None,
        rejected: Collection[int] = (),
    ) -> Measurement:
        """Measure a clip with corrected contours.

        Args:
            loaded: The clip.
            corrected: The corrected handles by frame.
            beats: The frames of end-diastole and end-systole of each beat; None: those found in the prediction.
            rejected: Frames that cannot be used; beats with such a frame are left out.

        Returns:
            The measurement.
        """
        prediction = loaded.prediction
        contours = list(prediction.contours)
        axes = None if prediction.axes is None else prediction.axes.copy()
        for frame, handles in corrected.items():
            contours[frame] = self.drawing.join(handles)
            if axes is not None:
                axes[frame] = self.drawing.axis(handles)
        used = loaded.facts["beats"] if beats is None else beats
        used = [beat for beat in used if not set(beat) & set(rejected)]
        changed = replace(prediction, contours=contours, axes=axes, ef_intervals=None)
        return measure(changed, loaded.clip, beats=np.array(used, dtype=np.int64).reshape(-1, 2))


def _scale(clip: Clip) -> np.ndarray:
    """(2,) float64: Width and height of a pixel, mm; ones if they are unknown."""
    return np.array(clip.spacing[::-1]) if np.isfinite(clip.spacing).all() else np.ones(2)


def _notes(prediction: Prediction) -> list[str]:
    """What a person should know of a prediction, in sentences."""
    smoothed = "The predicted contours are smoothed over time; 'echoseg review --no-smooth' shows them as found."
    return [smoothed] if prediction.smoothed else []


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) and value > 0 else None


def _handles_of(prediction: Prediction, drawing: Drawing) -> list[Handles]:
    """The handles of each frame: its landmarks, or points on the contour of a mask."""
    points = prediction.landmarks
    if points is None:
        points = _points_on(prediction.contours, prediction.size, drawing)
    numbers, pinned = np.arange(drawing.count), np.zeros(drawing.count, dtype=bool)
    return [Handles(frame_points.astype(np.float32), numbers, pinned) for frame_points in points]


def _points_on(contours: Sequence[np.ndarray], size: tuple[int, int], drawing: Drawing) -> np.ndarray:
    """Choose points on the contours, (T, K, 2) float64, pixels.

    A frame without a contour gets the points of the nearest frame with one. If no frame has a contour, the points lie
    on a circle in the middle.
    """
    angle = 2 * np.pi * np.arange(drawing.count) / drawing.count
    circle = min(size) / 6 * np.stack([np.sin(angle), -np.cos(angle)], axis=1) + (size[1] / 2, size[0] / 2)
    points = np.repeat(circle[None], len(contours), axis=0)
    nonempty = np.array([frame for frame, contour in enumerate(contours) if len(contour)], dtype=np.intp)
    for frame in nonempty:
        points[frame] = choose_landmarks(contours[frame][None], drawing.count, scheme=drawing.scheme)[0]
    if len(nonempty):
        points = points[nonempty[np.abs(np.arange(len(contours))[:, None] - nonempty).argmin(axis=1)]]
    return points
