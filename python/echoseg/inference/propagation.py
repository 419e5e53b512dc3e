"""Carries the corrections of some frames of a cine to its other frames.

The errors of a network last: they are nearly equal in neighbouring frames, and a part of them is the same in the whole
cine. The errors of all points in all frames are therefore modelled as one Gaussian process. Within a frame they have
the calibrated covariances and correlations, or, along the contour of a mask, a correlation that decreases with the
distance. A corrected frame shows its errors, and the others get the conditional mean of theirs.

Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, chapters 2 and 4.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from echoseg.geometry.contour import contour_area
from echoseg.geometry.landmarks import choose_landmarks
from echoseg.inference.predictor import Prediction, Predictor
from echoseg.metrics.overlap import dice
from echoseg.models.codec import Codec

# The correlations over time and along the contour were measured for the networks that ship, in the errors of 30
# phantom videos. There, shares of 0.6 and 0.9, twice the length scale over time, and deviations of accepted points from
# 0.3 to 2 changed the number of drags by at most a quarter.
_LASTING = 0.75  # the share of the errors' variance that is the same in the whole cine
_SECONDS = 0.15  # the length scale of the remaining share
_DEFAULT_FPS = 50.0  # of files that do not give their frame rate
_ALONG_CONTOUR = 0.2  # the length scale along the contour of a mask, as a share of its length
_MOVED, _ACCEPTED = 0.1, 0.5  # standard deviations of a person's points, relative to those of the network's errors
_CONTOUR_POINTS = 96
_OBSERVED = slice(None, None, 3)  # of them; neighbouring points show nearly the same
_STEP = 0.5  # pixels, for derivatives of areas
_MIN_MOVE = 0.5  # pixels; a point of a mask's contour beyond it was moved by the person
_CHANGED_DICE = 0.9


@dataclass(frozen=True, eq=False)
class CorrectedFrame:
    """A frame that a person has corrected, or accepted as it was.

    Attributes:
        contour: (P, 2) float32, pixels: the contour.
        axis: (2, 2) float32, pixels: apex and middle of the base; None in the mask approach.
        landmarks: (J,) int: the numbers of the landmarks that are known; empty in the mask approach.
        positions: (J, 2) float32, pixels: their positions.
        moved: (J,) bool: whether the person has moved each of them.
    """

    contour: np.ndarray
    axis: np.ndarray | None
    landmarks: np.ndarray
    positions: np.ndarray
    moved: np.ndarray


class Observed(NamedTuple):
    """What a corrected frame shows of the errors.

    Attributes:
        indices: (m,) int, in the frame's vector of errors.
        errors: (m, d) float: predicted less true coordinates, of d independent vectors of errors.
        deviations: (m,) float: standard deviations of the true coordinates, relative to those of the errors.
    """

    indices: np.ndarray
    errors: np.ndarray
    deviations: np.ndarray


def propagate(
    predictor: Predictor, prediction: Prediction, corrected: Mapping[int, CorrectedFrame], fps: float
) -> Prediction:
    """Correct all frames of a cine, given those that a person has corrected.

    Args:
        predictor: The predictor that made the prediction.
        prediction: The prediction of the cine, with T frames.
        corrected: By frame, what a person has corrected or accepted; at most T frames.
        fps: Frames per second; nan if unknown.

    Returns:
        The prediction with other contours, landmarks, axes, covariances and `area_std`. Corrected frames have the given
        contours and an `area_std` of 0, and are not marked for review. Frames without a contour stay without one.
    """
    if not corrected:
        return prediction
    times = np.arange(len(prediction)) / (fps if math.isfinite(fps) and fps > 0 else _DEFAULT_FPS)
    if prediction.landmarks is None:
        changed = _propagate_contours(prediction, corrected, times)
    else:
        changed = _propagate_landmarks(predictor, prediction, corrected, times)
    changes: dict[str, Any] = {"contours": list(changed.contours)}
    for name in ("axes", "area_std", "review"):
        values = getattr(changed, name)
        if values is not None:
            changes[name] = values.copy()
    for frame, of_frame in corrected.items():
        changes["contours"][frame] = of_frame.contour
        for name, value in (("axes", of_frame.axis), ("area_std", 0.0), ("review", False)):
            if name in changes:
                changes[name][frame] = value
    return dataclasses.replace(changed, ef_intervals=None, **changes)


def changed_frames(before: Prediction, after: Prediction) -> np.ndarray:
    """(T,) bool: whether the masks of a frame in two predictions have a Dice of less than 0.9 with each other."""
    return dice(before.masks, after.masks) < _CHANGED_DICE


class ConditionalErrors:
    """The errors of all frames, given those of some.

    Args:
        covariances: (T, n, n) float, the covariances of the errors within each frame; (1, n, n) if they are equal.
        observed: By frame, the errors that are known.
        times: (T,) float, seconds.

    Attributes:
        means: (T, n, d) float64, the conditional means.
    """

    def __init__(self, covariances: np.ndarray, observed: Mapping[int, Observed], times: np.ndarray) -> None:
        frames = np.array(sorted(observed))
        parts = [observed[frame] for frame in frames.tolist()]
        self._covariances = covariances
        roots = np.broadcast_to(_roots(covariances), (len(times), *covariances.shape[1:]))
        rows = np.concatenate([roots[frame][part.indices] for frame, part in zip(frames, parts, strict=True)])
        part_of = np.repeat(np.arange(len(frames)), [len(part.indices) for part in parts])
        over_time = _correlation_over_time(times[:, None] - times[frames])[:, part_of]
        variances = np.einsum("mi,mi->m", rows, rows)
        noise = np.concatenate([part.deviations for part in parts]) ** 2 * variances
        self._joint = (rows @ rows.T) * over_time[frames[part_of]] + np.diag(noise)
        self._cross = (roots @ rows.T) * over_time[:, None]
        self.means = self._cross @ np.linalg.solve(self._joint, np.concatenate([part.errors for part in parts]))

    def covariances(self) -> np.ndarray:
        """(T, n, n) float64, the conditional covariances within each frame."""
        rows = self._cross.reshape(-1, len(self._joint))
        solved = np.linalg.solve(self._joint, rows.T).T.reshape(self._cross.shape)
        return self._covariances - self._cross @ solved.swapaxes(1, 2)


def _roots(covariances: np.ndarray) -> np.ndarray:
    """Symmetric square roots."""
    values, vectors = np.linalg.eigh(covariances)
    return (vectors * np.sqrt(values.clip(min=0))[:, None]) @ vectors.swapaxes(1, 2)


def _correlation_over_time(seconds: np.ndarray) -> np.ndarray:
    return _LASTING + (1 - _LASTING) * _matern(seconds / _SECONDS)


def _matern(distances: np.ndarray) -> np.ndarray:
    """The Matérn covariance function with ν = 3/2, of distances in units of its length scale."""
    scaled = math.sqrt(3) * np.abs(distances)
    return (1 + scaled) * np.exp(-scaled)


def _propagate_landmarks(
    predictor: Predictor, prediction: Prediction, corrected: Mapping[int, CorrectedFrame], times: np.ndarray
) -> Prediction:
    assert prediction.landmarks is not None
    codec, landmarks, contours = predictor.codec, prediction.landmarks.copy(), list(prediction.contours)
    frames, count = np.flatnonzero(np.isfinite(landmarks).all(axis=(1, 2))), landmarks.shape[1]
    observed = _observed_landmarks(landmarks, corrected, frames)
    if not observed:
        return prediction
    calibration, marginal = predictor.calibration, prediction.covariances
    if calibration is None or marginal is None or prediction.area_std is None:
        errors = ConditionalErrors(np.kron(_along_contour(count), np.eye(2))[None], observed, times[frames])
    else:
        errors = ConditionalErrors(calibration.joint_covariances(marginal[frames]), observed, times[frames])
    landmarks[frames] -= errors.means.reshape(-1, count, 2)
    for position in observed:
        of_frame = corrected[frames[position]]
        landmarks[frames[position], of_frame.landmarks] = of_frame.positions
    for frame, contour in zip(frames.tolist(), codec.join(landmarks[frames]), strict=True):
        contours[frame] = contour
    changed = dataclasses.replace(prediction, contours=contours, landmarks=landmarks, axes=codec.axes(landmarks))
    if calibration is None or marginal is None or prediction.area_std is None:
        return changed
    joint = errors.covariances()
    blocks, each = joint.reshape(-1, count, 2, count, 2), np.arange(count)
    covariances, area_std = marginal.copy(), prediction.area_std.copy()
    covariances[frames] = blocks[:, each, :, each].swapaxes(0, 1)
    gradients = _area_gradients(codec, landmarks[frames])
    area_std[frames] = np.sqrt(np.einsum("ti,tij,tj->t", gradients, joint, gradients).clip(min=0))
    return dataclasses.replace(changed, covariances=covariances, area_std=area_std)


def _observed_landmarks(
    landmarks: np.ndarray, corrected: Mapping[int, CorrectedFrame], frames: np.ndarray
) -> dict[int, Observed]:
    """What corrected frames show, by their position in `frames`."""
    observed = {}
    for position, frame in enumerate(frames.tolist()):
        if frame in corrected:
            of_frame = corrected[frame]
            errors = landmarks[frame, of_frame.landmarks] - of_frame.positions
            indices = 2 * of_frame.landmarks[:, None] + np.arange(2)
            deviations = np.repeat(np.where(of_frame.moved, _MOVED, _ACCEPTED), 2)
            observed[position] = Observed(indices.ravel(), errors.reshape(-1, 1), deviations)
    return observed


def _area_gradients(codec: Codec, landmarks: np.ndarray) -> np.ndarray:
    """(T, 2 K) float64: the derivatives of the areas of (T, K, 2) landmarks, in pixels, by central differences."""
    steps = _STEP * np.eye(landmarks[0].size, dtype=np.float32).reshape(-1, 1, *landmarks.shape[1:])
    moved = np.stack([landmarks + steps, landmarks - steps])
    areas = contour_area(codec.join(moved.reshape(-1, *landmarks.shape[1:])))
    plus, minus = areas.reshape(2, len(steps), len(landmarks))
    return ((plus - minus) / (2 * _STEP)).T


def _propagate_contours(
    prediction: Prediction, corrected: Mapping[int, CorrectedFrame], times: np.ndarray
) -> Prediction:
    known = np.array([len(contour) > 0 for contour in prediction.contours])
    frames = np.flatnonzero(known)
    points = _resampled([prediction.contours[frame] for frame in frames])
    observed = {}
    for position, frame in enumerate(frames.tolist()):
        if frame in corrected and len(corrected[frame].contour):
            errors = points[position] - _resampled([corrected[frame].contour])[0]
            moved = np.linalg.norm(errors, axis=1) > _MIN_MOVE
            indices, deviations = np.arange(len(errors)), np.where(moved, _MOVED, _ACCEPTED)
            observed[position] = Observed(indices[_OBSERVED], errors[_OBSERVED], deviations[_OBSERVED])
    if not observed:
        return prediction
    errors = ConditionalErrors(_along_contour(_CONTOUR_POINTS)[None], observed, times[frames]).means
    contours = list(prediction.contours)
    for frame, contour in zip(frames.tolist(), (points - errors).astype(np.float32), strict=True):
        contours[frame] = contour
    return dataclasses.replace(prediction, contours=contours)


def _resampled(contours: list[np.ndarray]) -> np.ndarray:
    """(N, 96, 2) float32: points at equal distances along N contours."""
    offsets = np.cumsum([0, *map(len, contours)])
    return choose_landmarks(np.concatenate(contours), _CONTOUR_POINTS, scheme="arc", offsets=offsets)


def _along_contour(count: int) -> np.ndarray:
    """(n, n) float64: the correlation of a coordinate between points at equal distances along a contour."""
    chords = np.abs(np.sin(np.pi * np.subtract.outer(np.arange(count), np.arange(count)) / count)) / np.pi
    return _matern(chords / _ALONG_CONTOUR)
