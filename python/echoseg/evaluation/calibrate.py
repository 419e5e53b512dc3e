"""Calibrate the uncertainty of a run, fit its shape model, and measure the coverage of its intervals on a split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from echoseg.datasets.store import Store
from echoseg.geometry.contour import contour_area
from echoseg.geometry.discs import disc_volumes, ejection_fraction, ejection_fraction_deviations
from echoseg.geometry.shape import fit_shapes
from echoseg.inference.predictor import CALIBRATION, SHAPES, Prediction, Predictor
from echoseg.metrics.calibration import Calibration, ellipse_coverage, fit_calibration, interval_coverage
from echoseg.models.normalize import NetworkFactory
from echoseg.training.checkpoint import load_run
from echoseg.training.devices import choose_device
from echoseg.utils.files import replace_file


def calibrate(run: Path, store: Store, *, device: str = "auto", network: NetworkFactory | None = None) -> None:
    """Write `calibration.json` from the validation split, and `shape.json` from the training split.

    In the mask approach nothing is written. Without a validation split there is no calibration, since errors on
    training images are too small.

    Args:
        run: The folder of a finished run.
        store: The store that the run was trained on.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        network: The function that makes the network, if one was passed to the training.

    Raises:
        DataError: There is no run, a file is damaged, or the device does not exist.
    """
    config, _, codec = load_run(run, network)
    true = codec.landmarks(store)
    if true is None:
        return
    replace_file(run / SHAPES, fit_shapes(true[(config.splits(store.samples) == "train") & ~store.blank]).save)
    errors, moments = landmark_errors(run, store, "val", device=device, network=network)
    if len(errors):
        replace_file(run / CALIBRATION, fit_calibration(errors, moments, config.sigma**2).save)


def landmark_errors(
    run: Path, store: Store, split: str, *, device: str = "auto", network: NetworkFactory | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Predict the landmarks of a split, as `fit_calibration` needs them. Blank slices are left out.

    Args:
        run: The folder of a landmark run with weights.
        store: The store that the run was trained on.
        split: "train", "val" or "test".
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        network: The function that makes the network, if one was passed to the training.

    Returns:
        Errors (N, K, 2), pixels, and second moments of the heatmaps (N, K, 2, 2), square pixels.

    Raises:
        DataError: There is no run, a file is damaged, or the device does not exist.
    """
    config, model, codec = load_run(run, network)
    indices = np.flatnonzero((config.splits(store.samples) == split) & ~store.blank)
    identity = Calibration(spread=0.0, scale=1.0, floor=0.0, error_correlation=np.eye(2 * codec.channels))
    predictor = Predictor(config, model, codec, choose_device(device), calibration=identity)
    prediction, true = predictor(store.frames[indices]), codec.landmarks(store)
    assert prediction.landmarks is not None
    assert true is not None
    assert prediction.covariances is not None  # with the identity, the moments of the heatmaps
    return prediction.landmarks - true[indices], prediction.covariances


def check_calibration(
    predictor: Predictor,
    prediction: Prediction,
    true_landmarks: np.ndarray,
    contours: np.ndarray,
    images: pd.DataFrame,
) -> dict[str, dict[str, float]]:
    """Measure how often the truth lies in the predicted intervals of landmarks, areas, volumes and EF.

    Volumes are computed by the method of discs, EF by video.

    Args:
        predictor: A calibrated predictor.
        prediction: The prediction for N images, with covariances.
        true_landmarks: (N, K, 2) float, pixels.
        contours: (N, P, 2) float, pixels, the true contours.
        images: A table with N rows and the columns video and phase.

    Returns:
        The results of `ellipse_coverage` for "landmarks", and of `interval_coverage` for "area", "volume" and "ef".
        There is no "ef" if no video has an end-diastolic and an end-systolic image.
    """
    calibration, codec = predictor.calibration, predictor.codec
    landmarks, covariances = prediction.landmarks, prediction.covariances
    assert calibration is not None
    assert landmarks is not None
    assert covariances is not None
    assert prediction.area_std is not None
    coverage = {"landmarks": ellipse_coverage(landmarks - true_landmarks, covariances)}
    areas, true_areas = contour_area(codec.join(landmarks)), contour_area(contours)
    coverage["area"] = interval_coverage(areas - true_areas, prediction.area_std)

    def discs(landmarks: np.ndarray) -> np.ndarray:
        return disc_volumes(codec.join(landmarks), codec.axes(landmarks))

    volumes, true = discs(landmarks), disc_volumes(contours, codec.axes(true_landmarks))
    # image by image: without axes, disc_volumes needs memory for all pairs of points
    single_images = zip(landmarks[:, None], covariances[:, None], strict=True)
    deviations = np.concatenate([calibration.deviations(discs, *image) for image in single_images])
    coverage["volume"] = interval_coverage(volumes - true, deviations)

    phases = [images[images["phase"] == phase].reset_index() for phase in ("ED", "ES")]
    ed, es = pd.merge(*phases, on="video")[["index_x", "index_y"]].to_numpy().T
    if len(ed):
        errors = ejection_fraction(volumes[ed], volumes[es]) - ejection_fraction(true[ed], true[es])
        spread = ejection_fraction_deviations(volumes[ed], volumes[es], (deviations[ed], deviations[es]))
        coverage["ef"] = interval_coverage(errors, spread)
    return coverage
