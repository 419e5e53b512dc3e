"""Agreement of masks by the distance between their borders."""

from __future__ import annotations

import numpy as np

from echoseg import ops


def surface_distances(
    predicted: np.ndarray, true: np.ndarray, *, spacing: tuple[float, float] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """HD95 and ASSD as ``ops.surface_distances`` defines them, made finite so that they can be averaged.

    Where just one of the masks is empty both distances are the image's diagonal, so that a lost ventricle never
    improves a mean; two empty masks agree and score 0.

    Args:
        predicted, true: (N, H, W) masks of 0 and 1, bool or uint8.
        spacing: (dy, dx), from a pixel to the next one down and the next one to the right, such as in mm; None for
            pixels.

    Returns:
        hd95 (N,) and assd (N,) float64, in the spacing's unit.

    Raises:
        TypeError, ValueError: Masks or a spacing that ``ops.surface_distances`` refuses.
    """
    masks = [m.view(np.uint8) if m.dtype == bool else m for m in (predicted, true)]
    distances = ops.surface_distances(*masks, spacing=spacing)
    dy, dx = (1.0, 1.0) if spacing is None else spacing
    diagonal = np.hypot(predicted.shape[1] * dy, predicted.shape[2] * dx)
    hd95, assd = (np.where(np.isinf(d), diagonal, d) for d in distances)
    return hd95, assd
