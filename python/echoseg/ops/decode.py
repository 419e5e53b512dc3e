"""Points decoded from heatmaps."""

from __future__ import annotations

from ._native import AnyArray, Array, kernels


def decode_heatmaps(
    heatmaps: Array, *, method: str = "argmax", window: float = 5.0, out: tuple[AnyArray, AnyArray] | None = None
) -> tuple[Array, Array]:
    """Finds one point per heatmap.

    All methods start at the pixel of the maximum, the first in row-major order. They return that pixel if its value is
    not finite or if the method has no result. NaN counts as the maximum, as in NumPy and torch, so a diverged network
    is visible in the confidence. Scaling a heatmap does not change the point. On rendered Gaussians with sigmas from
    1.5 to 4 pixels, the error of "argmax" is up to 0.7 pixels, and the error of the other methods is below 0.01 pixels
    away from the edge of the image. There are no gradients.

    Args:
        heatmaps: (N, K, H, W) float32: heatmaps or probabilities, not logits.
        method: How the point is computed.

            - "argmax": the pixel of the maximum.
            - "soft_argmax": the centroid of the positive values in a window. A window around a pixel biases the
              centroid towards that pixel, so the window is moved to its centroid until both agree. Near the edge of the
              image the window is shortened by the same amount on both sides.
            - "dark": the vertex of the parabola fitted to the logarithms of the values around the maximum, which is
              exact for a Gaussian. The result is the pixel of the maximum if it is less than two pixels from the edge,
              if a value around it is not positive (for example in a heatmap limited to a narrow band), or if the vertex
              is more than one pixel away.
        window: Half width of the window of "soft_argmax", pixels. Larger windows include more noise around small peaks,
            smaller ones miss parts of large peaks; the best value is about two sigmas. With noise of 2 % of the maximum
            and sigmas from 1.5 to 4 pixels, the median error is 0.02 to 0.04 pixels for the default, 0.03 to 0.17
            pixels for a window of 12 pixels, and 0.05 to 0.29 pixels for "dark", which reads 13 pixels without
            smoothing.
        out: Tuple (points, confidence) of arrays to write to.

    Returns:
        points (N, K, 2) float32, pixels, and confidence (N, K) float32, the value at the pixel of the maximum, both in
        the framework and on the device of ``heatmaps``.

    Raises:
        TypeError: If an argument has the wrong type or dtype, or arrays of NumPy and torch are mixed.
        ValueError: If an array is not contiguous or has the wrong shape, the method is unknown, or the window is out of
            range.

    Source:
        "soft_argmax": mean shift, Cheng, "Mean shift, mode seeking, and clustering", IEEE PAMI 1995. "dark": Zhang et
        al., "Distribution-aware coordinate representation for human pose estimation", CVPR 2020, without its smoothing.

    Example:
        >>> import numpy as np
        >>> from echoseg.ops import render_heatmaps
        >>> heatmaps = render_heatmaps(np.array([[[10.25, 8.5]]], np.float32), (16, 20), sigma=2.0)
        >>> points, confidence = decode_heatmaps(heatmaps)
        >>> points
        array([[[10.,  8.]]], dtype=float32)
        >>> confidence.round(2)
        array([[0.96]], dtype=float32)
        >>> decode_heatmaps(heatmaps, method="dark")[0].round(2)
        array([[[10.25,  8.5 ]]], dtype=float32)
    """
    points, confidence = (None, None) if out is None else out
    return kernels(heatmaps).decode_heatmaps(heatmaps, method, window, points, confidence)
