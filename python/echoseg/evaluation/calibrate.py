"""Calibrate the uncertainty of a run, describe its training data, and measure the coverage of its intervals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from echoseg.datasets.store import Store
from echoseg.evaluation.ejection import SHORT_AXIS_VIEWS, reference_ef, single_view_volumes
from echoseg.geometry.contour import contour_area
from echoseg.geometry.discs import disc_volumes, ejection_fraction, ejection_fraction_deviations
from echoseg.geometry.shape import fit_shapes
from echoseg.inference.predictor import (
    CALIBRATION,
    EF_INTERVALS,
    IMAGE_DOMAIN,
    SHAPES,
    Prediction,
    Predictor,
    load,
)
from echoseg.metrics.calibration import Calibration, ellipse_coverage, fit_calibration, interval_coverage
from echoseg.metrics.conformal import MIN_PAIRS, fit_ef_intervals
from echoseg.metrics.image_domain import fit_image_domain
from echoseg.models.normalize import NetworkFactory
from echoseg.training.checkpoint import load_run
from echoseg.training.devices import choose_device
from echoseg.training.logs import logger
from echoseg.utils.files import replace_file


def calibrate(run: Path, store: Store, *, device: str = "auto", network: NetworkFactory | None = None) -> None:
    """Write what a predictor knows of its errors and of its training images.

    These are `image_domain.json` and, in the landmark approach, `shape.json` from the training split; and
    `ef_intervals.json` and, in the landmark approach, `calibration.json` from the validation split. Without a
    validation split the latter are not written, since errors on training images are too small.

    Args:
        run: The folder of a finished run.
        store: The store that the run was trained on.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        network: The function that makes the network, if one was passed to the training.

    Raises:
        DataError: There is no run, a file is damaged, or the device does not exist.
    """
    config, _, codec = load_run(run, network)
    splits = config.splits(store.samples)
    save_image_domain(run, store, np.flatnonzero(splits == "train"))
    true = codec.landmarks(store)
    if true is not None:
        replace_file(run / SHAPES, fit_shapes(true[(splits == "train") & ~store.blank]).save)
        errors, moments = landmark_errors(run, store, "val", device=device, network=network)
        if len(errors):
            replace_file(run / CALIBRATION, fit_calibration(errors, moments, config.sigma**2).save)
    if (splits == "val").any():
        save_ef_intervals(run, predicted_efs(load(run, device=device, network=network), store, "val"))


def save_image_domain(run: Path, store: Store, indices: np.ndarray) -> None:
    """Write `image_domain.json`, a description of the training images; nothing if they are of a single patient.

    Args:
        run: The run folder.
        store: The store that the run was trained on.
        indices: (N,) int, the indices of the training images.
    """
    domain = fit_image_domain(store.frames[indices], store.samples["patient"].to_numpy()[indices])
    if domain is not None:
        replace_file(run / IMAGE_DOMAIN, domain.save)


def predicted_efs(predictor: Predictor, store: Store, split: str) -> pd.DataFrame:
    """Predict the EF of the videos of a split, as `save_ef_intervals` needs them.

    Args:
        predictor: The calibrated predictor of a run.
        store: The store that the run was trained on.
        split: "train", "val" or "test".

    Returns:
        A table with a row per video with a predicted and a reference EF, percent: ef, ef_std and reference.
    """
    indices = np.flatnonzero(predictor.config.splits(store.samples) == split)
    table = single_view_volumes(store, indices, predictor(store.frames[indices]))
    table = table.assign(reference=reference_ef(table))[["ef", "ef_std", "reference"]]
    return table.dropna(subset=["ef", "reference"])


def save_ef_intervals(run: Path, efs: pd.DataFrame) -> None:
    """Write `ef_intervals.json`, from videos that the network was not trained on; warn if there are too few.

    Args:
        run: The run folder.
        efs: The result of `predicted_efs`; nothing is written or said if it is empty.
    """
    intervals = fit_ef_intervals(*(efs[name].to_numpy() for name in ("ef", "reference", "ef_std")))
    if intervals is not None:
        replace_file(run / EF_INTERVALS, intervals.save)
    elif len(efs):
        message = "no intervals of the EF: they need %d videos with ED and ES that were not trained on; there are %d"
        logger.warning(message, MIN_PAIRS, len(efs))


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
    samples: pd.DataFrame,
) -> dict[str, dict[str, float]]:
    """Measure how often the truth lies in the predicted intervals of landmarks, areas, volumes and EF.

    Volumes are computed by the method of discs, EF by video; of images that show the long axis, not of slices.

    Args:
        predictor: A calibrated predictor.
        prediction: The prediction for N images, with covariances.
        true_landmarks: (N, K, 2) float, pixels.
        contours: (N, P, 2) float, pixels, the true contours.
        samples: A table with N rows and the columns video, phase, view and thickness.

    Returns:
        The results of `ellipse_coverage` for "landmarks", and of `interval_coverage` for "area", "volume" and "ef".
        There is no "volume" without images that show the long axis, and no "ef" if no video has such an end-diastolic
        and end-systolic image.
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

    shown = np.flatnonzero(samples["thickness"].isna() & ~samples["view"].isin(SHORT_AXIS_VIEWS))
    if not len(shown):
        return coverage
    landmarks, covariances, true_landmarks = landmarks[shown], covariances[shown], true_landmarks[shown]
    volumes, true = discs(landmarks), disc_volumes(contours[shown], codec.axes(true_landmarks))
    # image by image: without axes, disc_volumes needs memory for all pairs of points
    single_images = zip(landmarks[:, None], covariances[:, None], strict=True)
    deviations = np.concatenate([calibration.deviations(discs, *image) for image in single_images])
    coverage["volume"] = interval_coverage(volumes - true, deviations)

    samples = samples.iloc[shown].reset_index(drop=True)
    phases = [samples[samples["phase"] == phase].reset_index() for phase in ("ED", "ES")]
    ed, es = pd.merge(*phases, on="video")[["index_x", "index_y"]].to_numpy().T
    if len(ed):
        errors = ejection_fraction(volumes[ed], volumes[es]) - ejection_fraction(true[ed], true[es])
        spread = ejection_fraction_deviations(volumes[ed], volumes[es], (deviations[ed], deviations[es]))
        coverage["ef"] = interval_coverage(errors, spread)
    return coverage
