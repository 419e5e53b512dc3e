"""The clips of a review. A clip is read and predicted when it is opened for the first time."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from echoseg.datasets.file_contents import hash_content
from echoseg.errors import DataError
from echoseg.geometry.contour import order_contour
from echoseg.inference.measure import Measurement, measure, volume_deviations
from echoseg.inference.notes import reading_note, unlike_note
from echoseg.inference.predictor import Prediction, Predictor
from echoseg.inference.propagation import CorrectedFrame, propagate
from echoseg.io.clip import Clip
from echoseg.review.handles import Handles, drawing_of, predicted_handles
from echoseg.review.review_queue import review_queue
from echoseg.review.sources import ReviewClip, read_source
from echoseg.review.tables import FrameState

MAX_LOADED = 3
"""Maximum number of clips in memory."""
_SAME = 0.01  # pixels; devices differ by less in what one network predicts


@dataclass(frozen=True, eq=False)
class LoadedClip:
    """A clip in memory, with everything that the page shows.

    Attributes:
        source: The file.
        content: What `hash_content` gave for the file before it was read.
        clip: The clip that was read from it, with T frames.
        prediction: The prediction of the clip.
        measurement: The measurement of the prediction.
        probabilities: (T, H, W) uint8, the probabilities scaled to 255.
        handles: The predicted handles of each frame.
        facts: The metadata and predictions that are sent to the page, as JSON values.
    """

    source: ReviewClip
    content: str
    clip: Clip
    prediction: Prediction
    measurement: Measurement
    probabilities: np.ndarray
    handles: list[Handles]
    facts: dict[str, Any]

    def accepted(self, frame: int) -> tuple[float, ...]:
        """What `FrameState.accepted` says of a frame that is accepted as it is predicted."""
        is_blank = not len(self.prediction.contours[frame])
        return () if is_blank else tuple(self.handles[frame].points.astype(np.float64).round(4).ravel().tolist())

    def of_this_network(self, frame: int, state: FrameState) -> FrameState:
        """The state of a frame that may have been accepted with the contour of another network.

        The accepted contour is then a correction of this network's. If another network's blank frame was accepted, and
        this one predicts a contour, the frame is not accepted yet.
        """
        points, predicted = state.accepted, self.accepted(frame)
        if points is None or (len(points) == len(predicted) and np.allclose(points, predicted, rtol=0, atol=_SAME)):
            return state
        if not points:
            return FrameState(note=state.note)
        own = self.handles[frame]
        handles = Handles(np.array(points, np.float32).reshape(-1, 2), own.landmarks, own.pinned)
        return FrameState(handles, state.verdict, state.note)


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
        self._opened: dict[int, float] = {}  # when each clip was opened last
        self._predicting = threading.Lock()  # one prediction at a time, since each uses all cores

    @property
    def files(self) -> dict[str, Path]:
        """The path of each file, by its name in the tables of corrections."""
        return {source.name: source.path for source in self.sources}

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
        self._opened[number] = time.monotonic()
        loaded = self._loaded.get(number)
        if loaded is not None:
            return loaded
        with self._predicting:
            if number not in self._loaded:
                if len(self._loaded) == MAX_LOADED:
                    del self._loaded[min(self._loaded, key=self._opened.__getitem__)]
                self._loaded[number] = self._load(self.sources[number])
                self._queues[number] = self._loaded[number].facts["to_review"]
            return self._loaded[number]

    def queue(self, number: int) -> list[int] | None:
        """The frames to review of a clip; None if the clip was not opened yet."""
        return self._queues.get(number)

    def _load(self, source: ReviewClip) -> LoadedClip:
        recording = source.recording
        content, clip = hash_content(source.path), read_source(source)
        prediction = self.predictor(clip)
        handles = predicted_handles(prediction, self.drawing)
        measurement = measure(prediction, clip)
        queue = review_queue(prediction, source.suggested, is_stack=not np.isnan(clip.thickness))
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
            "truth": {frame: contour.round(3).tolist() for frame, contour in contours.items()},
            **contours_json(prediction, handles, measurement),
            "beats": np.stack([measurement.ed, measurement.es], axis=1).tolist(),
            "to_review": queue.frames,
            "review_reason": queue.reason,
            "uncertainty": None if queue.uncertainty is None else queue.uncertainty.round(4).tolist(),
            "ef_interval": None if np.isnan(measurement.ef_interval[0]) else list(measurement.ef_interval),
            "warning": unlike_note(prediction),
            "reading_note": reading_note(clip),
            "smoothed": prediction.smoothed,
            "listed_ef": None if recording is None else _or_none(recording.ef),
        }
        probabilities = (prediction.probabilities * 255).round().astype(np.uint8)
        return LoadedClip(source, content, clip, prediction, measurement, probabilities, handles, facts)

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

    def corrected(self, loaded: LoadedClip, states: Mapping[int, FrameState]) -> Prediction:
        """The prediction of a clip with the corrected contours in their frames.

        Args:
            loaded: The clip.
            states: The states of frames.
        """
        prediction = loaded.prediction
        contours = list(prediction.contours)
        copied = {"axes": prediction.axes, "landmarks": prediction.landmarks, "area_std": prediction.area_std}
        changes: dict[str, Any] = {name: value.copy() for name, value in copied.items() if value is not None}
        for frame, state in states.items():
            if state.handles is None:
                continue
            handles = state.handles
            contours[frame] = self.drawing.join(handles)
            if "axes" in changes:
                changes["axes"][frame] = self.drawing.axis(handles)
            if "landmarks" in changes:
                numbered = handles.landmarks >= 0
                changes["landmarks"][frame] = np.nan  # of landmarks that were deleted
                changes["landmarks"][frame, handles.landmarks[numbered]] = handles.points[numbered]
            if "area_std" in changes:
                changes["area_std"][frame] = 0
        return replace(prediction, contours=contours, ef_intervals=None, **changes)

    def carried(self, loaded: LoadedClip, states: Mapping[int, FrameState]) -> Prediction:
        """The prediction of a cine with its corrections carried to the other frames.

        Accepted frames stay as they are.

        Args:
            loaded: The clip.
            states: The states of frames.
        """
        prediction, drawing = loaded.prediction, self.drawing
        known = {}
        for frame, state in states.items():
            if state.handles is None and state.verdict != "accepted":
                continue
            handles = loaded.handles[frame] if state.handles is None else state.handles
            numbered = (handles.landmarks >= 0) & (prediction.landmarks is not None)
            known[frame] = CorrectedFrame(
                prediction.contours[frame] if state.handles is None else drawing.join(handles),
                None if prediction.axes is None else drawing.axis(handles),
                handles.landmarks[numbered],
                handles.points[numbered],
                handles.pinned[numbered],
            )
        return propagate(self.predictor, prediction, known, loaded.clip.fps)

    def measure(
        self,
        loaded: LoadedClip,
        prediction: Prediction,
        *,
        beats: Sequence[tuple[int, int]] | None = None,
        rejected: Collection[int] = (),
    ) -> Measurement:
        """Measure a clip.

        Args:
            loaded: The clip.
            prediction: Its prediction, with corrections.
            beats: The frames of end-diastole and end-systole of each beat; None: those found in the prediction.
            rejected: Frames that cannot be used; beats with such a frame are left out.

        Returns:
            The measurement.
        """
        used = loaded.facts["beats"] if beats is None else beats
        used = [beat for beat in used if not set(beat) & set(rejected)]
        return measure(prediction, loaded.clip, beats=np.array(used, dtype=np.int64).reshape(-1, 2))


def contours_json(prediction: Prediction, handles: Sequence[Handles], measurement: Measurement) -> dict[str, Any]:
    """The contours of all frames, and what is measured of them, as JSON values.

    Args:
        prediction: A prediction.
        handles: Its handles, by `predicted_handles`.
        measurement: Its measurement.
    """
    volume_std = volume_deviations(prediction, measurement)
    return {
        "points": np.stack([frame_handles.points for frame_handles in handles]).round(4).tolist(),
        "outlines": None if prediction.landmarks is not None else [c.tolist() for c in prediction.contours],
        "areas": prediction.areas.tolist(),
        "area_std": None if prediction.area_std is None else prediction.area_std.round(2).tolist(),
        "volumes": measurement.volumes.tolist(),
        "volume_std": None if volume_std is None else volume_std.round(3).tolist(),
    }


def _scale(clip: Clip) -> np.ndarray:
    """(2,) float64: Width and height of a pixel, mm; ones if they are unknown."""
    return np.array(clip.spacing[::-1]) if np.isfinite(clip.spacing).all() else np.ones(2)


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) and value > 0 else None
