"""The table of images of an evaluation, and its summary: means, medians and their intervals over patients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from echoseg import ops
from echoseg.inference.predictor import Prediction
from echoseg.metrics.bootstrap import FEW_PATIENTS, few_patients_note, mean_interval, median_interval
from echoseg.metrics.overlap import POOR_DICE, area_similarity, dice, dice_all_pixels, iou
from echoseg.metrics.surface import mean_contour_distance, surface_distances

TOLERANCES = {"px": (1, 2), "mm": (2,)}
"""Tolerances of the normalised surface Dice by unit: one and two pixels of the network, and 2 mm."""
DISTANCES = {
    unit: [f"{name}_{unit}" for name in ("hd95", "assd", "masd")] + [f"nsd_{tolerance}{unit}" for tolerance in of_unit]
    for unit, of_unit in TOLERANCES.items()
}
"""Columns of the distances between contours, by unit."""
MEASURES = (
    *("dice", "dice_all_pixels", "iou", "area_similarity"),
    *DISTANCES["px"],
    *DISTANCES["mm"],
    "landmark_error_px",
)
"""Columns of the table of images that are averaged."""
FAILURE_HD95_PX = 10.0
"""Images with a larger HD95 are failures, as are those with a Dice below `POOR_DICE`."""


def measure_images(
    prediction: Prediction, true_masks: np.ndarray, samples: pd.DataFrame, *, both_empty: float = math.nan
) -> pd.DataFrame:
    """Compare predicted with true masks.

    One empty mask gives a Dice of 0, an NSD of 0 and distances of the image's diagonal. For two empty masks, measures
    are not applicable, nan.

    Args:
        prediction: The prediction for N images.
        true_masks: (N, H, W) uint8, 0 or 1.
        samples: Their rows of the store's table of samples.
        both_empty: The Dice and IoU of two empty masks.

    Returns:
        A table with a row per image: video, frame, patient, phase, view; quality, sex and age where they are known;
        the `MEASURES` but for the last; area_px and true_area_px; and failure, 1 if the image is one. Distances in mm
        are nan where the spacing is unknown, and left out if it is unknown everywhere.
    """
    described = [name for name in ("quality", "sex", "age") if name in samples and _is_known(samples[name])]
    images = samples[["video", "frame", "patient", "phase", "view", *described]].reset_index(drop=True)
    masks = prediction.masks
    images["dice"] = dice(masks, true_masks, both_empty=both_empty)
    images["dice_all_pixels"] = dice_all_pixels(masks, true_masks)
    images["iou"] = iou(masks, true_masks, both_empty=both_empty)
    images["area_similarity"] = area_similarity(masks, true_masks)
    images[DISTANCES["px"]] = _distances(masks, true_masks, "px", None)
    spacings = samples[["spacing_y", "spacing_x"]].to_numpy(np.float64)
    for spacing in np.unique(spacings[np.isfinite(spacings).all(axis=1)], axis=0):
        rows = np.flatnonzero((spacings == spacing).all(axis=1))
        distances = _distances(masks[rows], true_masks[rows], "mm", (float(spacing[0]), float(spacing[1])))
        images.loc[rows, DISTANCES["mm"]] = distances
    images["area_px"], images["true_area_px"] = prediction.areas, true_masks.sum(axis=(1, 2), dtype=np.int64)
    failure = (images["dice"] < POOR_DICE) | (images["hd95_px"] > FAILURE_HD95_PX)
    return images.assign(failure=failure.astype(int))


def _is_known(column: pd.Series) -> bool:
    """Whether any value is known."""
    return bool((column.notna() & (column != "")).any())


def _distances(predicted: np.ndarray, true: np.ndarray, unit: str, spacing: tuple[float, float] | None) -> np.ndarray:
    """The columns `DISTANCES` of a unit, (N, K) float64."""
    hd95, assd = surface_distances(predicted, true, spacing=spacing)
    masd = mean_contour_distance(predicted, true, spacing=spacing)
    nsd = [
        ops.normalized_surface_dice(predicted, true, tolerance=tolerance, spacing=spacing)
        for tolerance in TOLERANCES[unit]
    ]
    return np.stack([hd95, assd, masd, *nsd], axis=1)


def summarise_images(images: pd.DataFrame, true_masks: np.ndarray, *, both_empty: float = math.nan) -> dict[str, Any]:
    """Compute the part of the split's entry of `metrics.json` that follows from the table of images.

    Args:
        images: The result of `measure_images`, with or without landmark errors.
        true_masks: (N, H, W) uint8, 0 or 1.
        both_empty: The Dice of two empty masks.

    Returns:
        The numbers of images and patients; the mean of each of the `MEASURES` and its 95 % interval, `ci95`, and the
        median and its interval, `median` and `median_ci95`, by name of the measure; the numbers of images with an empty
        prediction of a ventricle, with one and with two empty masks, with distances in mm, and of failures; the scores
        of empty masks; and `note`, if there are few patients.
    """
    known = [name for name in MEASURES if name in images]
    patients = images["patient"].to_numpy()
    means = {name: float(images[name].mean()) for name in known}
    intervals = {name: list(mean_interval(images[name].to_numpy(), patients)) for name in known}
    empty = (images["area_px"] == 0).astype(int) + (images["true_area_px"] == 0)
    black, count = np.zeros_like(true_masks), int(images["patient"].nunique())
    summary = {
        "images": len(images),
        "patients": count,
        **means,
        "dice_ci95": intervals["dice"],
        "empty_predictions": int(((images["area_px"] == 0) & (images["true_area_px"] > 0)).sum()),
        "one_empty": int((empty == 1).sum()),
        "both_empty": int((empty == 2).sum()),
        "all_black": {
            "dice": float(np.nanmean(dice(black, true_masks, both_empty=both_empty))),
            "dice_all_pixels": float(dice_all_pixels(black, true_masks).mean()),
        },
        "ci95": intervals,
        "median": {name: float(images[name].median()) for name in known},
        "median_ci95": {name: list(median_interval(images[name].to_numpy(), patients)) for name in known},
        "failures": {
            "images": int(images["failure"].sum()),
            "dice": int((images["dice"] < POOR_DICE).sum()),
            "hd95_px": int((images["hd95_px"] > FAILURE_HD95_PX).sum()),
        },
    }
    if "hd95_mm" in images:
        summary["images_mm"] = int(images["hd95_mm"].notna().sum())
    if count < FEW_PATIENTS:
        summary["note"] = few_patients_note(count)
    return summary
