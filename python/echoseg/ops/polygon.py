"""Filled polygons."""

from __future__ import annotations

from ._native import AnyArray, Array, kernels


def fill_polygons(
    points: Array,
    size: tuple[int, int],
    *,
    offsets: AnyArray | None = None,
    rule: str = "center",
    out: AnyArray | None = None,
) -> Array:
    """Fills one polygon per mask, or computes the area of each pixel that is inside the polygon.

    Contours are closed automatically. Contours with fewer than three points, or with collinear or repeated points, are
    valid; what they draw follows from the rule and is often nothing. There are no gradients.

    Args:
        points: (N, P, 2) float32, pixels: N contours of P points each, or (M, 2) float32 with ``offsets``.
        size: (height, width) of the masks.
        offsets: (N + 1,) int64: contour i is ``points[offsets[i]:offsets[i + 1]]``.
        rule: How pixels are selected.

            - "center": the even-odd rule at pixel centres. An edge counts for the rows y0 <= y < y1, and a pixel is
              inside if an odd number of crossings are at or left of it, so polygons that share an edge neither overlap
              nor leave a gap.
            - "opencv": the same pixels as ``cv2.fillPoly`` with points rounded to whole pixels; the boundary is
              included.
            - "coverage": the exact area of each pixel, a unit square around its centre, that is inside the contour. The
              orientation of the contour does not matter. Where a contour intersects or overlaps itself, the area is
              weighted by the winding number; the result is its absolute value, at most 1.
        out: (N, height, width) array to write to: uint8, or float32 for "coverage". Allocating a new array can take
            longer than drawing.

    Returns:
        ``out``, or a new (N, height, width) array in the framework and on the device of ``points``: uint8 of 0 and 1,
        or for "coverage" float32 in [0, 1]. The error of an area is at most 2**-23 per pixel and edge for up to 256
        points, and doubles whenever the number of points doubles.

    Raises:
        TypeError: If an argument has the wrong type or dtype, or arrays of NumPy and torch are mixed.
        ValueError: If a coordinate is not finite or exceeds 2**20 pixels, the offsets do not fit the points, an array
            is not contiguous or has the wrong shape, or the rule is unknown. On a CUDA device values are not checked: a
            contour with an invalid point draws nothing, and offsets are clamped to the number of points.

    Source:
        "opencv" reimplements OpenCV 4.14, modules/imgproc/src/drawing.cpp
        (cpp/include/echoseg/detail/fixed_edge.hpp). "coverage" accumulates signed areas like the font rasterisers
        font-rs and stb_truetype.

    Example:
        >>> import numpy as np
        >>> triangle = np.array([[[0.5, 0.5], [4.5, 0.5], [0.5, 4.5]]], np.float32)
        >>> fill_polygons(triangle, (5, 6))
        array([[[0, 0, 0, 0, 0, 0],
                [0, 1, 1, 1, 0, 0],
                [0, 1, 1, 0, 0, 0],
                [0, 1, 0, 0, 0, 0],
                [0, 0, 0, 0, 0, 0]]], dtype=uint8)
        >>> fill_polygons(triangle, (5, 6), rule="coverage")[0, 2]
        array([0. , 1. , 1. , 0.5, 0. , 0. ], dtype=float32)
    """
    return kernels(points).fill_polygons(points, size, offsets, rule, out)
