"""Exact Euclidean distances: to the background, and between the borders of two masks."""

from __future__ import annotations

from typing import Any

from . import _check as check
from ._run import kernels


def distance_transform(masks: Any, *, spacing: tuple[float, float] | None = None, out: Any = None) -> Any:
    """The distance from each pixel that is not 0 to the nearest 0 of its image.

    That of ``scipy.ndimage.distance_transform_edt``, but for an image without any 0, whose pixels are infinitely far
    from it (SciPy measures to a point outside, OpenCV gives a large number). Exact: the float32 nearest to the root,
    the same bits on every instruction set. No gradients.

    Args:
        masks: (N, H, W) uint8; any value but 0 counts as 1.
        spacing: (dy, dx), from a pixel to the next one down and the next one to the right, in any unit, the one of the
            result; None for pixels.
        out: (N, H, W) float32 to write into; saves the cost of fresh memory.

    Returns:
        ``out``, or a fresh (N, H, W) float32 array in the framework of ``masks``; 0 where the mask is 0.

    Raises:
        TypeError: An argument of another kind or dtype.
        ValueError: Arrays that are not contiguous, an ``out`` that does not fit, a spacing not between 1e-9 and 1e9.

    Source:
        Felzenszwalb and Huttenlocher, "Distance transforms of sampled functions", Theory of Computing 8 (2012): two
        passes; the second one here halves each row between known nearest pixels (cpp/cpu/distance.cpp).
    """
    dy, dx = check.spacing(spacing)
    check.array("masks", masks, "uint8", ("N", "H", "W"))
    check.image_size(tuple(masks.shape[1:]))
    out = check.output("out", out, "float32", tuple(masks.shape), like=masks)
    kernels(masks).distance_transform(masks, dy, dx, out)
    return out


def surface_distances(
    predicted: Any, true: Any, *, spacing: tuple[float, float] | None = None, out: tuple[Any, Any] | None = None
) -> tuple[Any, Any]:
    """95th percentile Hausdorff distance and average symmetric surface distance of each pair of masks.

    A border pixel is a foreground pixel with a background pixel, or the image's edge, among its four neighbours.
    HD95 is the larger of the two directed 95th percentiles, each linear between the two nearest ranks as in NumPy;
    ASSD is the mean over both borders' pixels. This is what MONAI's ``compute_hausdorff_distance(percentile=95)`` and
    ``compute_average_surface_distance(symmetric=True)`` give; only where a mask is empty do they answer NaN or infinity
    in their own way. (Other tools take the percentile over both directions together, or the mean of two means.)
    No gradients.

    Args:
        predicted, true: (N, H, W) uint8; any value but 0 counts as 1.
        spacing: (dy, dx), as for ``distance_transform``.
        out: (hd95, assd) to write into.

    Returns:
        hd95 (N,) and assd (N,) float64 in the spacing's unit, in the framework of ``predicted``: infinity where just
        one of the masks is empty, 0 where both are.

    Raises:
        TypeError: An argument of another kind or dtype.
        ValueError: Arrays that are not contiguous or do not fit, a spacing not between 1e-9 and 1e9.

    Source:
        Huttenlocher et al. 1993 (Hausdorff); Heimann et al. 2009 (ASSD).
    """
    dy, dx = check.spacing(spacing)
    check.array("predicted", predicted, "uint8", ("N", "H", "W"))
    check.image_size(tuple(predicted.shape[1:]))
    check.array("true", true, "uint8", tuple(predicted.shape), like=predicted)
    hd95, assd = (None, None) if out is None else out
    hd95 = check.output("out hd95", hd95, "float64", (predicted.shape[0],), like=predicted)
    assd = check.output("out assd", assd, "float64", (predicted.shape[0],), like=predicted)
    kernels(predicted).surface_distances(predicted, true, dy, dx, hd95, assd)
    return hd95, assd
