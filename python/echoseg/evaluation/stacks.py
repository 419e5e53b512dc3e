"""Volumes of stacks in ml and ejection fractions of patients, computed from evaluated slices."""

from __future__ import annotations

import numpy as np
import pandas as pd

from echoseg.metrics.volumes import MM3_PER_ML, slice_volumes

_VOLUMES = ("volume_ml", "true_volume_ml")


def measure_stacks(images: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Compute the predicted and true volume of each stack, over the slices that have a tracing.

    Args:
        images: The table of images of an `Evaluation`.
        samples: The rows of the store for the same images. Images without spacing or thickness are left out.

    Returns:
        A table with a row per stack: patient, video, phase, slices, dice, the mean over the slices, volume_dice,
        volume_ml, true_volume_ml, ef and true_ef. EF is in percent, and nan for patients who do not have exactly one
        stack at ED and one at ES.
    """
    spacing, thickness = samples[["spacing_y", "spacing_x"]].to_numpy().T, samples["thickness"].to_numpy()
    area_sum = images["area_px"] + images["true_area_px"]
    slices = images[["patient", "video", "phase", "dice"]].assign(
        slices=1,
        volume_ml=slice_volumes(images["area_px"], spacing, thickness) / MM3_PER_ML,
        true_volume_ml=slice_volumes(images["true_area_px"], spacing, thickness) / MM3_PER_ML,
        volume_dice=images["dice"] * area_sum,
        area_sum=area_sum,
    )[np.isfinite(spacing).all(axis=0) & np.isfinite(thickness)]
    groups = slices.groupby(["patient", "video", "phase"], as_index=False)
    table = groups.agg(
        {"slices": "sum", "dice": "mean", **dict.fromkeys(("volume_dice", "area_sum", *_VOLUMES), "sum")}
    )
    table["volume_dice"] /= table.pop("area_sum")
    table[["ef", "true_ef"]] = _ejection_fractions(table).reindex(table["patient"]).to_numpy()
    return table


def _ejection_fractions(table: pd.DataFrame) -> pd.DataFrame:
    """The columns ef and true_ef, indexed by patient."""
    phases = [table[table["phase"] == phase].drop_duplicates("patient", keep=False) for phase in ("ED", "ES")]
    end_diastole, end_systole = (phase.set_index("patient")[list(_VOLUMES)] for phase in phases)
    return (100 * (1 - end_systole / end_diastole.where(end_diastole > 0))).set_axis(["ef", "true_ef"], axis=1)


def summarise_stacks(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Compute the entry `stacks` of `metrics.json`: means over stacks by phase, and over patients with both phases.

    Args:
        table: The result of `measure_stacks`.

    Returns:
        For each phase, or "any" if it is unknown: the number of stacks, and the means of volume_dice, volume_ml,
        true_volume_ml, of the error, bias_ml, and of the absolute error, mae_ml. For "ef", if there are patients with
        both phases: the number of patients, and the means ef and true_ef, percent, and bias and mae, percentage points.
    """
    summary: dict[str, dict[str, float]] = {}
    for phase, stacks in table.groupby("phase"):
        means = {name: float(stacks[name].mean()) for name in ("volume_dice", *_VOLUMES)}
        errors = stacks["volume_ml"] - stacks["true_volume_ml"]
        error_means = {"bias_ml": float(errors.mean()), "mae_ml": float(errors.abs().mean())}
        summary[str(phase) or "any"] = {"stacks": len(stacks), **means, **error_means}
    patients = table.dropna(subset=["ef", "true_ef"]).drop_duplicates("patient")
    if len(patients):
        means = {name: float(patients[name].mean()) for name in ("ef", "true_ef")}
        errors = patients["ef"] - patients["true_ef"]
        error_means = {"bias": float(errors.mean()), "mae": float(errors.abs().mean())}
        summary["ef"] = {"patients": len(patients), **means, **error_means}
    return summary
