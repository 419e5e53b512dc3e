"""Volumes and ejection fraction of a predicted clip, and their agreement with the true masks of a stack."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echoseg.geometry.discs import ejection_fraction, ejection_fraction_deviations
from echoseg.inference.predictor import Prediction
from echoseg.io.clip import Clip
from echoseg.metrics.beats import find_beats
from echoseg.metrics.overlap import dice
from echoseg.metrics.volumes import MM3_PER_ML, area_length_volumes, disc_volumes, scale_contours, slice_volumes


@dataclass(frozen=True, eq=False)
class StackTruth:
    """The true masks of a stack of T slices, and how well a prediction agrees with them.

    In a stack over time, T are the slices of all time points. A time point without any mask is not traced.

    Attributes:
        masks: (T, H, W) uint8, 0 or 1.
        volumes: (T,) float64: The true volume of each slice, in the unit of the measurement; nan where a time point is
            not traced.
        dice: (T,) float64: The Dice of each slice; nan where a time point is not traced, and where both masks are
            empty.
        volume_dice: The Dice of the whole stack, or of all traced time points.
        time_points: The number of time points; 1 for a single stack.
    """

    masks: np.ndarray
    volumes: np.ndarray
    dice: np.ndarray
    volume_dice: float
    time_points: int = 1

    @property
    def curve(self) -> np.ndarray:
        """(time_points,) float64: The true volume of each time point, the sum over its slices; nan if not traced."""
        return self.volumes.reshape(self.time_points, -1).sum(axis=1)

    @property
    def volume(self) -> float:
        """The true volume of a single stack; nan for a stack over time."""
        return float(self.curve[0]) if self.time_points == 1 else float("nan")

    @property
    def edv(self) -> float:
        """The largest true volume of a stack over time; nan unless two time points are traced."""
        return float(np.nanmax(self.curve)) if self._has_beat else float("nan")

    @property
    def esv(self) -> float:
        """The smallest true volume of a stack over time; nan unless two time points are traced."""
        return float(np.nanmin(self.curve)) if self._has_beat else float("nan")

    @property
    def ef(self) -> float:
        """The ejection fraction of these two, percent; nan unless two time points are traced."""
        return float(ejection_fraction(np.array([self.edv]), np.array([self.esv])).item())

    @property
    def _has_beat(self) -> bool:
        return int(np.isfinite(self.curve).sum()) > 1


@dataclass(frozen=True, eq=False)
class Measurement:
    """Volumes and EF of a clip with T frames and B heart beats.

    Attributes:
        unit: Unit of the volumes: "ml" if the spacing is known, else "px3".
        volumes: (T,) float64: Volumes by the method of discs; 0 in frames without a contour. For a stack, the volume
            of each slice.
        area_length: (T,) float64: Volumes by the area-length formula, for comparison; nan for a stack.
        ed: (B,) int64: Frames of end-diastole; B is 0 for a stack, and if no beat is found. For a stack over time,
            the time points.
        es: (B,) int64: Frames of end-systole, or time points.
        edv: (B,) float64: End-diastolic volumes.
        esv: (B,) float64: End-systolic volumes.
        ef: (B,) float64: Ejection fractions, percent.
        volume: Volume of a stack, the sum over its slices; nan for a cine and for a stack over time.
        truth: The true masks of a stack; None if they are unknown.
        confidence: (T, 2) float32: The mean and the largest probability of each frame, before post-processing; None if
            they are unknown, and for landmarks, whose heatmaps are scaled to a largest value of 1.
        bsa: Body surface area of the patient, m²; nan if it is unknown.
        ef_interval: The lower and the upper end of the 90 % interval of `mean_ef`, percent; nan if they are unknown, as
            they are for stacks. The interval corrects the bias that the network had on the validation images, and may
            therefore lie to one side of `mean_ef`.
    """

    unit: str
    volumes: np.ndarray
    area_length: np.ndarray
    ed: np.ndarray
    es: np.ndarray
    edv: np.ndarray
    esv: np.ndarray
    ef: np.ndarray
    volume: float
    truth: StackTruth | None = None
    confidence: np.ndarray | None = None
    bsa: float = float("nan")
    ef_interval: tuple[float, float] = (float("nan"), float("nan"))

    @property
    def volume_index(self) -> float:
        """The volume of a stack, or the mean end-diastolic volume, divided by the body surface area, ml/m²; or nan."""
        if self.unit != "ml":
            return float("nan")
        return (self.mean_edv if np.isnan(self.volume) else self.volume) / self.bsa

    @property
    def mean_edv(self) -> float:
        """Mean over the beats; nan if there is none."""
        return _mean(self.edv)

    @property
    def mean_esv(self) -> float:
        """Mean over the beats; nan if there is none."""
        return _mean(self.esv)

    @property
    def mean_ef(self) -> float:
        """Mean over the beats, percent; nan if there is none."""
        return _mean(self.ef)


def measure(
    prediction: Prediction, clip: Clip, *, beats: np.ndarray | None = None, true: np.ndarray | None = None
) -> Measurement:
    """Compute the volumes of all frames and the EF of all beats; for a stack of slices, its volume.

    The volume of a frame is computed from its contour by the method of discs. The discs lie along the axis that the
    landmarks define, or along the longest diameter of the contour if there is none. Beats are detected in the curve of
    the areas; in a stack over time, in that of the volumes, each the sum over the slices of a time point.

    Args:
        prediction: The prediction of the clip, at the size of its frames.
        clip: The clip, with pixel spacing, frame rate and slice thickness.
        beats: (B, 2) int, frames, or time points, of end-diastole and end-systole of each beat; None detects
            the beats.
        true: (T, H, W) uint8, the true masks of a stack, 0 or 1; they are not used for a cine of single images.

    Returns:
        The measurement.
    """
    known = bool(np.isfinite(clip.spacing).all())
    spacing = clip.spacing if known else (1.0, 1.0)
    unit, scale = ("ml", 1 / MM3_PER_ML) if known else ("px3", 1.0)
    if np.isfinite(clip.thickness):
        voxel = scale * slice_volumes(np.ones(1), spacing, clip.thickness if known else 1.0).item()
        return _measure_stack(prediction, clip, voxel, unit, beats, true)
    contours = scale_contours(prediction.contours, prediction.axes, spacing)
    volumes = scale * disc_volumes(contours)
    ed, es = (find_beats(prediction.areas, clip.fps) if beats is None else beats).T
    edv, esv = volumes[ed], volumes[es]
    ef = ejection_fraction(edv, esv)
    area_length = scale * area_length_volumes(contours)
    deviations = ef_deviations(prediction, np.stack([ed, es]), np.stack([edv, esv]))
    interval = _ef_interval(prediction, ef, deviations)
    return Measurement(unit, volumes, area_length, ed, es, edv, esv, ef, float("nan"), ef_interval=interval)


def ef_deviations(prediction: Prediction, frames: np.ndarray, volumes: np.ndarray) -> np.ndarray:
    """Compute the standard deviations of ejection fractions from those of the areas; see `_relative_deviations`.

    Args:
        prediction: The prediction for T frames.
        frames: (2, B) int, the frames of end-diastole and of end-systole.
        volumes: (2, B) float, the volumes of these frames.

    Returns:
        (B,) float64, percentage points; nan if those of the areas are unknown, or an area is 0.
    """
    if prediction.area_std is None:
        return np.full(frames.shape[1], np.nan)
    deviations = volumes * _relative_deviations(prediction.areas, prediction.area_std)[frames]
    return ejection_fraction_deviations(volumes[0], volumes[1], (deviations[0], deviations[1]))


def volume_deviations(prediction: Prediction, measurement: Measurement) -> np.ndarray | None:
    """Compute the standard deviations of the volumes from those of the areas; see `_relative_deviations`.

    Args:
        prediction: The prediction for T frames.
        measurement: The measurement of the prediction.

    Returns:
        (T,) float64, in the unit of the volumes; 0 in frames without a contour. None if those of the areas are unknown.
    """
    if prediction.area_std is None:
        return None
    relative = _relative_deviations(prediction.areas, prediction.area_std)
    if np.isfinite(measurement.volume):  # a slice, whose volume is proportional to its area
        relative /= 1.5
    return np.nan_to_num(measurement.volumes * relative)


def _relative_deviations(areas: np.ndarray, area_std: np.ndarray) -> np.ndarray:
    """(T,) float64: The relative standard deviations of volumes by the method of discs; nan if the area is 0.

    The relative error of a volume is taken for 3/2 of that of the area, as it is for similar shapes.
    """
    return 1.5 * area_std / np.where(areas > 0, areas, np.nan)


def _ef_interval(prediction: Prediction, ef: np.ndarray, deviations: np.ndarray) -> tuple[float, float]:
    """The interval of the mean over the beats, whose errors are taken for equal."""
    if prediction.ef_intervals is None or not len(ef):
        return float("nan"), float("nan")
    low, high = prediction.ef_intervals.of(ef.mean(keepdims=True), deviations.mean(keepdims=True))
    return float(low[0]), float(high[0])


def _measure_stack(
    prediction: Prediction,
    clip: Clip,
    voxel: float,
    unit: str,
    beats: np.ndarray | None,
    true: np.ndarray | None,
) -> Measurement:
    """The measurement of a stack whose voxels have the given volume, in the given unit."""
    volumes = prediction.areas * voxel
    area_length = np.full(len(volumes), np.nan)
    truth = None if true is None else _compare(prediction.masks, true, voxel, clip.time_points)
    if clip.time_points > 1:
        curve = volumes.reshape(clip.time_points, -1).sum(axis=1)
        ed, es = (find_beats(curve, clip.fps) if beats is None else beats).T
        ef = ejection_fraction(curve[ed], curve[es])
        return Measurement(unit, volumes, area_length, ed, es, curve[ed], curve[es], ef, float("nan"), truth)
    no_values, no_frames = np.empty(0), np.empty(0, dtype=np.int64)
    volume = float(volumes.sum())
    return Measurement(unit, volumes, area_length, no_frames, no_frames, no_values, no_values, no_values, volume, truth)


def _compare(masks: np.ndarray, true: np.ndarray, voxel: float, time_points: int) -> StackTruth:
    """Compare predicted and true masks, (T, H, W) uint8, at the time points that are traced."""
    is_traced = true.reshape(time_points, -1).any(axis=1) | (time_points == 1)
    shown = np.repeat(is_traced, len(true) // time_points)
    volumes, slice_dice = (
        np.where(shown, values, np.nan) for values in (true.sum(axis=(1, 2)) * voxel, dice(masks, true))
    )
    volume_dice = dice(masks[shown].reshape(1, -1, 1), true[shown].reshape(1, -1, 1)).item()
    return StackTruth(true, volumes, slice_dice, volume_dice, time_points)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
