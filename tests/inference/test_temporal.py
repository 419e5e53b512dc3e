"""Smoothing over time: the solution of the banded system, its covariances, outliers, gaps and fast motion."""

from __future__ import annotations

import numpy as np
import pytest

from echoseg.inference.temporal import _fit, _inverse_blocks, smooth_tracks

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
    """The most likely track of point k and the covariance of its errors, without bands."""
    frames = len(measured)
    second_differences = np.kron(np.diff(np.eye(frames), n=2, axis=0), np.eye(2))
    system = second_differences.T @ second_differences / ratio
    for t in range(frames):
        system[2 * t : 2 * t + 2, 2 * t : 2 * t + 2] += information[t, k]
    right = np.concatenate([information[t, k] @ measured[t, k] for t in range(frames)])
    return np.linalg.solve(system, right).reshape(frames, 2), np.linalg.inv(system)


@pytest.mark.parametrize("frames", [5, 33, 70])
def test_the_tracks_solve_the_dense_system(frames):
    rng = np.random.default_rng(frames)
    measured = rng.normal(size=(frames, COUNT, 2)).cumsum(axis=0)
    information = np.linalg.inv(draw_covariances(rng, frames))
    known = rng.random((frames, COUNT)) < 0.8
    known[:5] = True
    information[~known] = 0
    fit = _fit(measured, information, known, 0.3)
    blocks = _inverse_blocks(fit.factor, known.shape)
    for k in range(COUNT):
        track, inverse = dense_solution(measured, information, 0.3, k)
        np.testing.assert_allclose(fit.tracks[:, k], track, atol=1e-8)
        for t in range(frames):
            np.testing.assert_allclose(blocks[t, k], inverse[2 * t : 2 * t + 2, 2 * t : 2 * t + 2], atol=1e-10)


def test_errors_shrink_and_the_covariances_fit_what_is_left():
    rng = np.random.default_rng(1)
    true, covariances = beating(), draw_covariances(rng)
    measured = add_errors(true, covariances, rng)
    tracks = smooth_tracks(measured, covariances)
    before, after = (np.sqrt(((points - true) ** 2).mean()) for points in (measured, tracks.points))
    assert after < 0.5 * before
    errors = tracks.points - true
    squares = np.einsum("tki,tkij,tkj->tk", errors, np.linalg.inv(tracks.covariances), errors)
    assert squares.mean() == pytest.approx(2, abs=0.7)  # of two coordinates


def test_the_result_does_not_depend_on_the_unit_of_length_or_of_the_covariances():
    rng = np.random.default_rng(2)
    covariances = draw_covariances(rng)
    measured = add_errors(beating(), covariances, rng)
    tracks, other = smooth_tracks(measured, covariances), smooth_tracks(measured * 3, covariances * 50)
    np.testing.assert_allclose(other.points, 3 * tracks.points, rtol=1e-9)
    np.testing.assert_allclose(other.covariances, 9 * tracks.covariances, rtol=1e-9)
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
    assert (tracks.covariances[11, 2].trace() > 2 * tracks.covariances[30, 2].trace()).all()


@pytest.mark.parametrize("frames", [0, 1, 4])
def test_few_frames_stay_as_they_are(frames):
    measured = beating(frames)
    tracks = smooth_tracks(measured)
    np.testing.assert_array_equal(tracks.points, measured)
    assert tracks.distances.shape == (frames, COUNT)
