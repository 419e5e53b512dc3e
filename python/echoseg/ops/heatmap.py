"""Heatmaps: one plane a landmark."""

from __future__ import annotations

import math
from typing import Any

from . import _check as check
from ._run import kernels

KINDS = {"gaussian": 0, "euclidean": 1}  # enum HeatmapKind in heatmap.hpp


def render_heatmaps(
    landmarks: Any,
    size: tuple[int, int],
    *,
    kind: str = "gaussian",
    sigma: float = 4.0,
    radius: float | None = None,
    band: Any = None,
    out: Any = None,
) -> Any:
    """Draws one heatmap a landmark, with d the distance from it in pixels.

    Values below 2e-19 may be written as 0; otherwise they are within 1e-6 of the formula, and the same bits on every
    instruction set. No gradients.

    Args:
        landmarks: (N, K, 2) float32, pixels.
        size: (height, width) of the heatmaps.
        kind: "gaussian": exp(-d² / 2σ²); "euclidean": max(0, 1 - d / radius).
        sigma: σ, pixels; "gaussian" only.
        radius: Zero where d exceeds it, pixels (the first seed's "pixel expansion"); None for no limit, which
            "euclidean" cannot have.
        band: (N, height, width) uint8; a heatmap is zero where its image's band is zero.
        out: (N, K, height, width) float32 to draw into; saves the cost of fresh memory, which exceeds that of drawing.

    Returns:
        ``out``, or a fresh (N, K, height, width) float32 array in [0, 1], in the framework of ``landmarks``.

    Raises:
        TypeError: An argument of another kind or dtype.
        ValueError: A landmark that is not finite or farther than 2**20 from the origin, arrays that are not
            contiguous or do not fit, an unknown kind, a sigma or radius out of range.
    """
    style = style_arguments(kind, sigma, radius)
    height, width = check.image_size(size)
    check.array("landmarks", landmarks, "float32", ("N", "K", 2))
    count, per_image = landmarks.shape[:2]
    if band is not None:
        check.array("band", band, "uint8", (count, height, width), like=landmarks)
    out = check.output("out", out, "float32", (count, per_image, height, width), like=landmarks)
    kernels(landmarks).render_heatmaps(landmarks, *style, band, out)
    return out


def style_arguments(kind: str, sigma: float, radius: float | None) -> tuple[int, float, float]:
    """(kind's code, sigma, radius or infinity), checked."""
    code = check.choice("kind", kind, KINDS)
    if radius is None and kind == "euclidean":
        raise ValueError('kind "euclidean" needs a radius')
    return code, check.positive("sigma", sigma), math.inf if radius is None else check.positive("radius", radius)
