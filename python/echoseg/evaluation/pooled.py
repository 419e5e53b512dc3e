"""The pooled test of a cross-validation: each image is tested once, by a network that had not seen its patient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from echoseg.evaluation.evaluate import Evaluation, count_reviews, summarise_tables
from echoseg.evaluation.image_table import summarise_images
from echoseg.inference.predictor import Prediction


def pool_evaluations(folds: Sequence[Evaluation]) -> Evaluation:
    """Join the test evaluations of all folds.

    Args:
        folds: The evaluations, of disjoint images of one store.

    Returns:
        One evaluation, with the images in the order of the store. Its summary is computed from all images, with the
        interval over all patients, and has the number of patients and images and the Dice of each fold as "folds". The
        coverage of the intervals of landmarks, areas and volumes is not pooled, since each fold has a calibration of
        its own.
    """
    indices = np.concatenate([fold.indices for fold in folds])
    order = np.argsort(indices)
    images = _joined([fold.images for fold in folds]).iloc[order].reset_index(drop=True)
    true_masks = np.concatenate([fold.true_masks for fold in folds])[order]
    volumes, stacks = _joined([fold.volumes for fold in folds]), _joined([fold.stacks for fold in folds])
    extra: dict[str, Any] = _blanks(folds)
    if "review" in images:
        extra["review"] = count_reviews(images)
    extra |= summarise_tables(images, volumes, stacks)
    extra["folds"] = [{name: fold.summary[name] for name in ("patients", "images", "dice")} for fold in folds]
    summary = {**summarise_images(images, true_masks), "structure": folds[0].summary["structure"], **extra}
    return Evaluation(
        images,
        indices[order],
        true_masks,
        Prediction.join([fold.prediction for fold in folds]).take(order),
        summary,
        volumes,
        stacks,
        seconds={name: sum(fold.seconds[name] for fold in folds) for name in folds[0].seconds},
    )


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else tables[0]


def _blanks(folds: Sequence[Evaluation]) -> dict[str, dict[str, float]]:
    """The entry "blanks" of all folds: see `echoseg.evaluation.evaluate`. Empty without blank slices."""
    none = {"images": 0, "empty_predictions": 0}
    blanks = [{"dice_all": fold.summary["dice"], **none, **fold.summary.get("blanks", {})} for fold in folds]
    counts = {name: sum(int(fold[name]) for fold in blanks) for name in none}
    if not counts["images"]:
        return {}
    slices = [len(fold.images) + blank["images"] for fold, blank in zip(folds, blanks, strict=True)]
    mean = np.average([blank["dice_all"] for blank in blanks], weights=slices)
    return {"blanks": {**counts, "dice_all": float(mean)}}
