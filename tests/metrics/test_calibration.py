"""Calibration: from heatmaps to covariances of landmarks, and to intervals with the right coverage."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from echoseg.errors import DataError
from echoseg.evaluation.calibrate import calibrate
from echoseg.evaluation.evaluate import evaluate
from echoseg.geometry.contour import contour_area
from echoseg.geometry.shape import load_shapes
from echoseg.geometry.spline import join_landmarks
from echoseg.inference.predictor import SHAPES, load
from echoseg.metrics.calibration import (
    Calibration,
    ellipse_coverage,
    fit_calibration,
    interval_coverage,
    load_calibration,
)
from echoseg.models.uncertainty import heatmap_moments
from echoseg.training.config import Config
from echoseg.training.loop import train

SPREAD = 6.25


def random_matrices(random, shape, low, high):
    angle = random.uniform(0, np.pi, shape)
    c, s = np.cos(angle), np.sin(angle)
    vectors = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)
    return vectors * random.uniform(low, high, (*shape, 1, 2)) @ vectors.swapaxes(-1, -2)


def simulate(seed=0, images=3000, count=4, scale=0.5, floor=0.8, shared=0.0):
    """Moments, covariances and Gaussian errors; `shared` is the correlation of the x errors of all landmarks."""
    random = np.random.default_rng(seed)
    moments = random_matrices(random, (images, count), SPREAD, 40)
    covariances = scale * (moments - SPREAD * np.eye(2)) + floor * np.eye(2)
    values, vectors = np.linalg.eigh(covariances)
    roots = vectors * np.sqrt(values)[..., None, :] @ vectors.swapaxes(-1, -2)
    white = random.standard_normal((images, count, 2))
    white[..., 0] = np.sqrt(1 - shared) * white[..., 0] + np.sqrt(shared) * random.standard_normal((images, 1))
    return moments, covariances, (roots @ white[..., None])[..., 0]


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.floats(2, 30))
def test_moments_equal_a_weighted_covariance(seed, reach):
    random = np.random.default_rng(seed)
    logits = torch.from_numpy(random.normal(0, 3, (1, 2, 9, 13)).astype(np.float32))
    landmarks = torch.from_numpy(random.uniform(0, [12, 8], (1, 2, 2)).astype(np.float32))
    found = heatmap_moments(logits, landmarks, reach=reach).numpy()
    for k in range(2):
        positions, weights = [], []
        for y in range(9):
            for x in range(13):
                if max(abs(x - landmarks[0, k, 0]), abs(y - landmarks[0, k, 1])) <= reach:
                    positions.append([x, y])
                    weights.append(np.exp(logits[0, k, y, x].item()))
        np.testing.assert_allclose(found[0, k], np.cov(np.array(positions).T, aweights=weights, ddof=0), atol=2e-3)


def test_moments_of_a_gaussian_are_its_covariance():
    y, x = np.mgrid[:60, :80]
    squares = ((x - 40.3) ** 2 / 9 + (y - 29.6) ** 2 / 4) / 2
    logits = torch.tensor(-np.stack([squares, squares + 500])[None], dtype=torch.float32)
    moments = heatmap_moments(logits, torch.tensor([[[40.3, 29.6]] * 2]), reach=25)
    np.testing.assert_allclose(moments[0], [np.diag([9, 4])] * 2, atol=1e-2)


def test_simulated_parameters_are_recovered():
    moments, covariances, errors = simulate()
    calibration = fit_calibration(errors, moments, SPREAD)
    assert calibration.scale == pytest.approx(0.5, rel=0.05)
    assert calibration.floor == pytest.approx(0.8, rel=0.1)
    np.testing.assert_allclose(calibration.error_correlation, np.eye(8), atol=0.08)
    assert ellipse_coverage(errors, covariances) == pytest.approx({"50": 0.5, "90": 0.9, "95": 0.95}, abs=0.015)
    test_moments, _, test_errors = simulate(seed=1)
    coverage = ellipse_coverage(test_errors, calibration.covariances(test_moments))
    assert coverage == pytest.approx({"50": 0.5, "90": 0.9, "95": 0.95}, abs=0.015)
    assert ellipse_coverage(2 * errors, covariances)["95"] < 0.8


def test_interval_coverage_is_the_share_of_errors_inside():
    coverage = interval_coverage(np.array([0.5, 1.0, 1.8, 3.0]), np.ones(4))
    assert coverage == {"50": 0.25, "90": 0.5, "95": 0.75}


@pytest.mark.parametrize("shared", [0.0, 0.9])
def test_intervals_of_areas_have_the_right_coverage_with_and_without_correlation(shared):
    """The radius of 40 px is large compared with the errors, so that the area is nearly linear in them."""
    angle = 2 * np.pi * np.arange(6) / 6
    true = 60 + 40 * np.stack([np.sin(angle), -np.cos(angle)], axis=1)
    moments, _, errors = simulate(count=6, shared=shared)
    calibration = fit_calibration(errors[:2000], moments[:2000], SPREAD)
    landmarks, covariances = true + errors[2000:], calibration.covariances(moments[2000:])

    def area(points):
        return contour_area(join_landmarks(points))

    deviations = calibration.deviations(area, landmarks, covariances)
    coverage = interval_coverage(area(landmarks) - area(true), deviations)
    assert coverage == pytest.approx({"50": 0.5, "90": 0.9, "95": 0.95}, abs=0.05)


def test_deviations_of_a_sum_include_the_correlation():
    calibration = Calibration(0.0, 1.0, 0.0, np.array([[1.0, 0, 0.5, 0], [0, 1, 0, 0], [0.5, 0, 1, 0], [0, 0, 0, 1]]))
    covariances = np.array([[np.diag([4.0, 1.0]), np.diag([9.0, 1.0])]])
    # var(x0 + x1) = 4 + 9 + 2 · 0.5 · 2 · 3
    found = calibration.deviations(lambda moved: moved[..., 0].sum(axis=1), np.zeros((1, 2, 2)), covariances)
    assert found == pytest.approx(np.sqrt(19))
    assert calibration.deviations(lambda moved: moved[:, 0, 0], np.zeros((0, 2, 2)), covariances[:0]).shape == (0,)


def test_a_network_without_errors_has_positive_covariances():
    calibration = fit_calibration(np.zeros((5, 3, 2)), np.broadcast_to(SPREAD * np.eye(2), (5, 3, 2, 2)), SPREAD)
    covariances = calibration.covariances(np.zeros((1, 3, 2, 2)))
    assert (np.linalg.eigvalsh(covariances) > 0).all()
    assert ellipse_coverage(np.zeros((1, 3, 2)), covariances)["50"] == 1


def test_a_saved_calibration_is_loaded_unchanged(tmp_path):
    moments, _, errors = simulate(images=50)
    calibration = fit_calibration(errors, moments, SPREAD)
    calibration.save(tmp_path / "calibration.json")
    loaded = load_calibration(tmp_path / "calibration.json")
    assert np.array_equal(loaded.covariances(moments), calibration.covariances(moments))
    assert np.array_equal(loaded.error_correlation, calibration.error_correlation)
    for text in ("{}", "{", "[]"):
        (tmp_path / "calibration.json").write_text(text)
        with pytest.raises(DataError, match=r"calibration.json: damaged .*; train again"):
            load_calibration(tmp_path / "calibration.json")


# in a run


@pytest.fixture(scope="module")
def run(disc_store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    tiny = {"size": (32, 32), "width": 4, "depth": 2, "batch_size": 8, "device": "cpu", "precision": "float32"}
    train(Config(**tiny, landmarks=7, epochs=12, gain=0.0, shade=0.0), disc_store, folder)
    calibrate(folder, disc_store, device="cpu")
    return folder


def test_a_calibrated_run_gives_covariances_intervals_and_review_flags(run, disc_store):
    evaluation = evaluate(load(run, device="cpu"), disc_store, "test")
    prediction, images = evaluation.prediction, evaluation.images
    assert prediction.covariances.shape == (8, 7, 2, 2)
    assert (np.linalg.eigvalsh(prediction.covariances) > 0).all()
    assert (prediction.area_std > 0).all()
    assert set(images["review"]) <= {0, 1}
    calibration = evaluation.summary["calibration"]
    assert set(calibration) == {"landmarks", "area", "volume"}  # no EF, since the discs do not beat
    assert all(list(of) == ["50", "90", "95"] and of["50"] <= of["95"] for of in calibration.values())
    review = evaluation.summary["review"]
    assert review["marked"] == images["review"].sum()
    assert review["poor_marked"] <= review["poor"] == (images["dice"] < 0.8).sum()
    (low, high), area, deviation = prediction.area_intervals[0], prediction.areas[0], prediction.area_std[0]
    assert (low, high) == pytest.approx((max(0, area - 1.96 * deviation), area + 1.96 * deviation))


@pytest.mark.parametrize("changes", [{"view": "SAX"}, {"thickness": 8.0}])
def test_slices_have_no_volumes_by_the_method_of_discs(run, disc_store, changes):
    slices = dataclasses.replace(disc_store, samples=disc_store.samples.assign(**changes))
    assert set(evaluate(load(run, device="cpu"), slices, "test").summary["calibration"]) == {"landmarks", "area"}


@pytest.mark.slow
def test_larger_frames_have_larger_covariances(run, disc_store):
    predictor = load(run, device="cpu")
    small = predictor(disc_store.frames[:3])
    wide = predictor(disc_store.frames[:3].repeat(2, axis=1).repeat(3, axis=2))
    np.testing.assert_allclose(wide.covariances, small.covariances * [[9, 6], [6, 4]], rtol=0.05, atol=0.05)
    np.testing.assert_allclose(wide.area_std, 6 * small.area_std, rtol=0.2)
    assert np.array_equal(wide.review, small.review)
    assert len(predictor(disc_store.frames[:0]).area_std) == 0


def test_implausible_shapes_are_marked_for_review(run, disc_store):
    noise = np.random.default_rng(0).integers(0, 255, (6, 32, 32)).astype(np.uint8)
    prediction = load(run, device="cpu")(noise)
    shapes = load_shapes(run / SHAPES)
    implausible = shapes.distances(prediction.landmarks) > shapes.limit
    assert implausible.any()
    assert prediction.review[implausible].all()


def test_a_run_without_calibration_files_predicts_without_uncertainty(run, disc_store, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("config.yaml", "model.safetensors"):
        (copy / name).write_bytes((run / name).read_bytes())
    prediction = load(copy, device="cpu")(disc_store.frames[:2])
    assert prediction.covariances is prediction.area_std is prediction.area_intervals is prediction.review is None


@pytest.mark.slow
def test_the_mask_approach_and_runs_without_validation_set_are_not_calibrated(disc_store, tmp_path):
    tiny = {"size": (32, 32), "width": 4, "depth": 2, "device": "cpu", "precision": "float32", "epochs": 1}
    train(Config(**tiny, approach="mask"), disc_store, tmp_path / "mask")
    calibrate(tmp_path / "mask", disc_store, device="cpu")
    train(Config(**tiny, validation="none"), disc_store, tmp_path / "all")
    calibrate(tmp_path / "all", disc_store, device="cpu")
    assert not (tmp_path / "mask" / "shape.json").exists()
    assert not (tmp_path / "all" / "calibration.json").exists()
    assert json.loads((tmp_path / "all" / "shape.json").read_text())["limit"] > 0
