"""Filled polygons."""

from __future__ import annotations

from typing import Any

from . import _check as check
from ._run import kernels

RULES = {"center": 0, "opencv": 1}  # enum FillRule in polygon.hpp


def fill_polygons(
    points: Any, size: tuple[int, int], *, offsets: Any = None, rule: str = "center", out: Any = None
) -> Any:
    """Draws one filled polygon a mask.

    Outlines close by themselves. Fewer than three points, collinear or repeated ones draw what the rule says, often
    nothing. No gradients.

    Args:
        points: (N, P, 2) float32, pixels: N contours of P points; or, with ``offsets``, (M, 2) float32.
        size: (height, width) of the masks.
        offsets: (N+1,) int64: contour i is ``points[offsets[i]:offsets[i + 1]]``.
        rule: "center": even-odd at pixel centres; an edge counts for rows y0 <= y < y1, and a pixel is inside when an
            odd number of crossings lie at or left of it, so polygons that share an edge neither overlap nor leave a
            gap.
            "opencv": pixel for pixel what ``cv2.fillPoly`` draws from the rounded points, its boundary included.
        out: (N, height, width) uint8 to draw into; saves the cost of fresh memory, which exceeds that of drawing.

    Returns:
        ``out``, or a fresh (N, height, width) uint8 array of 0 and 1, in the framework of ``points``.

    Raises:
        TypeError: An argument of another kind or dtype.
        ValueError: A point that is not finite or farther than 2**20 from the origin, offsets that do not fit the
            points, arrays that are not contiguous, an ``out`` of another shape, an unknown rule.

    Source:
        The rule "opencv" follows OpenCV 4.14, modules/imgproc/src/drawing.cpp, in our own words
        (cpp/include/echoseg/detail/fixed_edge.hpp).
    """
    code = check.choice("rule", rule, RULES)
    height, width = check.image_size(size)
    count = check.contours("points", points, offsets)
    out = check.output("out", out, "uint8", (count, height, width), like=points)
    kernels(points).fill_polygons(points, offsets, code, out)
    return out
