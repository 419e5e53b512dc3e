"""From heatmaps back to points."""

from __future__ import annotations

from typing import Any

from . import _check as check
from ._run import kernels

METHODS = {"argmax": 0, "soft_argmax": 1, "dark": 2}  # enum DecodeMethod in decode.hpp


def decode_heatmaps(
    heatmaps: Any, *, method: str = "argmax", window: float = 5.0, out: tuple[Any, Any] | None = None
) -> tuple[Any, Any]:
    """Finds one point a heatmap.

    All methods start at the maximum's pixel, the first in row-major order, and stay there where its value is not finite
    or they find nothing better. A NaN counts as the maximum, as in NumPy and torch, so a network that diverged shows in
    the confidence. Scaling a heatmap moves nothing. On rendered Gaussians with sigmas from 1.5 to 4 pixels, "argmax" is
    up to 0.7 pixels off, the others less than 0.01 away from the border. No gradients.

    Args:
        heatmaps: (N, K, H, W) float32: heatmaps or probabilities, not logits.
        method: "argmax": the maximum's pixel.
            "soft_argmax": the mean place of a window's pixels, weighted by their values, those below 0 left out. A
            window about a pixel would lean towards that pixel, so the window follows its own mean until they agree.
            Near the image's border it is smaller, the same on both sides.
            "dark": the top of the parabola that the logarithms of the values about the maximum suggest, as is exact
            for a Gaussian. Stays at the maximum where it is less than two pixels from the border, where a value about
            it is not positive (a heatmap cut by a narrow band), or where the top lies more than a pixel away.
        window: "soft_argmax" only: how far its window reaches to either side, pixels. Larger ones let in more noise
            about small peaks, smaller ones see too little of large peaks; the best is about two sigmas. With noise of
            2% of the maximum the default errs by 0.02 to 0.04 pixels (median) at sigmas from 1.5 to 4, where 12 pixels
            err by 0.03 to 0.17, and "dark", which looks at 13 pixels and smooths nothing, by 0.05 to 0.29.
        out: (points, confidence) to write into.

    Returns:
        points (N, K, 2) float32, pixels, and confidence (N, K) float32, the value at each maximum's pixel; in the
        framework of ``heatmaps``.

    Raises:
        TypeError: An argument of another kind or dtype.
        ValueError: Arrays that are not contiguous or do not fit, an unknown method, a window out of range.

    Source:
        "soft_argmax": mean shift (Cheng, IEEE PAMI 1995). "dark": Zhang et al., "Distribution-aware coordinate
        representation for human pose estimation", CVPR 2020, without its smoothing.
    """
    code, reach = check.choice("method", method, METHODS), check.positive("window", window)
    check.array("heatmaps", heatmaps, "float32", ("N", "K", "H", "W"))
    check.image_size(tuple(heatmaps.shape[2:]))
    count, per_image = heatmaps.shape[:2]
    points, confidence = (None, None) if out is None else out
    points = check.output("out points", points, "float32", (count, per_image, 2), like=heatmaps)
    confidence = check.output("out confidence", confidence, "float32", (count, per_image), like=heatmaps)
    kernels(heatmaps).decode_heatmaps(heatmaps, code, reach, points, confidence)
    return points, confidence
