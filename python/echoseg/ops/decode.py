"""From heatmaps back to points."""

from __future__ import annotations

from typing import Any

from . import _check as check
from ._run import kernels

METHODS = {"argmax": 0}


def decode_heatmaps(heatmaps: Any, *, method: str = "argmax", out: tuple[Any, Any] | None = None) -> tuple[Any, Any]:
    """Finds one point a heatmap.

    No gradients.

    Args:
        heatmaps: (N, K, H, W) float32.
        method: "argmax": the first maximum in row-major order. A NaN counts as the maximum, as in NumPy and
            torch, so a network that diverged shows in the confidence.
        out: (points, confidence) to write into.

    Returns:
        points (N, K, 2) float32, pixels, and confidence (N, K) float32, the value at each point; in the framework of
        ``heatmaps``.

    Raises:
        TypeError: An argument of another kind or dtype.
        ValueError: Arrays that are not contiguous or do not fit, an unknown method.
    """
    check.choice("method", method, METHODS)
    check.array("heatmaps", heatmaps, "float32", ("N", "K", "H", "W"))
    check.image_size(tuple(heatmaps.shape[2:]))
    count, per_image = heatmaps.shape[:2]
    points, confidence = (None, None) if out is None else out
    points = check.output("out points", points, "float32", (count, per_image, 2), like=heatmaps)
    confidence = check.output("out confidence", confidence, "float32", (count, per_image), like=heatmaps)
    kernels(heatmaps).decode_argmax(heatmaps, points, confidence)
    return points, confidence
