"""Surface distances between masks."""

from __future__ import annotations

import numpy as np

from echoseg import ops


def surface_distances(
    predicted: np.ndarray, true: np.ndarray, *, spacing: tuple[float, float] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """HD95 and ASSD as in `ops.surface_distances`, but with finite values if one mask is empty, for averages.

    If one of two masks is empty, both distances are the image's diagonal, so that an empty prediction never improves a
    mean. If both are empty, the distances are not applicable.

    Args:
        predicted: (N, H, W) masks of 0 and 1, bool or uint8.
        true: (N, H, W) masks of 0 and 1, bool or uint8.
        spacing: (row, column) length per pixel, for example in mm; None for pixels.

    Returns:
        hd95: (N,) float64, in the unit of the spacing; nan for two empty masks.
        assd: (N,) float64, likewise.

    Raises:
        TypeError: `ops.surface_distances` refuses the type of an argument.
        ValueError: `ops.surface_distances` refuses the value of an argument.
    """
    predicted, true = (m.view(np.uint8) if m.dtype == bool else m for m in (predicted, true))
    hd95, assd = ops.surface_distances(predicted, true, spacing=spacing)
    return _finite(hd95, predicted, true, spacing), _finite(assd, predicted, true, spacing)


def mean_contour_distance(
    predicted: np.ndarray, true: np.ndarray, *, spacing: tuple[float, float] | None = None
) -> np.ndarray:
    """Mean contour distance, also called mean average surface distance (MASD): the mean of the two directed means.

    A directed mean is that of the distances of the border pixels of one mask from the border of the other mask. ASSD is
    the mean over the pixels of both borders together; there, the longer border counts more. Borders and empty masks are
    those of `surface_distances`.

    Source: Bai et al., "Automated cardiovascular magnetic resonance image analysis with fully convolutional networks",
    Journal of Cardiovascular Magnetic Resonance 20, 2018; the name: Maier-Hein et al., "Metrics reloaded:
    recommendations for image analysis validation", Nature Methods 21, 2024.

    Args:
        predicted: (N, H, W) masks of 0 and 1, bool or uint8.
        true: (N, H, W) masks of 0 and 1, bool or uint8.
        spacing: (row, column) length per pixel, for example in mm; None for pixels.

    Returns:
        (N,) float64, in the unit of the spacing; nan for two empty masks.
    """
    borders = [_border(masks > 0) for masks in (predicted, true)]
    means = []
    for border, other in (borders, borders[::-1]):
        distances = ops.distance_transform((~other).view(np.uint8), spacing=spacing)
        total = np.where(border, distances, 0).sum(axis=(1, 2), dtype=np.float64)
        means.append(total / np.maximum(border.sum(axis=(1, 2)), 1))
    return _finite((means[0] + means[1]) / 2, predicted, true, spacing)


def _border(masks: np.ndarray) -> np.ndarray:
    """The pixels of masks, (N, H, W) bool, that have a background pixel or the image's edge among four neighbours."""
    padded = np.pad(masks, ((0, 0), (1, 1), (1, 1)))
    vertical = padded[:, :-2, 1:-1] & padded[:, 2:, 1:-1]
    return masks & ~(vertical & padded[:, 1:-1, :-2] & padded[:, 1:-1, 2:])


def _finite(
    distances: np.ndarray, predicted: np.ndarray, true: np.ndarray, spacing: tuple[float, float] | None
) -> np.ndarray:
    """The distances with the image's diagonal where one mask is empty, and nan where both are."""
    dy, dx = (1.0, 1.0) if spacing is None else spacing
    diagonal = np.hypot(predicted.shape[1] * dy, predicted.shape[2] * dx)
    empty = (~predicted.any(axis=(1, 2))).astype(int) + ~true.any(axis=(1, 2))
    return np.select([empty == 2, empty == 1], [np.nan, diagonal], distances)
