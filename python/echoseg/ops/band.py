"""Binary dilation, erosion and the border band between the two."""

from __future__ import annotations

from typing import Any

from . import _check as check
from ._run import kernels
from .polygon import mask_rule

SHAPES = {"rect": 0, "cross": 1, "ellipse": 2}  # enum KernelShape in band.hpp
LARGEST_KERNEL = 2**15


def dilate(masks: Any, *, kernel_size: int = 3, shape: str = "rect", iterations: int = 1, out: Any = None) -> Any:
    """Grows each mask, pixel for pixel like ``cv2.dilate``.

    Args and errors as for ``border_band``.

    Returns:
        ``out``, or a fresh (N, H, W) uint8 array of 0 and 1.
    """
    return _morph("dilate", masks, kernel_size, shape, iterations, out)


def erode(masks: Any, *, kernel_size: int = 3, shape: str = "rect", iterations: int = 1, out: Any = None) -> Any:
    """Shrinks each mask, pixel for pixel like ``cv2.erode``: the image's border erodes nothing.

    Args and errors as for ``border_band``.

    Returns:
        ``out``, or a fresh (N, H, W) uint8 array of 0 and 1.
    """
    return _morph("erode", masks, kernel_size, shape, iterations, out)


def border_band(masks: Any, *, kernel_size: int = 3, shape: str = "rect", iterations: int = 1, out: Any = None) -> Any:
    """The band about each mask's border: dilation XOR erosion, pixel for pixel OpenCV's.

    No gradients.

    Args:
        masks: (N, H, W) uint8; any value but 0 counts as 1.
        kernel_size: Side of the structuring element, pixels. An even one is anchored at kernel_size // 2, as in OpenCV.
        shape: "rect", "cross" or "ellipse", as ``cv2.getStructuringElement`` draws them.
        iterations: How often each of the two is applied.
        out: (N, H, W) uint8 to draw into; must not share memory with ``masks``.

    Returns:
        ``out``, or a fresh (N, H, W) uint8 array of 0 and 1, in the framework of ``masks``.

    Raises:
        TypeError: An argument of another kind or dtype.
        ValueError: Arrays that are not contiguous, an ``out`` that does not fit, an unknown shape, a number out of
            range.

    Source:
        The band of "Left ventricle segmentation: mask against landmark" (first seed): 3×3 kernel, 2 iterations.
    """
    return _morph("border_band", masks, kernel_size, shape, iterations, out)


def border_band_from_contours(
    contours: Any,
    size: tuple[int, int],
    *,
    offsets: Any = None,
    rule: str = "center",
    kernel_size: int = 3,
    shape: str = "rect",
    iterations: int = 1,
    out: Any = None,
) -> Any:
    """The band about each contour: ``border_band`` of what ``fill_polygons`` draws, without the masks in between.

    No gradients.

    Args:
        contours: (N, P, 2) float32, pixels; or, with ``offsets``, (M, 2) float32.
        size: (height, width).
        offsets: (N+1,) int64, as for ``fill_polygons``.
        rule: "center" or "opencv", as for ``fill_polygons``.
        kernel_size: As for ``border_band``; likewise ``shape`` and ``iterations``.
        shape: See ``kernel_size``.
        iterations: See ``kernel_size``.
        out: (N, height, width) uint8 to draw into.

    Returns:
        ``out``, or a fresh (N, height, width) uint8 array of 0 and 1, in the framework of ``contours``.

    Raises:
        TypeError: An argument of another kind or dtype.
        ValueError: What ``fill_polygons`` and ``border_band`` refuse, or the rule "coverage", which draws no masks.
    """
    code = mask_rule(rule)
    arguments = kernel_arguments(kernel_size, shape, iterations)
    height, width = check.image_size(size)
    count = check.contours("contours", contours, offsets)
    out = check.output("out", out, "uint8", (count, height, width), like=contours)
    kernels(contours).border_band_from_contours(contours, offsets, code, *arguments, out)
    return out


def kernel_arguments(kernel_size: int, shape: str, iterations: int) -> tuple[int, int, int]:
    """(kernel_size, shape's code, iterations), checked."""
    return (
        check.integer("kernel_size", kernel_size, 1, LARGEST_KERNEL),
        check.choice("shape", shape, SHAPES),
        check.integer("iterations", iterations, 1),
    )


def _morph(operation: str, masks: Any, kernel_size: int, shape: str, iterations: int, out: Any) -> Any:
    arguments = kernel_arguments(kernel_size, shape, iterations)
    check.array("masks", masks, "uint8", ("N", "H", "W"))
    check.image_size(tuple(masks.shape[1:]))
    out = check.output("out", out, "uint8", tuple(masks.shape), like=masks)
    kernels(masks).morph(operation, masks, *arguments, out)
    return out
