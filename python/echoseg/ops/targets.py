"""Training targets: masks, border bands and heatmaps of a batch, drawn in one pass."""

from __future__ import annotations

from typing import Any, NamedTuple

from ._native import AnyArray, kernels


class Targets(NamedTuple):
    """Training targets of a batch.

    Attributes:
        mask: (N, H, W) uint8 of 0 and 1.
        band: (N, H, W) uint8 of 0 and 1.
        heatmaps: (N, K, H, W) float32 in [0, 1], or the dtype passed to ``render_targets``; 0 outside the band.
    """

    mask: Any
    band: Any
    heatmaps: Any


def render_targets(
    contours: AnyArray,
    landmarks: AnyArray,
    size: tuple[int, int],
    *,
    offsets: AnyArray | None = None,
    rule: str = "center",
    kernel_size: int = 3,
    shape: str = "rect",
    iterations: int = 2,
    kind: str = "gaussian",
    sigma: float = 4.0,
    radius: float | None = None,
    dtype: str = "float32",
    out: Targets | None = None,
    previous: AnyArray | None = None,
) -> Targets:
    """Draws masks, their border bands, and heatmaps multiplied by the band, in one pass.

    The result equals ``fill_polygons``, ``border_band`` and ``render_heatmaps`` in sequence. There are no gradients.

    Args:
        contours: (N, P, 2) float32, pixels, or (M, 2) float32 with ``offsets``.
        landmarks: (N, K, 2) float32, pixels.
        size: (height, width) of the targets.
        offsets: (N + 1,) int64, see ``fill_polygons``.
        rule: "center" or "opencv", see ``fill_polygons``.
        kernel_size: Side of the structuring element of the band in pixels, see ``border_band``.
        shape: Shape of the structuring element, see ``border_band``.
        iterations: Number of times that dilation and erosion are each applied.
        kind: Kind of the heatmaps, see ``render_heatmaps``.
        sigma: σ of "gaussian", pixels.
        radius: Largest distance with a non-zero value, pixels, see ``render_heatmaps``.
        dtype: Dtype of the heatmaps, see ``render_heatmaps``. Mask and band are always uint8.
        out: Targets to write to, such as the result of an earlier call.
        previous: (N, K, 2) float32, pixels: the landmarks that ``out.heatmaps`` was drawn from last, under the
            conditions of ``render_heatmaps``. Contours, rule and structuring element may have been different. Mask and
            band are always written completely.

    Returns:
        The arrays of ``out``, or new ones in the framework and on the device of ``contours``.

    Raises:
        TypeError: If an argument has the wrong type or dtype, or arrays of NumPy and torch are mixed.
        ValueError: If one of the single functions would raise it, or the numbers of contours and of sets of landmarks
            differ. On a CUDA device values are not checked: invalid contours and landmarks draw nothing.

    Source:
        See ``border_band`` and ``render_heatmaps``.

    Example:
        >>> import numpy as np
        >>> square = np.array([[[1.5, 1.5], [5.5, 1.5], [5.5, 5.5], [1.5, 5.5]]], np.float32)
        >>> targets = render_targets(square, square[:, :1].copy(), (7, 8), iterations=1, sigma=1.0)
        >>> targets.mask[0, 3]
        array([0, 0, 1, 1, 1, 1, 0, 0], dtype=uint8)
        >>> targets.band[0, 3]
        array([0, 1, 1, 0, 0, 1, 1, 0], dtype=uint8)
        >>> targets.heatmaps[0, 0, 2].round(2)
        array([0.  , 0.78, 0.78, 0.29, 0.04, 0.  , 0.  , 0.  ], dtype=float32)
    """
    mask, band, heatmaps = (None, None, None) if out is None else out
    drawn = kernels(contours).render_targets(
        contours,
        landmarks,
        size,
        offsets,
        rule,
        kernel_size,
        shape,
        iterations,
        kind,
        sigma,
        radius,
        dtype,
        mask,
        band,
        heatmaps,
        previous,
    )
    return Targets(*drawn)
