"""Everything that a batch trains on, drawn in one pass."""

from __future__ import annotations

from typing import Any, NamedTuple

from . import _check as check
from ._run import kernels
from .band import kernel_arguments
from .heatmap import style_arguments
from .polygon import mask_rule


class Targets(NamedTuple):
    """What the losses see.

    Attributes:
        mask: (N, H, W) uint8 of 0 and 1.
        band: (N, H, W) uint8 of 0 and 1.
        heatmaps: (N, K, H, W) float32 in [0, 1] (or as ``dtype`` says), zero outside the band.
    """

    mask: Any
    band: Any
    heatmaps: Any


def render_targets(
    contours: Any,
    landmarks: Any,
    size: tuple[int, int],
    *,
    offsets: Any = None,
    rule: str = "center",
    kernel_size: int = 3,
    shape: str = "rect",
    iterations: int = 2,
    kind: str = "gaussian",
    sigma: float = 4.0,
    radius: float | None = None,
    dtype: str = "float32",
    out: Targets | None = None,
    previous: Any = None,
) -> Targets:
    """Draws masks, their border bands, and heatmaps times the band, in one pass.

    Equal to ``fill_polygons``, ``border_band`` and ``render_heatmaps`` one after the other. No gradients.

    Args:
        contours: (N, P, 2) float32, pixels; or, with ``offsets``, (M, 2) float32.
        landmarks: (N, K, 2) float32, pixels.
        size: (height, width).
        offsets: (N+1,) int64, as for ``fill_polygons``.
        rule: As for ``fill_polygons``.
        kernel_size: As for ``border_band``; likewise ``shape`` and ``iterations``.
        shape: See ``kernel_size``.
        iterations: See ``kernel_size``.
        kind: As for ``render_heatmaps``; likewise ``sigma`` and ``radius``.
        sigma: See ``kind``.
        radius: See ``kind``.
        dtype: Of the heatmaps, as for ``render_heatmaps``; mask and band are uint8 always.
        out: Targets to draw into, as an earlier call returned them.
        previous: (N, K, 2) float32, pixels: the landmarks that ``out.heatmaps`` were drawn from, as for
            ``render_heatmaps``, with the same promise. Contours, rule and kernel may have been others. Mask and band
            are always written whole.

    Returns:
        ``out``, or fresh Targets in the framework of ``contours``.

    Raises:
        TypeError: An argument of another kind or dtype.
        ValueError: What the single operators refuse, or as many contours as landmarks do not belong to. On a CUDA
            device bad contours and landmarks draw nothing instead.
    """
    style = (
        mask_rule(rule),
        *kernel_arguments(kernel_size, shape, iterations),
        *style_arguments(kind, sigma, radius, dtype),
    )
    height, width = check.image_size(size)
    count = check.contours("contours", contours, offsets)
    check.array("landmarks", landmarks, "float32", (count, "K", 2), like=contours)
    per_image = landmarks.shape[1]
    check.known_to(contours, dtype)
    check.previous(previous, out, (count, per_image, 2), like=contours)
    mask, band, heatmaps = (None, None, None) if out is None else out
    drawn = Targets(
        check.output("out.mask", mask, "uint8", (count, height, width), like=contours),
        check.output("out.band", band, "uint8", (count, height, width), like=contours),
        check.output("out.heatmaps", heatmaps, dtype, (count, per_image, height, width), like=contours),
    )
    kernels(contours).render_targets(contours, offsets, landmarks, previous, style, *drawn)
    return drawn if out is None else out
