"""How steady the contours of a cine are from frame to frame."""

from __future__ import annotations

import numpy as np

from echoseg.metrics.overlap import dice


def steadiness(masks: np.ndarray, areas: np.ndarray, axes: np.ndarray | None, ed: np.ndarray) -> dict[str, float]:
    """Measure the steadiness of the contours of a cine.

    The jitter is the noise of a curve over time, estimated from its second differences: for independent noise of
    variance σ² they have the variance 6 σ², and the heart's own motion hardly contributes, because it is slow compared
    with the frame rate.

    Source: Gasser, Sroka and Jennen-Steinmetz, "Residual variance and residual pattern in nonlinear regression",
    Biometrika 73, 1986.

    Args:
        masks: (T, H, W) uint8, 0 or 1.
        areas: (T,) int, their areas in pixels.
        axes: (T, 2, 2) float, pixels: the apex and the middle of the base; None if they are unknown.
        ed: (B,) int, the end-diastolic frame of each beat.

    Returns:
        Values by name, nan where there are too few frames or beats, or no axes:

        - `neighbour_dice`: the smallest Dice of two consecutive masks, 1 if both are empty.
        - `area_jitter_percent`: the jitter of the area, relative to the mean area.
        - `base_jitter_px`: the jitter of the middle of the base.
        - `base_drift_px`: the root mean square distance of the middle of the base at the end-diastoles from its mean.
    """
    base = np.full((len(masks), 2), np.nan) if axes is None else axes[:, 1]
    at_ed = base[ed] if len(ed) > 1 else np.full((1, 2), np.nan)
    mean_area = areas.mean() if len(areas) and areas.any() else np.nan
    return {
        "neighbour_dice": float(dice(masks[1:], masks[:-1], both_empty=1).min()) if len(masks) > 1 else np.nan,
        "area_jitter_percent": 100 * _jitter(areas[:, None].astype(np.float64)) / mean_area,
        "base_jitter_px": _jitter(base),
        "base_drift_px": float(np.sqrt(((at_ed - at_ed.mean(axis=0)) ** 2).sum(axis=1).mean())),
    }


def _jitter(curve: np.ndarray) -> float:
    """The root mean square length of the noise of a curve (T, D)."""
    differences = np.diff(curve, n=2, axis=0)
    return float(np.sqrt((differences**2).sum(axis=1).mean() / 6)) if len(differences) else np.nan
