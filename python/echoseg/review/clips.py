"""The clips of a review: found by number, read and predicted when one is first looked at."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from echoseg.datasets.clips import read_recording
from echoseg.datasets.corrections import name_in_tables
from echoseg.datasets.echonet import check_name, stem_of
from echoseg.datasets.formats import FORMATS, read_dataset
from echoseg.datasets.recording import Recording
from echoseg.errors import DataError
from echoseg.geometry.contour import order_contour
from echoseg.geometry.landmarks import choose_landmarks
from echoseg.inference.measure import Measurement, measure
from echoseg.inference.predictor import Prediction, Predictor
from echoseg.io.clip import Clip
from echoseg.io.reading import read_clip
from echoseg.review.handles import Drawing, Handles, drawing_of

KEPT_OPEN = 3  # clips in memory
APART = 4  # frames: "next to look at" names no two that are nearer; of slices, any


@dataclass(frozen=True, eq=False)
class ReviewClip:
    """A file to review.

    Attributes:
        path: of the video.
        name: in the corrections.
        recording: with what an expert drew; None where there is none.
    """

    path: Path
    name: str
    recording: Recording | None = None


@dataclass(frozen=True, eq=False)
class LoadedClip:
    """A clip as the page needs it.

    Attributes:
        source: where it comes from.
        clip: its frames.
        prediction: of the clip.
        measurement: of the prediction.
        probabilities: (T, H, W) uint8, 255 for certain.
        handles: of each frame, as predicted.
        facts: what the page is told, JSON.
    """

    source: ReviewClip
    clip: Clip
    prediction: Prediction
    measurement: Measurement
    probabilities: np.ndarray
    handles: list[Handles]
    facts: dict[str, Any]


class Clips:
    """Clips by number; a few stay in memory."""

    def __init__(self, predictor: Predictor, sources: Sequence[ReviewClip]) -> None:
        self.predictor, self.sources, self.drawing = predictor, sources, drawing_of(predictor.codec)
        self._opened: dict[int, LoadedClip] = {}
        self._predicting = threading.Lock()  # one prediction at a time: it takes all cores anyhow

    def open(self, number: int) -> LoadedClip:
        """Read and predict a clip, or find it in memory.

        Raises:
            KeyError: no such number.
            DataError: the file is damaged.
        """
        if not 0 <= number < len(self.sources):
            raise KeyError(number)
        found = self._opened.get(number)
        if found is not None:
            return found
        with self._predicting:
            if number not in self._opened:
                if len(self._opened) == KEPT_OPEN:
                    del self._opened[next(iter(self._opened))]
                self._opened[number] = self._open(self.sources[number])
            return self._opened[number]

    def _open(self, source: ReviewClip) -> LoadedClip:
        recording = source.recording
        clip = read_clip(source.path) if recording is None else read_recording(recording)
        prediction = self.predictor(clip)
        handles = _handles_of(prediction, self.drawing)
        measured = measure(prediction, clip)
        uncertainty = _uncertainty(prediction)
        apart = APART if np.isnan(clip.thickness) else 1
        contours = {} if recording is None else {t.frame: order_contour(t.coordinates) for t in recording.tracings}
        facts = {
            "height": clip.frames.shape[1],
            "width": clip.frames.shape[2],
            "frames": len(clip.frames),
            "fps": _or_none(clip.fps),
            "scale": _scale(clip).tolist(),
            "known": measured.unit == "ml",
            "thickness": _or_none(clip.thickness),
            "points": np.stack([each.points for each in handles]).round(4).tolist(),
            "outlines": None if prediction.landmarks is not None else [one.tolist() for one in prediction.contours],
            "truth": {frame: contour.round(3).tolist() for frame, contour in contours.items()},
            "areas": prediction.areas.tolist(),
            "area_std": None if prediction.area_std is None else prediction.area_std.round(2).tolist(),
            "volumes": measured.volumes.tolist(),
            "beats": np.stack([measured.ed, measured.es], axis=1).tolist(),
            "next": next_to_look_at(uncertainty, prediction.review, apart=apart),
            "uncertainty": None if uncertainty is None else uncertainty.round(4).tolist(),
            "listed_ef": None if recording is None else _or_none(recording.ef),
        }
        probabilities = (prediction.probabilities * 255).round().astype(np.uint8)
        return LoadedClip(source, clip, prediction, measured, probabilities, handles, facts)

    def update_others(self, loaded: LoadedClip, frame: int, handles: Handles) -> Handles:
        """Move the landmarks that are not pinned to where they most likely lie given those that are.

        Args:
            loaded: The clip.
            frame: Of the clip.
            handles: Of the frame, some of them pinned.

        Raises:
            DataError: The run is not calibrated, or no landmark is pinned.
        """
        calibration = self.predictor.calibration
        if calibration is None or loaded.prediction.covariances is None:
            raise DataError("the run is not calibrated, so the correlation of its landmarks' errors is unknown")
        known = handles.landmarks >= 0
        pinned = handles.landmarks[known & handles.pinned]
        if not len(pinned):
            raise DataError("no landmark is pinned; move one first")
        predicted = loaded.handles[frame].points
        points = handles.points.copy()
        moved = calibration.condition_on(
            predicted, loaded.prediction.covariances[frame], pinned, points[known & handles.pinned]
        )
        free = known & ~handles.pinned
        points[free] = moved[handles.landmarks[free]]
        return Handles(points, handles.landmarks, handles.pinned)

    def measure(self, loaded: LoadedClip, corrected: Mapping[int, Handles]) -> Measurement:
        """Measure a clip with the contours that a person corrected; the beats stay those of the prediction.

        Args:
            loaded: The clip.
            corrected: Handles by frame.
        """
        before = loaded.prediction
        contours = list(before.contours)
        axes = None if before.axes is None else before.axes.copy()
        for frame, handles in corrected.items():
            contours[frame] = self.drawing.join(handles)
            if axes is not None:
                axes[frame] = self.drawing.axis(handles)
        beats = np.stack([loaded.measurement.ed, loaded.measurement.es], axis=1)
        return measure(replace(before, contours=contours, axes=axes), loaded.clip, beats=beats)


def find_review_clips(inputs: Sequence[Path], data: Path | None) -> tuple[list[ReviewClip], str | None]:
    """The files to review, and what experts drew on them.

    Args:
        inputs: videos, folders of videos, or data sets.
        data: a data set whose tracings belong to the videos.

    Returns:
        The sources, and the kind of their tracings, "chords" or "points"; None where there are none.

    Raises:
        DataError: nothing is found, or two files have the same name.
    """
    sources, kinds = [], []
    traced: list[ReviewClip] = []
    if data is not None:
        traced, kind = _read_data(data)
        kinds.append(kind)
    uses = Counter(source.path.name for source in traced)
    known = {source.path.name: source for source in traced if uses[source.path.name] == 1}
    for path in inputs:
        if path.is_dir() and any(known_format.matches(path) for known_format in FORMATS.values()):
            found, kind = _read_data(path)
            kinds.append(kind)
            sources += found
        elif path.is_dir():
            files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
            sources += [known.get(file.name) or ReviewClip(file, file.name) for file in files]
        else:
            sources.append(known.get(path.name) or ReviewClip(path, path.name))
    if not sources:
        raise DataError(f"{inputs[0]}: no file in it; give videos, or a folder of them")
    for source in sources:
        if check_name(stem_of(source.name)) or source.name.strip() != source.name or set(source.name) & set(',"'):
            raise DataError(f"{source.path}: cannot stand by this name in a table; rename it")
    twice, uses_of_name = Counter(source.name for source in sources).most_common(1)[0]
    if uses_of_name > 1:
        raise DataError(
            f"two files are called {twice}; review them one after the other, with --corrections of their own"
        )
    if len(set(kinds)) > 1:
        raise DataError(f"{inputs[0]}: tracings of chords beside tracings of points; review them one after the other")
    return sources, kinds[0] if kinds else None


def _read_data(folder: Path) -> tuple[list[ReviewClip], str]:
    dataset = read_dataset(folder)
    found = [ReviewClip(recording.path, name_in_tables(recording), recording) for recording in dataset.recordings]
    return found, dataset.kind


def _scale(clip: Clip) -> np.ndarray:
    """(2,) mm a pixel, width and height; ones where that is unknown."""
    return np.array(clip.spacing[::-1]) if np.isfinite(clip.spacing).all() else np.ones(2)


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) and value > 0 else None


def next_to_look_at(uncertainty: np.ndarray | None, review: np.ndarray | None = None, *, apart: int) -> list[int]:
    """Frames, those marked for review and the most uncertain first, none near to one before it.

    Args:
        uncertainty: (T,) float; None, where nothing is known, gives no frames.
        review: (T,) bool, of a prediction.
        apart: frames from each to the next at least.
    """
    if uncertainty is None:
        return []
    marked = np.zeros(len(uncertainty), dtype=bool) if review is None else review
    chosen: list[int] = []
    free = np.ones(len(uncertainty), dtype=bool)
    for frame in np.lexsort((-uncertainty, ~marked)).tolist():
        if free[frame]:
            chosen.append(frame)
            free[max(0, frame - apart + 1) : frame + apart] = False
    return chosen


def _uncertainty(prediction: Prediction) -> np.ndarray | None:
    """(T,) share of the area: its standard deviation; of masks, the pixels that are neither inside nor outside."""
    areas = np.maximum(prediction.areas, 1)
    if prediction.area_std is not None:
        return prediction.area_std / areas
    if prediction.landmarks is None:
        return (prediction.probabilities * (1 - prediction.probabilities)).sum(axis=(1, 2)) / areas
    return None


def _handles_of(prediction: Prediction, drawing: Drawing) -> list[Handles]:
    """Of each frame: its landmarks, or, of a mask, points on its contour."""
    points = prediction.landmarks
    if points is None:
        points = _points_on(prediction.contours, prediction.size, drawing)
    numbers, pinned = np.arange(drawing.count), np.zeros(drawing.count, dtype=bool)
    return [Handles(each.astype(np.float32), numbers, pinned) for each in points]


def _points_on(contours: Sequence[np.ndarray], size: tuple[int, int], drawing: Drawing) -> np.ndarray:
    """(T, K, 2): of an empty mask those of the nearest frame that has one; if none has, a circle in the middle."""
    angle = 2 * np.pi * np.arange(drawing.count) / drawing.count
    circle = min(size) / 6 * np.stack([np.sin(angle), -np.cos(angle)], axis=1) + (size[1] / 2, size[0] / 2)
    points = np.repeat(circle[None], len(contours), axis=0)
    found = np.array([frame for frame, contour in enumerate(contours) if len(contour)], dtype=np.intp)
    for frame in found:
        points[frame] = choose_landmarks(contours[frame][None], drawing.count, scheme=drawing.scheme)[0]
    if len(found):
        points = points[found[np.abs(np.arange(len(contours))[:, None] - found).argmin(axis=1)]]
    return points
