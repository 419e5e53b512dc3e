"""Heatmaps, one for each landmark."""

from __future__ import annotations

from ._native import AnyArray, Array, kernels


def render_heatmaps(
    landmarks: Array,
    size: tuple[int, int],
    *,
    kind: str = "gaussian",
    sigma: float = 4.0,
    radius: float | None = None,
    band: AnyArray | None = None,
    dtype: str = "float32",
    out: AnyArray | None = None,
    previous: AnyArray | None = None,
) -> Array:
    """Draws one heatmap per landmark.

    Values are within 1e-6 of the formula before they are rounded to a narrower dtype, and values below 2e-19 may be 0.
    All instruction sets give the same bits. There are no gradients.

    Args:
        landmarks: (N, K, 2) float32, pixels.
        size: (height, width) of the heatmaps.
        kind: "gaussian" for exp(-d² / 2σ²) or "euclidean" for max(0, 1 - d / radius), where d is the distance from the
            landmark in pixels.
        sigma: σ of "gaussian", pixels.
        radius: Largest distance with a non-zero value, pixels. None for no limit, which "euclidean" does not support.
        band: (N, height, width) uint8. Heatmaps are 0 where the band of their image is 0.
        dtype: "float32", "bfloat16" (torch only), "float16", or "uint8", which is round(255 * value). All of them round
            to nearest, ties to even.
        out: (N, K, height, width) array of ``dtype`` to write to. Allocating a new array can take longer than drawing.
        previous: (N, K, 2) float32, pixels: the landmarks that ``out`` was drawn from last. Only the pixels of their
            heatmaps are then cleared instead of all of ``out``, which is faster if heatmaps are small compared with the
            image. ``out`` must be zero except for what one call with these landmarks and the same size, kind, sigma,
            radius and dtype drew (the band does not matter); a landmark far outside the image stands for a plane of
            zeros. The result is then the same as without ``previous``. If this does not hold, because ``out`` was
            changed or was drawn from other landmarks or options, pixels outside the reach of both sets of landmarks
            keep their old values.

    Returns:
        ``out``, or a new (N, K, height, width) array of ``dtype`` with values in [0, 1] ([0, 255] for "uint8"), in the
        framework and on the device of ``landmarks``.

    Raises:
        TypeError: If an argument has the wrong type or dtype, or arrays of NumPy and torch are mixed.
        ValueError: If a coordinate is not finite or exceeds 2**20 pixels, an array is not contiguous or has the wrong
            shape, the kind or dtype is unknown, "bfloat16" is requested for NumPy arrays, sigma or radius is out of
            range, or ``previous`` is given without ``out``. On a CUDA device values are not checked: an invalid
            landmark draws nothing.

    Source:
        Rodríguez Valencia et al., "Left Ventricle Automatic Segmentation with Deep Learning on the EchoNet Dynamic
        Dataset", where ``radius`` is called pixel expansion.

    Example:
        >>> import numpy as np
        >>> landmarks = np.array([[[2.0, 0.0]]], np.float32)
        >>> render_heatmaps(landmarks, (1, 5), sigma=1.0).round(2)
        array([[[[0.14, 0.61, 1.  , 0.61, 0.14]]]], dtype=float32)
        >>> render_heatmaps(landmarks, (1, 5), kind="euclidean", radius=2.0)
        array([[[[0. , 0.5, 1. , 0.5, 0. ]]]], dtype=float32)
    """
    return kernels(landmarks).render_heatmaps(landmarks, size, kind, sigma, radius, band, dtype, out, previous)
