"""Volumes and ejection fraction of a predicted clip, and their agreement with the true masks of a stack."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echoseg.geometry.discs import ejection_fraction
from echoseg.inference.predictor import Prediction
from echoseg.io.clip import Clip
from echoseg.metrics.beats import find_beats
from echoseg.metrics.overlap import dice
from echoseg.metrics.volumes import MM3_PER_ML, area_length_volumes, disc_volumes, scale_contours, slice_volumes


@dataclass(frozen=True, eq=False)
class StackTruth:
    """The true masks of a stack of T slices, and how well a prediction agrees with them.

    Attributes:
        masks: (T, H, W) uint8, 0 or 1.
        volumes: (T,) float64: The true volume of each slice, in the unit of the measurement.
        dice: (T,) float64: The Dice of each slice.
        volume_dice: The Dice of the whole stack.
    """

    masks: np.ndarray
    volumes: np.ndarray
    dice: np.ndarray
    volume_dice: float

    @property
    def volume(self) -> float:
        """The true volume of the stack, the sum over its slices."""
        return float(self.volumes.sum())


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
        true: (T, H, W) uint8, the true masks of a stack, 0 or 1; they are not used for a cine.

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
    return Measurement(unit, volumes, scale * area_length_volumes(contours), ed, es, edv, esv, ef, float("nan"))


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
    area_length, truth = np.full(len(volumes), np.nan), None
    if clip.time_points > 1:
        curve = volumes.reshape(clip.time_points, -1).sum(axis=1)
        ed, es = (find_beats(curve, clip.fps) if beats is None else beats).T
        ef = ejection_fraction(curve[ed], curve[es])
        return Measurement(unit, volumes, area_length, ed, es, curve[ed], curve[es], ef, float("nan"))
    if true is not None:
        true_volumes = true.sum(axis=(1, 2)) * voxel
        volume_dice = dice(prediction.masks.reshape(1, -1, 1), true.reshape(1, -1, 1)).item()
        truth = StackTruth(true, true_volumes, dice(prediction.masks, true), volume_dice)
    no_values, no_frames = np.empty(0), np.empty(0, dtype=np.int64)
    volume = float(volumes.sum())
    return Measurement(unit, volumes, area_length, no_frames, no_frames, no_values, no_values, no_values, volume, truth)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
