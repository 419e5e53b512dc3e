"""Smoothing over time: the solution of the banded system, outliers, gaps, fast motion, and its use by a predictor."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from echoseg.geometry.contour import contour_area
from echoseg.geometry.level_set import NO_CONTOUR
from echoseg.inference.predictor import Predictor
from echoseg.inference.temporal import _fit, smooth_contours, smooth_tracks
from echoseg.io.clip import Clip
from echoseg.metrics.calibration import Calibration
from echoseg.training.checkpoint import build
from echoseg.training.config import Config

FRAMES, COUNT = 60, 5


def beating(frames=FRAMES, period=40.0, amplitude=8.0):
    """(T, K, 2): points that move as a wall does over a beat, at different times."""
    time = 2 * np.pi * np.arange(frames)[:, None] / period + np.arange(COUNT)
    return np.stack([50 + amplitude * np.cos(time), 60 + 0.7 * amplitude * np.sin(2 * time)], axis=2)


def draw_covariances(rng, frames=FRAMES):
    root = rng.normal(size=(frames, COUNT, 2, 2))
    return 0.5 * root @ root.swapaxes(2, 3) + 0.2 * np.eye(2)


def add_errors(true, covariances, rng):
    return true + (np.linalg.cholesky(covariances) @ rng.normal(size=(*true.shape, 1)))[..., 0]


def dense_solution(measured, information, ratio, k):
    """The most likely track of point k, without bands."""
    frames = len(measured)
    second_differences = np.kron(np.diff(np.eye(frames), n=2, axis=0), np.eye(2))
    system = second_differences.T @ second_differences / ratio
    for t in range(frames):
        system[2 * t : 2 * t + 2, 2 * t : 2 * t + 2] += information[t, k]
    right = np.concatenate([information[t, k] @ measured[t, k] for t in range(frames)])
    return np.linalg.solve(system, right).reshape(frames, 2)


@pytest.mark.parametrize("frames", [5, 33, 70])
def test_the_tracks_solve_the_dense_system(frames):
    rng = np.random.default_rng(frames)
    measured = rng.normal(size=(frames, COUNT, 2)).cumsum(axis=0)
    information = np.linalg.inv(draw_covariances(rng, frames))
    known = rng.random((frames, COUNT)) < 0.8
    known[:5] = True
    information[~known] = 0
    fit = _fit(measured, information, known, 0.3)
    for k in range(COUNT):
        np.testing.assert_allclose(fit.tracks[:, k], dense_solution(measured, information, 0.3, k), atol=1e-8)


def test_errors_shrink():
    rng = np.random.default_rng(1)
    true, covariances = beating(), draw_covariances(rng)
    measured = add_errors(true, covariances, rng)
    tracks = smooth_tracks(measured, covariances)
    before, after = (np.sqrt(((points - true) ** 2).mean()) for points in (measured, tracks.points))
    assert after < 0.5 * before


def test_the_result_does_not_depend_on_the_unit_of_length_or_of_the_covariances():
    rng = np.random.default_rng(2)
    covariances = draw_covariances(rng)
    measured = add_errors(beating(), covariances, rng)
    tracks, other = smooth_tracks(measured, covariances), smooth_tracks(measured * 3, covariances * 50)
    np.testing.assert_allclose(other.points, 3 * tracks.points, rtol=1e-9)
    np.testing.assert_allclose(other.distances, tracks.distances, rtol=1e-6)


def test_a_point_far_from_its_track_does_not_bend_it():
    rng = np.random.default_rng(3)
    true = beating()
    measured = true + 0.3 * rng.normal(size=true.shape)
    outlier = measured.copy()
    outlier[20:22, 1] += 25
    tracks = smooth_tracks(outlier)
    assert np.abs(tracks.points - true).max() < 1.5
    assert tracks.distances[20:22, 1].min() > 10
    assert np.delete(tracks.distances, [20, 21], axis=0).max() < 6


@pytest.mark.parametrize("period", [12.0, 25.0, 60.0])
def test_the_amplitude_of_a_beat_is_kept(period):
    true = beating(120, period)
    tracks = smooth_tracks(true + 0.4 * np.random.default_rng(4).normal(size=true.shape))
    motion = true - true.mean(axis=0)
    np.testing.assert_allclose((tracks.points * motion).sum(axis=0) / (motion**2).sum(axis=0), 1, atol=0.03)


def test_unknown_points_are_interpolated():
    true = beating()
    measured = true.copy()
    measured[10:13, 2] = np.nan
    tracks = smooth_tracks(measured)
    np.testing.assert_allclose(tracks.points, true, atol=0.1)


@pytest.mark.parametrize("frames", [0, 1, 4])
def test_few_frames_stay_as_they_are(frames):
    measured = beating(frames)
    tracks = smooth_tracks(measured)
    np.testing.assert_array_equal(tracks.points, measured)
    assert tracks.distances.shape == (frames, COUNT)


def ellipse(width, height, points=50, turn=0.0):
    angle = turn + 2 * np.pi * np.arange(points) / points
    return np.stack([50 + width * np.cos(angle), 60 + height * np.sin(angle)], axis=1).astype(np.float32)


def test_contours_of_any_points_are_smoothed():
    rng = np.random.default_rng(5)
    widths = 20 + 5 * np.cos(2 * np.pi * np.arange(FRAMES) / 30)
    noisy = [ellipse(w + rng.normal(0, 1), 30, rng.integers(40, 60), rng.uniform(0, 6)) for w in widths]
    noisy[20] = ellipse(40, 30)
    noisy[33] = NO_CONTOUR
    smoothed = smooth_contours(noisy)
    assert len(smoothed) == FRAMES
    assert len(smoothed[33]) == 0
    areas = [contour_area(contour[None])[0] / (np.pi * 30) for contour in smoothed if len(contour)]
    true = np.delete(widths, 33)
    assert np.sqrt(np.mean((areas - true) ** 2)) < 0.6
    assert abs(areas[20] - true[20]) < 2


def test_contours_of_few_frames_stay_as_they_are():
    contours = [ellipse(20, 30)] * 4 + [NO_CONTOUR] * 3
    assert smooth_contours(contours) is contours
    assert smooth_contours([]) == []


class TrackPredictor(Predictor):
    """Predicts given landmarks, whatever the frames show."""

    def __init__(self, landmarks, **settings):
        config = Config(landmarks=COUNT, scheme="arc", width=4, depth=2, size=(128, 128), precision="float32")
        calibration = Calibration(0.0, 1.0, 0.0, np.eye(2 * COUNT))
        super().__init__(config, *build(config), torch.device("cpu"), calibration=calibration, **settings)
        self.landmarks = landmarks.astype(np.float32)

    def _decode(self, frames, crop):
        moments = np.broadcast_to(np.eye(2), (*self.landmarks.shape, 2))
        return np.zeros((len(frames), 128, 128), np.float32), self.landmarks.copy(), moments


@pytest.fixture
def tracks():
    angle = 2 * np.pi * np.arange(COUNT) / COUNT
    shape = 20 * np.stack([np.sin(angle), -np.cos(angle)], axis=1)
    true = 64 + (1 + 0.2 * np.sin(np.arange(40) / 5))[:, None, None] * shape
    measured = true + np.random.default_rng(6).normal(0, 0.3, true.shape)
    measured[17, 1] = 5, 120
    return true, measured


def clip(thickness=np.nan):
    return Clip(np.zeros((40, 128, 128), np.uint8), 50.0, (np.nan, np.nan), thickness)


def test_a_predictor_smooths_cines_and_marks_the_frames_that_stand_out(tracks):
    true, measured = tracks
    predictor = TrackPredictor(measured, smooth=True)
    prediction = predictor(clip())
    assert np.abs(prediction.landmarks - true).max() < 1
    assert prediction.review[17]
    assert prediction.review.sum() == 1
    np.testing.assert_array_equal(prediction.contours[17], predictor.codec.join(prediction.landmarks)[17])


def test_points_that_do_not_move_stand_out_nowhere():
    points = np.random.default_rng(0).uniform(0, 112, (13, 2)).astype(np.float32)
    for frames in (30, 100):
        assert smooth_tracks(np.repeat(points[None], frames, axis=0)).distances.max() < 0.1


def test_arrays_and_stacks_are_not_smoothed_nor_anything_on_request(tracks):
    measured = tracks[1].astype(np.float32)
    predictor = TrackPredictor(measured, smooth=True)
    for prediction in (predictor(clip().frames), predictor(clip(8.0)), TrackPredictor(measured)(clip())):
        np.testing.assert_array_equal(prediction.landmarks, measured)
