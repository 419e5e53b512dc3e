"""What a run knows of its own errors and of the shapes that it was trained on; and whether that holds on a split."""

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
    """Write ``calibration.json``, from the validation split, and ``shape.json``, from the training split.

    Neither in the mask approach; no calibration without a validation split: errors on training images say nothing.

    Args:
        run: folder of a finished run.
        store: that it was trained on.
        device: where to predict.
        network: the function that made the network, where the training was given one.

    Raises:
        DataError: not a run, a damaged file, or no such device.
    """
    config, model, codec = load_run(run, network)
    splits = config.splits(store.samples)
    true = codec.landmarks(store)
    if true is None:
        return
    replace_file(run / SHAPES, fit_shapes(true[splits == "train"]).save)
    validation = np.flatnonzero(splits == "val")
    if not len(validation):
        return
    plain = Calibration(spread=0.0, scale=1.0, floor=0.0, error_correlation=np.eye(2 * codec.channels))
    predictor = Predictor(config, model, codec, choose_device(device), calibration=plain)
    prediction = predictor(store.frames[validation])
    assert prediction.landmarks is not None
    assert prediction.covariances is not None  # the moments, as they are
    calibration = fit_calibration(prediction.landmarks - true[validation], prediction.covariances, config.sigma**2)
    replace_file(run / CALIBRATION, calibration.save)


def check_calibration(
    predictor: Predictor,
    prediction: Prediction,
    true_landmarks: np.ndarray,
    contours: np.ndarray,
    images: pd.DataFrame,
) -> dict[str, dict[str, float]]:
    """How often the truth lies where it should, for landmarks, areas, volumes (of discs) and, by video, EF.

    Args:
        predictor: calibrated.
        prediction: of N images, with covariances.
        true_landmarks: (N, K, 2) float, pixels.
        contours: (N, P, 2) float, pixels, the true outlines.
        images: N rows with video and phase.

    Returns:
        by what is measured, the shares of ``ellipse_coverage`` or ``interval_coverage``; "ef" only where a video has an
        end-diastolic and an end-systolic image.
    """
    calibration, codec = predictor.calibration, predictor.codec
    landmarks, covariances = prediction.landmarks, prediction.covariances
    assert calibration is not None
    assert landmarks is not None
    assert covariances is not None
    assert prediction.area_std is not None
    shares = {"landmarks": ellipse_coverage(landmarks - true_landmarks, covariances)}
    areas, true_areas = contour_area(codec.join(landmarks)), contour_area(contours)
    shares["area"] = interval_coverage(areas - true_areas, prediction.area_std)

    def discs(landmarks: np.ndarray) -> np.ndarray:
        return disc_volumes(codec.join(landmarks), codec.axes(landmarks))

    volumes, true = discs(landmarks), disc_volumes(contours, codec.axes(true_landmarks))
    # image by image: without axes disc_volumes looks at all pairs of points, which of many images take much memory
    each = zip(landmarks[:, None], covariances[:, None], strict=True)
    deviations = np.concatenate([calibration.deviations(discs, *image) for image in each])
    shares["volume"] = interval_coverage(volumes - true, deviations)

    phases = [images[images["phase"] == phase].reset_index() for phase in ("ED", "ES")]
    ed, es = pd.merge(*phases, on="video")[["index_x", "index_y"]].to_numpy().T
    if len(ed):
        errors = ejection_fraction(volumes[ed], volumes[es]) - ejection_fraction(true[ed], true[es])
        spread = ejection_fraction_deviations(volumes[ed], volumes[es], (deviations[ed], deviations[es]))
        shares["ef"] = interval_coverage(errors, spread)
    return shares
