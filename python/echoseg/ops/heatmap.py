"""Heatmaps: one plane a landmark."""

from __future__ import annotations

import math
from typing import Any

from . import _check as check
from ._run import kernels

KINDS = {"gaussian": 0, "euclidean": 1}  # enum HeatmapKind in heatmap.hpp
TYPES = {"float32": 0, "bfloat16": 1, "float16": 2, "uint8": 3}  # enum HeatmapType in heatmap.hpp


def render_heatmaps(
    landmarks: Any,
    size: tuple[int, int],
    *,
    kind: str = "gaussian",
    sigma: float = 4.0,
    radius: float | None = None,
    band: Any = None,
    dtype: str = "float32",
    out: Any = None,
    previous: Any = None,
) -> Any:
    """Draws one heatmap a landmark, with d the distance from it in pixels.

    Values below 2e-19 may be written as 0; otherwise they are within 1e-6 of the formula (before they are rounded to a
    narrower dtype), and the same bits on every instruction set. No gradients.

    Args:
        landmarks: (N, K, 2) float32, pixels.
        size: (height, width) of the heatmaps.
        kind: "gaussian": exp(-d² / 2σ²); "euclidean": max(0, 1 - d / radius).
        sigma: σ, pixels; "gaussian" only.
        radius: Zero where d exceeds it, pixels (the first seed's "pixel expansion"); None for no limit, which
            "euclidean" cannot have.
        band: (N, height, width) uint8; a heatmap is zero where its image's band is zero.
        dtype: Of the heatmaps: "float32", "bfloat16" (torch only), "float16", or "uint8", which is round(255 * value).
            All round to nearest, ties to even.
        out: (N, K, height, width) of ``dtype`` to draw into; saves the cost of fresh memory, which exceeds that of
            drawing.
        previous: (N, K, 2) float32, pixels: the landmarks that ``out`` was drawn from. Saves zeroing all of ``out``,
            which costs more than drawing where discs or sigmas are small against the image. You promise that ``out``
            is zero but for what one call with these landmarks and the same size, kind, sigma, radius and dtype drew
            (its band does not matter); a landmark far off the image stands for a plane of zeros. Then the result is
            the same as without. If the promise is broken, because ``out`` was written to meanwhile or these are not
            the landmarks or the style, then what lies outside of their reach stays where it was: heatmaps show
            remains of older ones. Nothing else goes wrong.

    Returns:
        ``out``, or a fresh (N, K, height, width) array of ``dtype`` in [0, 1] ([0, 255] for "uint8"), in the framework
        of ``landmarks``.

    Raises:
        TypeError: An argument of another kind or dtype.
        ValueError: A landmark that is not finite or farther than 2**20 from the origin, arrays that are not
            contiguous or do not fit, an unknown kind or dtype, "bfloat16" for NumPy arrays, a sigma or radius out of
            range, ``previous`` without ``out``. On a CUDA device such a landmark draws nothing instead.
    """
    style = style_arguments(kind, sigma, radius, dtype)
    height, width = check.image_size(size)
    check.array("landmarks", landmarks, "float32", ("N", "K", 2))
    count, per_image = landmarks.shape[:2]
    if band is not None:
        check.array("band", band, "uint8", (count, height, width), like=landmarks)
    check.known_to(landmarks, dtype)
    check.previous(previous, out, (count, per_image, 2), like=landmarks)
    out = check.output("out", out, dtype, (count, per_image, height, width), like=landmarks)
    kernels(landmarks).render_heatmaps(landmarks, previous, *style, band, out)
    return out


def style_arguments(kind: str, sigma: float, radius: float | None, dtype: str) -> tuple[int, float, float, int]:
    """(kind's code, sigma, radius or infinity, dtype's code), checked."""
    code, type_code = check.choice("kind", kind, KINDS), check.choice("dtype", dtype, TYPES)
    if radius is None and kind == "euclidean":
        raise ValueError('kind "euclidean" needs a radius')
    limit = math.inf if radius is None else check.positive("radius", radius)
    return code, check.positive("sigma", sigma), limit, type_code
