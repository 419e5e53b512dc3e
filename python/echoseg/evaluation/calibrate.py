"""Calibrate the uncertainty of a run, describe its training data, and measure the coverage of its intervals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from echoseg.datasets.store import Store
from echoseg.evaluation.ejection import reference_ef, single_view_volumes
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
    config, model, codec = load_run(run, network)
    splits = config.splits(store.samples)
    training, validation = np.flatnonzero(splits == "train"), np.flatnonzero(splits == "val")
    domain = fit_image_domain(store.frames[training], store.samples["patient"].to_numpy()[training])
    if domain is not None:
        replace_file(run / IMAGE_DOMAIN, domain.save)
    true = codec.landmarks(store)
    if true is not None:
        traced = ~store.blank  # the other images have no landmarks
        replace_file(run / SHAPES, fit_shapes(true[training[traced[training]]]).save)
        traced_validation = validation[traced[validation]]
        if len(traced_validation):
            identity = Calibration(spread=0.0, scale=1.0, floor=0.0, error_correlation=np.eye(2 * codec.channels))
            predictor = Predictor(config, model, codec, choose_device(device), calibration=identity)
            prediction = predictor(store.frames[traced_validation])
            assert prediction.landmarks is not None
            assert prediction.covariances is not None  # with the identity, the moments of the heatmaps
            errors = prediction.landmarks - true[traced_validation]
            replace_file(run / CALIBRATION, fit_calibration(errors, prediction.covariances, config.sigma**2).save)
    if len(validation):
        _calibrate_ef(load(run, device=device, network=network), store, validation, run / EF_INTERVALS)


def _calibrate_ef(predictor: Predictor, store: Store, validation: np.ndarray, path: Path) -> None:
    """Write the intervals of the EF, and warn if there are too few videos for them; none without any video."""
    pairs = single_view_volumes(store, validation, predictor(store.frames[validation]))
    pairs = pairs[pairs["ef"].notna() & reference_ef(pairs).notna()]
    deviations = pairs["ef_std"].to_numpy()
    intervals = fit_ef_intervals(
        pairs["ef"].to_numpy(), reference_ef(pairs).to_numpy(), deviations if np.isfinite(deviations).all() else None
    )
    if intervals is not None:
        replace_file(path, intervals.save)
    elif len(pairs):
        logger.warning(
            "no intervals of the EF: they need %d validation videos with ED and ES, and there are %d",
            MIN_PAIRS,
            len(pairs),
        )


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
