"""Evaluated slices put together again: volumes of stacks in ml, and ejection fractions of patients."""

from __future__ import annotations

import numpy as np
import pandas as pd

from echoseg.metrics.volumes import MM3_PER_ML, slice_volumes

_VOLUMES = ("volume_ml", "true_volume_ml")


def measure_stacks(images: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Sum up the slices of each stack. Only slices with a tracing are there, so both volumes are of these.

    Args:
        images: of an ``Evaluation``.
        samples: the same images' rows of the store; those without spacing or thickness are no slices of a stack.

    Returns:
        A row a stack: patient, video, phase, slices, dice (mean of the slices), volume_dice, volume_ml and
        true_volume_ml, and ef and true_ef (percent) of patients with one stack at ED and one at ES, nan for others.
    """
    spacing, thickness = samples[["spacing_y", "spacing_x"]].to_numpy().T, samples["thickness"].to_numpy()
    both = images["area_px"] + images["true_area_px"]
    slices = images[["patient", "video", "phase", "dice"]].assign(
        slices=1,
        volume_ml=slice_volumes(images["area_px"], spacing, thickness) / MM3_PER_ML,
        true_volume_ml=slice_volumes(images["true_area_px"], spacing, thickness) / MM3_PER_ML,
        volume_dice=images["dice"] * both,
        both=both,
    )[np.isfinite(spacing).all(axis=0) & np.isfinite(thickness)]
    groups = slices.groupby(["patient", "video", "phase"], as_index=False)
    table = groups.agg({"slices": "sum", "dice": "mean", **dict.fromkeys(("volume_dice", "both", *_VOLUMES), "sum")})
    table["volume_dice"] /= table.pop("both")
    table[["ef", "true_ef"]] = _ejection_fractions(table).reindex(table["patient"]).to_numpy()
    return table


def _ejection_fractions(table: pd.DataFrame) -> pd.DataFrame:
    """ef and true_ef by patient."""
    phases = [table[table["phase"] == phase].drop_duplicates("patient", keep=False) for phase in ("ED", "ES")]
    end_diastole, end_systole = (phase.set_index("patient")[list(_VOLUMES)] for phase in phases)
    return (100 * (1 - end_systole / end_diastole.where(end_diastole > 0))).set_axis(["ef", "true_ef"], axis=1)


def summarise_stacks(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """The entry ``stacks`` of ``metrics.json``: means over stacks, by phase, and over patients with both.

    Args:
        table: of ``measure_stacks``.

    Returns:
        By phase ("any" where it is unknown) the number of stacks, volume_dice, volume_ml, true_volume_ml, and the mean
        and mean absolute difference of the two, bias_ml and mae_ml; as "ef" the number of patients and likewise ef,
        true_ef, bias and mae, percentage points, where a patient has both phases.
    """
    summary: dict[str, dict[str, float]] = {}
    for phase, stacks in table.groupby("phase"):
        means = {name: float(stacks[name].mean()) for name in ("volume_dice", *_VOLUMES)}
        off = stacks["volume_ml"] - stacks["true_volume_ml"]
        errors = {"bias_ml": float(off.mean()), "mae_ml": float(off.abs().mean())}
        summary[str(phase) or "any"] = {"stacks": len(stacks), **means, **errors}
    patients = table.dropna(subset=["ef", "true_ef"]).drop_duplicates("patient")
    if len(patients):
        means = {name: float(patients[name].mean()) for name in ("ef", "true_ef")}
        off = patients["ef"] - patients["true_ef"]
        summary["ef"] = {"patients": len(patients), **means, "bias": float(off.mean()), "mae": float(off.abs().mean())}
    return summary
