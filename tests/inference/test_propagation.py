"""Carrying corrections to other frames: the conditional Gaussian, what stays as it is, and the gain on phantoms."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import echoseg
from echoseg.geometry.contour import contour_area, order_contour
from echoseg.geometry.landmarks import choose_landmarks
from echoseg.inference.predictor import Predictor
from echoseg.inference.propagation import (
    ConditionalErrors,
    CorrectedFrame,
    Observed,
    _area_gradients,
    _correlation_over_time,
    changed_frames,
    propagate,
)
from echoseg.io.clip import Clip
from echoseg.metrics.overlap import dice
from echoseg.ops import fill_polygons
from echoseg.phantom.patient import FPS, Patient
from echoseg.training.task_settings import APPROACHES

FRAMES = 20


def dense_condition(covariances, observed, times):
    """Means and covariances from the covariance matrix of all errors of all frames."""
    count, size = len(times), covariances.shape[1]
    values, vectors = np.linalg.eigh(covariances)
    roots = vectors @ (np.sqrt(values)[..., None] * vectors.swapaxes(1, 2))
    prior = np.zeros((count, size, count, size))
    for t in range(count):
        for u in range(count):
            prior[t, :, u] = _correlation_over_time(np.array(times[t] - times[u])) * roots[t] @ roots[u]
    prior = prior.reshape(count * size, count * size)
    places = np.concatenate([size * frame + part.indices for frame, part in observed.items()])
    noise = np.concatenate([part.deviations for part in observed.values()]) ** 2 * np.diag(prior)[places]
    gain = prior[:, places] @ np.linalg.inv(prior[np.ix_(places, places)] + np.diag(noise))
    means = gain @ np.concatenate([part.errors for part in observed.values()])
    rest = (prior - gain @ prior[places]).reshape(count, size, count, size)
    return means.reshape(count, size, -1), np.stack([rest[t, :, t] for t in range(count)])


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 7), size=st.integers(1, 5), columns=st.integers(1, 2))
def test_equal_to_the_gaussian_of_all_errors(seed, count, size, columns):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(count, size, size))
    covariances = root @ root.swapaxes(1, 2) + 0.1 * np.eye(size)
    times = np.sort(rng.uniform(0, 1, count))
    observed = {}
    for frame in rng.permutation(count)[: rng.integers(1, count + 1)].tolist():
        indices = rng.permutation(size)[: rng.integers(1, size + 1)]
        observed[frame] = Observed(indices, rng.normal(size=(len(indices), columns)), rng.uniform(0.1, 2, len(indices)))
    errors = ConditionalErrors(covariances, observed, times)
    means, rest = dense_condition(covariances, observed, times)
    np.testing.assert_allclose(errors.means, means, atol=1e-8)
    np.testing.assert_allclose(errors.covariances(), rest, atol=1e-8)


@pytest.fixture(scope="module")
def clip():
    patient = Patient(5, 1)
    return Clip(np.stack([patient.frame(number) for number in range(FRAMES)]), FPS, (math.nan, math.nan), math.nan)


@pytest.fixture(scope="module")
def truth():
    patient = Patient(5, 1)
    return np.stack([order_contour(patient.exact_tracing(number)) for number in range(FRAMES)])


@pytest.fixture(scope="module", params=APPROACHES)
def predicted(request, clip):
    predictor = echoseg.load(approach=request.param, device="cpu")
    return predictor, predictor(clip)


def corrected_frame(predictor: Predictor, contour: np.ndarray) -> CorrectedFrame:
    if predictor.config.approach == "mask":
        return CorrectedFrame(contour, None, np.zeros(0, int), np.zeros((0, 2)), np.zeros(0, bool))
    count = predictor.codec.count
    landmarks = choose_landmarks(contour, count, scheme=predictor.codec.scheme, offsets=np.array([0, len(contour)]))
    axis = predictor.codec.axes(landmarks)[0]
    return CorrectedFrame(contour, axis, np.arange(count), landmarks[0], np.ones(count, dtype=bool))


def accepted_frame(prediction, frame):
    axis = None if prediction.axes is None else prediction.axes[frame]
    points = np.zeros((0, 2)) if prediction.landmarks is None else prediction.landmarks[frame]
    return CorrectedFrame(prediction.contours[frame], axis, np.arange(len(points)), points, np.zeros(len(points), bool))


@pytest.mark.slow
def test_two_corrections_improve_the_other_frames(predicted, truth):
    predictor, prediction = predicted
    masks = fill_polygons(truth, prediction.size)
    chosen = [4, 14]
    changed = propagate(predictor, prediction, {t: corrected_frame(predictor, truth[t]) for t in chosen}, FPS)
    others = np.setdiff1d(np.arange(FRAMES), chosen)
    before, after = dice(prediction.masks, masks)[others], dice(changed.masks, masks)[others]
    assert after.mean() > before.mean() + 0.3 * (1 - before.mean())
    for frame in chosen:
        assert np.array_equal(changed.contours[frame], truth[frame])
    assert changed.ef_intervals is None
    if prediction.area_std is not None:
        assert (changed.area_std[chosen] == 0).all()
        assert not changed.review[chosen].any()
        assert (changed.area_std[others] < prediction.area_std[others]).all()
        # nearer to a corrected frame, less is unknown
        assert changed.area_std[5] < changed.area_std[9]
        assert np.isfinite(changed.covariances).all()


@pytest.mark.slow
def test_a_frame_that_was_accepted_changes_nothing_in_the_mean(predicted):
    predictor, prediction = predicted
    changed = propagate(predictor, prediction, {7: accepted_frame(prediction, 7)}, FPS)
    for before, after in zip(prediction.contours, changed.contours, strict=True):
        np.testing.assert_allclose(contour_area(after), contour_area(before), rtol=2e-3)
    assert not changed_frames(prediction, changed).any()
    assert np.array_equal(changed.contours[7], prediction.contours[7])


def test_nothing_changes_without_corrections(predicted):
    predictor, prediction = predicted
    assert propagate(predictor, prediction, {}, FPS) is prediction


@pytest.mark.slow
def test_frames_without_a_contour_stay_without_one(predicted, truth):
    predictor, prediction = predicted
    emptied = prediction.emptied(np.arange(FRAMES) == 3)
    changed = propagate(predictor, emptied, {10: corrected_frame(predictor, truth[10])}, math.nan)
    assert len(changed.contours[3]) == 0
    assert all(np.isfinite(contour).all() for contour in changed.contours)
    # a person may draw what the network did not find
    drawn = propagate(predictor, emptied, {3: corrected_frame(predictor, truth[3])}, FPS)
    assert np.array_equal(drawn.contours[3], truth[3])
    for t in set(range(FRAMES)) - {3}:
        assert np.array_equal(drawn.contours[t], emptied.contours[t])


@pytest.mark.slow
def test_landmarks_without_calibration(clip, truth):
    predictor = echoseg.load(device="cpu")
    predictor.calibration = None
    prediction = dataclasses.replace(predictor(clip), covariances=None, area_std=None, review=None)
    changed = propagate(predictor, prediction, {10: corrected_frame(predictor, truth[10])}, FPS)
    masks = fill_polygons(truth, prediction.size)
    assert dice(changed.masks, masks).mean() > dice(prediction.masks, masks).mean()
    assert changed.area_std is None


def test_gradients_of_areas():
    codec = echoseg.load(device="cpu").codec
    angle = np.linspace(0, 2 * np.pi, codec.count, endpoint=False)
    landmarks = np.stack([50 + 20 * np.sin(angle), 50 - 30 * np.cos(angle)], axis=1).astype(np.float32)[None]
    gradients = _area_gradients(codec, landmarks)
    shift = np.tile([1.0, 0.0], codec.count)
    assert gradients[0] @ shift == pytest.approx(0, abs=1e-2)  # a translation
    grown = 1.01 * (landmarks[0] - 50) + 50
    expected = contour_area(codec.join(grown[None].astype(np.float32)))[0] - contour_area(codec.join(landmarks))[0]
    assert gradients[0] @ (grown - landmarks[0]).ravel() == pytest.approx(expected, rel=0.02)
