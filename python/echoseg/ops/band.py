"""Binary dilation, erosion and the border band between the two."""

from __future__ import annotations

from ._native import AnyArray, Array, kernels


def dilate(
    masks: Array, *, kernel_size: int = 3, shape: str = "rect", iterations: int = 1, out: AnyArray | None = None
) -> Array:
    """Dilates each mask, pixel for pixel as ``cv2.dilate``.

    There are no gradients.

    Args:
        masks: (N, H, W) uint8; any non-zero value counts as 1.
        kernel_size: Side of the structuring element in pixels, see ``border_band``.
        shape: Shape of the structuring element, see ``border_band``.
        iterations: Number of times the dilation is applied.
        out: (N, H, W) uint8 array to write to. It must not share memory with ``masks``.

    Returns:
        ``out``, or a new (N, H, W) uint8 array of 0 and 1 in the framework and on the device of ``masks``.

    Raises:
        TypeError: If an argument has the wrong type or dtype, or arrays of NumPy and torch are mixed.
        ValueError: If an array is not contiguous or has the wrong shape, the shape of the structuring element is
            unknown, or a number is out of range.

    Source:
        OpenCV's ``cv2.dilate``.

    Example:
        >>> import numpy as np
        >>> masks = np.zeros((1, 3, 5), np.uint8)
        >>> masks[0, 1, 1] = 1
        >>> dilate(masks, shape="cross")
        array([[[0, 1, 0, 0, 0],
                [1, 1, 1, 0, 0],
                [0, 1, 0, 0, 0]]], dtype=uint8)
    """
    return kernels(masks).dilate(masks, kernel_size, shape, iterations, out)


def erode(
    masks: Array, *, kernel_size: int = 3, shape: str = "rect", iterations: int = 1, out: AnyArray | None = None
) -> Array:
    """Erodes each mask, pixel for pixel as ``cv2.erode``: masks are not eroded at the edge of the image.

    There are no gradients.

    Args:
        masks: (N, H, W) uint8; any non-zero value counts as 1.
        kernel_size: Side of the structuring element in pixels, see ``border_band``.
        shape: Shape of the structuring element, see ``border_band``.
        iterations: Number of times the erosion is applied.
        out: (N, H, W) uint8 array to write to. It must not share memory with ``masks``.

    Returns:
        ``out``, or a new (N, H, W) uint8 array of 0 and 1 in the framework and on the device of ``masks``.

    Raises:
        TypeError: If an argument has the wrong type or dtype, or arrays of NumPy and torch are mixed.
        ValueError: If an array is not contiguous or has the wrong shape, the shape of the structuring element is
            unknown, or a number is out of range.

    Source:
        OpenCV's ``cv2.erode``.

    Example:
        >>> import numpy as np
        >>> masks = np.ones((1, 4, 5), np.uint8)
        >>> masks[0, 3, 4] = 0
        >>> erode(masks)
        array([[[1, 1, 1, 1, 1],
                [1, 1, 1, 1, 1],
                [1, 1, 1, 0, 0],
                [1, 1, 1, 0, 0]]], dtype=uint8)
    """
    return kernels(masks).erode(masks, kernel_size, shape, iterations, out)


def border_band(
    masks: Array, *, kernel_size: int = 3, shape: str = "rect", iterations: int = 1, out: AnyArray | None = None
) -> Array:
    """Draws the band around the border of each mask: dilation XOR erosion, pixel for pixel as OpenCV.

    There are no gradients.

    Args:
        masks: (N, H, W) uint8; any non-zero value counts as 1.
        kernel_size: Side of the structuring element in pixels. The anchor is at ``kernel_size // 2``, as in OpenCV.
        shape: "rect", "cross" or "ellipse", as in ``cv2.getStructuringElement``.
        iterations: Number of times that dilation and erosion are each applied.
        out: (N, H, W) uint8 array to write to. It must not share memory with ``masks``.

    Returns:
        ``out``, or a new (N, H, W) uint8 array of 0 and 1 in the framework and on the device of ``masks``.

    Raises:
        TypeError: If an argument has the wrong type or dtype, or arrays of NumPy and torch are mixed.
        ValueError: If an array is not contiguous or has the wrong shape, the shape of the structuring element is
            unknown, or a number is out of range.

    Source:
        Rodríguez Valencia et al., "Left Ventricle Automatic Segmentation with Deep Learning on the EchoNet Dynamic
        Dataset": a 3×3 kernel and 2 iterations.

    Example:
        >>> import numpy as np
        >>> masks = np.zeros((1, 5, 5), np.uint8)
        >>> masks[0, :, :3] = 1
        >>> border_band(masks)[0, 2]
        array([0, 0, 1, 1, 0], dtype=uint8)
    """
    return kernels(masks).border_band(masks, kernel_size, shape, iterations, out)


def border_band_from_contours(
    contours: Array,
    size: tuple[int, int],
    *,
    offsets: AnyArray | None = None,
    rule: str = "center",
    kernel_size: int = 3,
    shape: str = "rect",
    iterations: int = 1,
    out: AnyArray | None = None,
) -> Array:
    """Draws the band around each contour: ``border_band`` of ``fill_polygons``, without storing the masks.

    There are no gradients.

    Args:
        contours: (N, P, 2) float32, pixels, or (M, 2) float32 with ``offsets``.
        size: (height, width) of the bands.
        offsets: (N + 1,) int64, see ``fill_polygons``.
        rule: "center" or "opencv", see ``fill_polygons``.
        kernel_size: Side of the structuring element in pixels, see ``border_band``.
        shape: Shape of the structuring element, see ``border_band``.
        iterations: Number of times that dilation and erosion are each applied.
        out: (N, height, width) uint8 array to write to.

    Returns:
        ``out``, or a new (N, height, width) uint8 array of 0 and 1 in the framework and on the device of ``contours``.

    Raises:
        TypeError: If an argument has the wrong type or dtype, or arrays of NumPy and torch are mixed.
        ValueError: If ``fill_polygons`` or ``border_band`` would raise it, or the rule is "coverage", which does not
            draw masks.

    Source:
        See ``border_band``.

    Example:
        >>> import numpy as np
        >>> square = np.array([[[1.5, 1.5], [5.5, 1.5], [5.5, 5.5], [1.5, 5.5]]], np.float32)
        >>> border_band_from_contours(square, (7, 8), shape="cross")[0, 3]
        array([0, 1, 1, 0, 0, 1, 1, 0], dtype=uint8)
    """
    return kernels(contours).border_band_from_contours(
        contours, size, offsets, rule, kernel_size, shape, iterations, out
    )
