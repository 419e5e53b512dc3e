"""Exact Euclidean distances: to the background, and between the borders of two masks."""

from __future__ import annotations

from ._native import AnyArray, Array, kernels


def distance_transform(
    masks: Array, *, spacing: tuple[float, float] | None = None, out: AnyArray | None = None
) -> Array:
    """Computes the distance from each non-zero pixel to the nearest 0 of its image.

    Equals ``scipy.ndimage.distance_transform_edt``, except that all pixels of an image without any 0 are infinite
    (SciPy measures to a point outside the image, and OpenCV returns a large number). The result is the float32 nearest
    to the exact distance, and the same on every instruction set. There are no gradients.

    Args:
        masks: (N, H, W) uint8; any non-zero value counts as 1.
        spacing: (dy, dx), the distance between vertically and horizontally adjacent pixels in any unit; None for
            pixels.
        out: (N, H, W) float32 array to write to. Allocating a new array takes additional time.

    Returns:
        ``out``, or a new (N, H, W) float32 array in the unit of the spacing, in the framework and on the device of
        ``masks``. It is 0 where the mask is 0.

    Raises:
        TypeError: If an argument has the wrong type or dtype, or arrays of NumPy and torch are mixed.
        ValueError: If an array is not contiguous or has the wrong shape, or the spacing is not between 1e-9 and 1e9.

    Source:
        Felzenszwalb and Huttenlocher, "Distance transforms of sampled functions", Theory of Computing 8 (2012). The
        second pass bisects each row between pixels whose nearest zeros are known (cpp/cpu/distance.cpp).

    Example:
        >>> import numpy as np
        >>> masks = np.array([[[1, 1, 1, 0], [1, 1, 0, 0]]], np.uint8)
        >>> distance_transform(masks, spacing=(1.0, 0.5))
        array([[[1.4142135, 1.       , 0.5      , 0.       ],
                [1.       , 0.5      , 0.       , 0.       ]]], dtype=float32)
    """
    return kernels(masks).distance_transform(masks, spacing, out)


def surface_distances(
    predicted: Array,
    true: AnyArray,
    *,
    spacing: tuple[float, float] | None = None,
    out: tuple[AnyArray, AnyArray] | None = None,
) -> tuple[Array, Array]:
    """Computes the 95th percentile Hausdorff distance and the average symmetric surface distance of pairs of masks.

    A border pixel is a foreground pixel with a background pixel, or the edge of the image, among its four neighbours.
    HD95 is the larger of the two directed 95th percentiles, each interpolated linearly as in NumPy. ASSD is the mean
    over the pixels of both borders. The results equal MONAI's ``compute_hausdorff_distance(percentile=95)`` and
    ``compute_average_surface_distance(symmetric=True)``, except if a mask is empty. Other tools take the percentile
    over both directions together, or the mean of the two directed means. There are no gradients.

    Args:
        predicted: (N, H, W) uint8; any non-zero value counts as 1.
        true: (N, H, W) uint8; any non-zero value counts as 1.
        spacing: (dy, dx), the distance between vertically and horizontally adjacent pixels in any unit; None for
            pixels.
        out: Tuple (hd95, assd) of arrays to write to.

    Returns:
        hd95 (N,) and assd (N,) float64 in the unit of the spacing, in the framework and on the device of ``predicted``.
        Both are infinite if exactly one mask is empty, and 0 if both are empty.

    Raises:
        TypeError: If an argument has the wrong type or dtype, or arrays of NumPy and torch are mixed.
        ValueError: If an array is not contiguous or has the wrong shape, or the spacing is not between 1e-9 and 1e9.

    Source:
        HD95: Huttenlocher et al., "Comparing images using the Hausdorff distance", IEEE PAMI 1993. ASSD: Heimann et
        al., "Comparison and evaluation of methods for liver segmentation from CT datasets", IEEE TMI 2009.

    Example:
        >>> import numpy as np
        >>> predicted, true = np.zeros((2, 1, 5, 8), np.uint8)
        >>> predicted[0, 1:4, 1:4] = 1
        >>> true[0, 1:4, 1:6] = 1
        >>> hd95, assd = surface_distances(predicted, true)
        >>> hd95
        array([2.])
        >>> assd
        array([0.45])
    """
    hd95, assd = (None, None) if out is None else out
    return kernels(predicted).surface_distances(predicted, true, spacing, hd95, assd)


def normalized_surface_dice(
    predicted: Array,
    true: AnyArray,
    *,
    tolerance: float,
    spacing: tuple[float, float] | None = None,
    out: AnyArray | None = None,
) -> Array:
    """Computes the normalised surface Dice (NSD) of pairs of masks: the share of both contours near the other one.

    The contour passes through the corners between pixels, (H + 1) times (W + 1) of them. A corner is on the contour if
    its four pixels are neither all background nor all foreground; pixels outside the image are background. They also
    give the length of the contour there: half a pixel's diagonal if one or three are foreground, dx or dy if two in one
    row or column are, and a whole diagonal if two opposite ones are. The NSD is the length of both contours within the
    tolerance of the other contour, divided by the length of both. There are no gradients.

    The definition is that of ``compute_surface_dice_at_tolerance`` of DeepMind's ``surface-distance`` in two
    dimensions, also where a mask touches the edge of the image or fills the image. A distance is
    ``sqrt((rows * dy)**2 + (columns * dx)**2)`` in float64, as there, and is within the tolerance if it is not larger:
    with a spacing of 0.1, three pixels are 0.30000000000000004 and beyond a tolerance of 0.3. The values can differ
    only where the nearest corners of the other contour are equally far up to rounding and some of them are within the
    tolerance; here one is enough. MONAI's ``compute_surface_dice`` counts border pixels unless ``use_subvoxels=True``.

    Args:
        predicted: (N, H, W) uint8; any non-zero value counts as 1.
        true: (N, H, W) uint8; any non-zero value counts as 1.
        tolerance: The distance up to which contours count as near, in the unit of the spacing; may be 0.
        spacing: (dy, dx), the distance between vertically and horizontally adjacent pixels in any unit; None for
            pixels.
        out: (N,) float64 array to write to.

    Returns:
        ``out``, or a new (N,) float64 array of values in [0, 1], in the framework and on the device of ``predicted``.
        It is 0 if exactly one mask is empty. It is NaN if both are: there is no contour, and NSD is not applicable.

    Raises:
        TypeError: If an argument has the wrong type or dtype, or arrays of NumPy and torch are mixed.
        ValueError: If an array is not contiguous or has the wrong shape, the spacing is not between 1e-9 and 1e9, or
            the tolerance is negative or not finite.

    Source:
        Nikolov et al., "Clinically applicable segmentation of head and neck anatomy for radiotherapy: deep learning
        algorithm development and validation study", Journal of Medical Internet Research 23(7), 2021.

    Example:
        >>> import numpy as np
        >>> predicted, true = np.zeros((2, 1, 5, 8), np.uint8)
        >>> predicted[0, 1:4, 1:4] = 1
        >>> true[0, 1:4, 1:6] = 1
        >>> normalized_surface_dice(predicted, true, tolerance=1.0).round(3)
        array([0.867])
    """
    return kernels(predicted).normalized_surface_dice(predicted, true, tolerance, spacing, out)
