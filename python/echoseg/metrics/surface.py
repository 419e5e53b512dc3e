"""Surface distances between masks."""

from __future__ import annotations

import numpy as np

from echoseg import ops


def surface_distances(
    predicted: np.ndarray, true: np.ndarray, *, spacing: tuple[float, float] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """HD95 and ASSD as in `ops.surface_distances`, with finite values for empty masks so that they can be averaged.

    If one of two masks is empty, both distances are the image's diagonal, so that an empty prediction never improves a
    mean. If both are empty, the distances are 0.

    Args:
        predicted: (N, H, W) masks of 0 and 1, bool or uint8.
        true: (N, H, W) masks of 0 and 1, bool or uint8.
        spacing: (row, column) length per pixel, for example in mm; None for pixels.

    Returns:
        hd95: (N,) float64, in the unit of the spacing.
        assd: (N,) float64, in the unit of the spacing.

    Raises:
        TypeError: `ops.surface_distances` refuses the type of an argument.
        ValueError: `ops.surface_distances` refuses the value of an argument.
    """
    masks = [m.view(np.uint8) if m.dtype == bool else m for m in (predicted, true)]
    distances = ops.surface_distances(*masks, spacing=spacing)
    dy, dx = (1.0, 1.0) if spacing is None else spacing
    diagonal = np.hypot(predicted.shape[1] * dy, predicted.shape[2] * dx)
    hd95, assd = (np.where(np.isinf(d), diagonal, d) for d in distances)
    return hd95, assd
