"""Filled polygons."""

from __future__ import annotations

from typing import Any

from . import _check as check
from ._native import COVERAGE
from ._run import kernels

MASK_RULES = {"center": 0, "opencv": 1}  # enum FillRule in polygon.hpp
RULES = MASK_RULES | {"coverage": COVERAGE}


def mask_rule(rule: str) -> int:
    """The code of a rule that draws masks."""
    if rule == "coverage":
        raise ValueError(f"rule 'coverage' draws areas, not masks; choose one of: {', '.join(MASK_RULES)}")
    return check.choice("rule", rule, RULES)


def fill_polygons(
    points: Any, size: tuple[int, int], *, offsets: Any = None, rule: str = "center", out: Any = None
) -> Any:
    """Draws one filled polygon a mask, or the area of each pixel inside it.

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
            "coverage": the exact area of each pixel, a unit square about its centre, that lies inside. The direction
            of an outline does not matter. Where it crosses or overlaps itself, areas count as often as it winds about
            them, minus what it winds about the other way; the pixel's value is the sum without its sign, at most 1.
        out: (N, height, width) to draw into, uint8, or float32 for "coverage"; saves the cost of fresh memory, which
            exceeds that of drawing.

    Returns:
        ``out``, or a fresh (N, height, width) array in the framework of ``points``: uint8 of 0 and 1, or for "coverage"
        float32 in [0, 1], exact to 2**-23 a pixel and edge up to 256 points, and to a bit less for each doubling.

    Raises:
        TypeError: An argument of another kind or dtype.
        ValueError: A point that is not finite or farther than 2**20 from the origin, offsets that do not fit the
            points, arrays that are not contiguous, an ``out`` of another shape, an unknown rule. On a CUDA device
            nobody waits for values: a contour with such a point draws nothing, and offsets are cut to the points.

    Source:
        The rule "opencv" follows OpenCV 4.14, modules/imgproc/src/drawing.cpp, in our own words
        (cpp/include/echoseg/detail/fixed_edge.hpp). "coverage" accumulates signed areas, as the font rasterisers
        font-rs and stb_truetype do.
    """
    code = check.choice("rule", rule, RULES)
    height, width = check.image_size(size)
    count = check.contours("points", points, offsets)
    dtype = "float32" if code == COVERAGE else "uint8"
    out = check.output("out", out, dtype, (count, height, width), like=points)
    kernels(points).fill_polygons(points, offsets, code, out)
    return out
