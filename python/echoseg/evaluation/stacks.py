"""Volumes of stacks in ml and ejection fractions of examinations.

The volume of a stack is the sum over all its slices, blank ones included, of the area in pixels of the original slice.
`echoseg predict` computes the same volume from the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from echoseg.datasets.patients import examination
from echoseg.datasets.store import Store
from echoseg.evaluation.ejection import UNKNOWN_PAIR, warn_of_missing_ef
from echoseg.inference.postprocess import postprocess
from echoseg.inference.predictor import Predictor
from echoseg.metrics.bootstrap import mean_interval
from echoseg.metrics.overlap import dice
from echoseg.metrics.volumes import MM3_PER_ML, slice_volumes
from echoseg.models.codec import fill_contours

_MEASURES = ("area_px", "true_area_px", "dice")
_VOLUMES = ("volume_ml", "true_volume_ml")


def predict_stacks(predictor: Predictor, store: Store, indices: np.ndarray, steps: Sequence[str] = ()) -> pd.DataFrame:
    """Predict whole stacks in the pixels of their original slices.

    Args:
        predictor: The predictor of a run.
        store: A store of any data set.
        indices: (N,) int, indices of images in the store. Stacks of which the store has more slices, and images without
            spacing or thickness, are left out.
        steps: Post-processing steps; see `echoseg.inference.postprocess`.

    Returns:
        A table with a row per slice: patient, video, phase, spacing_y and spacing_x, of the original slice; thickness,
        area_px, true_area_px and dice.
    """
    samples = store.samples.reset_index(drop=True)
    slices_of = samples["video"].value_counts()
    chosen = samples.iloc[indices]
    chosen = chosen[chosen[["spacing_y", "spacing_x", "thickness"]].notna().all(axis=1)]
    columns = ["patient", "video", "phase", "spacing_y", "spacing_x", "thickness"]
    tables = []
    for video, slices in chosen.groupby("video", sort=False):
        if len(slices) < slices_of[video]:
            continue
        first = slices.index[0]
        crop, size = store.crop(first), (int(samples["height"][first]), int(samples["width"][first]))
        prediction = predictor.segment_cropped(store.frames[slices.index], crop, size)
        prediction = postprocess(prediction, steps, predictor.codec)
        true = fill_contours([crop.points_in_frame(store.contour(i)) for i in slices.index], size)
        measures = {
            "spacing_y": slices["spacing_y"] * crop.scale[1],
            "spacing_x": slices["spacing_x"] * crop.scale[0],
            "area_px": prediction.areas,
            "true_area_px": true.sum(axis=(1, 2), dtype=np.int64),
            "dice": dice(prediction.masks, true),
        }
        tables.append(slices[columns].assign(**measures))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*columns, *_MEASURES])


def measure_stacks(images: pd.DataFrame) -> pd.DataFrame:
    """Compute the predicted and true volume of each stack.

    Args:
        images: The result of `predict_stacks`.

    Returns:
        A table with a row per stack: patient, video, phase, slices, dice, the mean over the slices that show the
        ventricle in prediction or truth, volume_dice, volume_ml, true_volume_ml, ef and true_ef. EF is in percent, and
        nan for examinations that do not have exactly one stack at ED and one at ES.
    """
    spacing = images["spacing_y"], images["spacing_x"]
    area_sum = images["area_px"] + images["true_area_px"]
    slices = images[["patient", "video", "phase"]].assign(
        slices=1,
        dice=images["dice"],
        volume_ml=slice_volumes(images["area_px"], spacing, images["thickness"]) / MM3_PER_ML,
        true_volume_ml=slice_volumes(images["true_area_px"], spacing, images["thickness"]) / MM3_PER_ML,
        volume_dice=images["dice"] * area_sum,
        area_sum=area_sum,
    )
    groups = slices.groupby(["patient", "video", "phase"], as_index=False)
    table = groups.agg(
        {"slices": "sum", "dice": "mean", **dict.fromkeys(("volume_dice", "area_sum", *_VOLUMES), "sum")}
    )
    table["volume_dice"] /= table.pop("area_sum")
    examinations = pd.Series(_examinations(table), table.index, dtype=str)
    fractions = _ejection_fractions(table.assign(examination=examinations))
    table[["ef", "true_ef"]] = fractions.reindex(examinations).to_numpy()
    phased = table[table["phase"].isin(["ED", "ES"])].assign(examination=examinations)
    paired = set(table["patient"][examinations.isin(fractions.index)])
    several = _with_both_phases(phased, "examination") - set(fractions.index)
    warn_of_missing_ef(several | (_with_both_phases(phased, "patient") - paired), UNKNOWN_PAIR)
    return table


def _with_both_phases(stacks: pd.DataFrame, name: str) -> set[str]:
    phases = stacks.groupby(name)["phase"].nunique()
    return set(phases.index[phases == 2])


def _examinations(table: pd.DataFrame) -> list[str]:
    return [examination(*names) for names in zip(table["patient"], table["video"], strict=True)]


def _ejection_fractions(table: pd.DataFrame) -> pd.DataFrame:
    """The columns ef and true_ef, indexed by those examinations with one stack at ED and one at ES."""
    phases = [table[table["phase"] == phase].drop_duplicates("examination", keep=False) for phase in ("ED", "ES")]
    end_diastole, end_systole = (phase.set_index("examination")[list(_VOLUMES)] for phase in phases)
    both = end_diastole.index.intersection(end_systole.index)
    end_diastole, end_systole = end_diastole.loc[both], end_systole.loc[both]
    return (100 * (1 - end_systole / end_diastole.where(end_diastole > 0))).set_axis(["ef", "true_ef"], axis=1)


def summarise_stacks(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Compute the entry `stacks` of `metrics.json`: means over stacks by phase, and over patients with both phases.

    Args:
        table: The result of `measure_stacks`.

    Returns:
        For each phase, or "any" if it is unknown: the number of stacks, and the means of volume_dice, volume_ml,
        true_volume_ml, of the error, bias_ml, of the absolute error, mae_ml, and of volume_similarity, 1 minus the
        absolute error divided by the sum of both volumes. For "ef", if there are examinations with both phases: the
        number of their patients, and the means ef and true_ef, percent, and bias and mae, percentage points. `ci95`
        holds the 95 % interval of each mean over patients.
    """
    summary: dict[str, dict[str, Any]] = {}
    for phase, stacks in table.groupby("phase"):
        errors = stacks["volume_ml"] - stacks["true_volume_ml"]
        total = stacks["volume_ml"] + stacks["true_volume_ml"]
        similarity = 1 - errors.abs() / total.where(total > 0)
        values = {name: stacks[name] for name in ("volume_dice", *_VOLUMES)}
        values |= {"bias_ml": errors, "mae_ml": errors.abs(), "volume_similarity": similarity}
        summary[str(phase) or "any"] = {"stacks": len(stacks), **_means(values, stacks["patient"])}
    pairs = table[~pd.Series(_examinations(table), index=table.index).duplicated()].dropna(subset=["ef", "true_ef"])
    if len(pairs):
        errors = pairs["ef"] - pairs["true_ef"]
        values = {"ef": pairs["ef"], "true_ef": pairs["true_ef"], "bias": errors, "mae": errors.abs()}
        summary["ef"] = {"patients": pairs["patient"].nunique(), **_means(values, pairs["patient"])}
    return summary


def _means(values: dict[str, pd.Series], patients: pd.Series) -> dict[str, Any]:
    """The means by name, and their intervals over patients as `ci95`."""
    known = {name: column for name, column in values.items() if column.notna().any()}
    intervals = {name: list(mean_interval(column.to_numpy(), patients.to_numpy())) for name, column in known.items()}
    return {**{name: float(column.mean()) for name, column in values.items()}, "ci95": intervals}
