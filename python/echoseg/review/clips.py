"""The clips of a review. A clip is read and predicted when it is opened for the first time."""

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
from echoseg.datasets.formats import FORMATS, read_dataset
from echoseg.datasets.recording import Recording
from echoseg.datasets.tracings import check_name, stem_of
from echoseg.errors import DataError
from echoseg.geometry.contour import order_contour
from echoseg.geometry.landmarks import choose_landmarks
from echoseg.inference.input_files import inputs_in
from echoseg.inference.measure import Measurement, measure
from echoseg.inference.predictor import Prediction, Predictor
from echoseg.inference.suggest import MIN_DISTANCE, frame_uncertainty, most_uncertain
from echoseg.inference.unlike_note import unlike_note
from echoseg.io.clip import Clip
from echoseg.io.reading import read_clip
from echoseg.review.handles import Drawing, Handles, drawing_of
from echoseg.utils.parallel import map_in_order

MAX_LOADED = 3
"""Maximum number of clips in memory."""


@dataclass(frozen=True, eq=False)
class ReviewClip:
    """A file to review.

    Attributes:
        path: The file.
        name: The name of the file in the tables of corrections.
        recording: The recording with an expert's tracings; None if there is none.
    """

    path: Path
    name: str
    recording: Recording | None = None


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
            return self._loaded[number]

    def _load(self, source: ReviewClip) -> LoadedClip:
        recording = source.recording
        clip = _read(source)
        prediction = self.predictor(clip)
        handles = _handles_of(prediction, self.drawing)
        measurement = measure(prediction, clip)
        uncertainty = frame_uncertainty(prediction)
        min_distance = MIN_DISTANCE if np.isnan(clip.thickness) else 1
        order = [] if uncertainty is None else most_uncertain(uncertainty, prediction.review, min_distance=min_distance)
        tracings = () if recording is None else recording.tracings
        contours = {t.frame: order_contour(t.coordinates) for t in tracings if len(t.coordinates)}
        facts = {
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
            "next": order,
            "uncertainty": None if uncertainty is None else uncertainty.round(4).tolist(),
            "messages": [*filter(None, [unlike_note(prediction)]), *_ef_interval(measurement)],
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

    def measure(self, loaded: LoadedClip, corrected: Mapping[int, Handles]) -> Measurement:
        """Measure a clip with corrected contours. The beats are those of the prediction.

        Args:
            loaded: The clip.
            corrected: The corrected handles by frame.

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
        beats = np.stack([loaded.measurement.ed, loaded.measurement.es], axis=1)
        changed = replace(prediction, contours=contours, axes=axes, ef_intervals=None)
        return measure(changed, loaded.clip, beats=beats)


def find_review_clips(
    inputs: Sequence[Path], data: Path | None, structure: str | None = None
) -> tuple[list[ReviewClip], str | None]:
    """Find the files to review and their tracings.

    Args:
        inputs: Videos, folders of videos, or data sets.
        data: A data set with tracings of the videos; None if there is none.
        structure: The name of the structure whose tracings are read; see `echoseg.datasets.formats.read_dataset`.

    Returns:
        The files, and the kind of their tracings, "chords" or "points"; None if there are no tracings.

    Raises:
        DataError: An input is missing, no file is found, two files have the same name, a name cannot be written to a
            table, or the inputs have tracings of both kinds.
    """
    review_clips, kinds = [], []
    traced: list[ReviewClip] = []
    if data is not None:
        traced, kind = _read_data(data, structure)
        kinds.append(kind)
    counts = Counter(review_clip.path.name for review_clip in traced)
    by_name = {review_clip.path.name: review_clip for review_clip in traced if counts[review_clip.path.name] == 1}
    for path in inputs:
        if not path.exists():
            raise DataError(f"{path}: no such file or folder; check the path")
        if path.is_dir() and any(dataset_format.matches(path) for dataset_format in FORMATS.values()):
            of_dataset, kind = _read_data(path, structure)
            kinds.append(kind)
            review_clips += of_dataset
        elif path.is_dir():
            files = inputs_in(path, [file.name for file in path.iterdir()])
            review_clips += [by_name.get(file.name) or ReviewClip(file, file.name) for file in files]
        else:
            review_clips.append(by_name.get(path.name) or ReviewClip(path, path.name))
    if not review_clips:
        raise DataError(f"{inputs[0]}: the folder contains no file with frames; give videos, or a folder of videos")
    _check_names(review_clips)
    if len(set(kinds)) > 1:
        raise DataError(
            f"{inputs[0]}: some tracings are chords and some are points; review these data sets one after the other"
        )
    return review_clips, kinds[0] if kinds else None


def separate_unreadable(
    review_clips: Sequence[ReviewClip], inputs: Sequence[Path]
) -> tuple[list[ReviewClip], list[str]]:
    """Read the files to review, and leave out those that cannot be shown.

    The recordings of a data set are not read here, unless they are inputs by name; `echoseg check` reads them.

    Args:
        review_clips: The files, as `find_review_clips` returns them.
        inputs: The inputs that the user gave.

    Returns:
        The files that can be shown, and a line for each other file: file, cause and cure.

    Raises:
        DataError: No file can be shown.
    """
    given = {path.name for path in inputs}
    checked = [clip for clip in review_clips if clip.recording is None or clip.path.name in given]
    problems = {
        clip: problem for clip, problem in zip(checked, map_in_order(_find_problem, checked), strict=True) if problem
    }
    lines = list(problems.values())
    if len(lines) == len(review_clips):
        raise DataError(lines[0] + (f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""))
    return [clip for clip in review_clips if clip not in problems], lines


def _find_problem(review_clip: ReviewClip) -> str:
    try:
        _read(review_clip)
    except DataError as error:
        return str(error)
    return ""


def _read(review_clip: ReviewClip) -> Clip:
    """Read the clip of a file.

    Raises:
        DataError: The file is damaged, or a stack over time, which the page does not show.
    """
    recording = review_clip.recording
    clip = read_clip(review_clip.path) if recording is None else read_recording(recording)
    if clip.time_points > 1:
        raise DataError(
            f"{review_clip.path}: is a stack over time, which the page does not show; save the time points to review as"
            " files of their own, with the axes x, y, slices"
        )
    return clip


def _check_names(review_clips: Sequence[ReviewClip]) -> None:
    """Check that all names can be written to tables and are unique.

    Raises:
        DataError: A name contains characters that a table cannot contain, or two files have the same name.
    """
    for review_clip in review_clips:
        name = review_clip.name
        if check_name(stem_of(name)) or name.strip() != name or set(name) & set(',"'):
            raise DataError(f"{review_clip.path}: this name cannot be written to a table; rename the file")
    name, count = Counter(review_clip.name for review_clip in review_clips).most_common(1)[0]
    if count > 1:
        raise DataError(
            f"two files have the name {name}; review them one after the other, each with its own --corrections"
        )


def _read_data(folder: Path, structure: str | None) -> tuple[list[ReviewClip], str]:
    """The files of a data set, and the kind of its tracings."""
    dataset = read_dataset(folder, structure)
    review_clips = [
        ReviewClip(recording.path, name_in_tables(recording), recording) for recording in dataset.recordings
    ]
    return review_clips, dataset.kind


def _scale(clip: Clip) -> np.ndarray:
    """(2,) float64: Width and height of a pixel, mm; ones if they are unknown."""
    return np.array(clip.spacing[::-1]) if np.isfinite(clip.spacing).all() else np.ones(2)


def _ef_interval(measurement: Measurement) -> list[str]:
    """A sentence about the interval of the predicted EF; none if it is unknown."""
    low, high = measurement.ef_interval
    return [] if np.isnan(low) else [f"90 % interval of the predicted EF: {low:.0f} to {high:.0f} %."]


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
