"""The kernels as torch operators, so that ``torch.compile(fullgraph=True)`` goes through them.

Each takes its outputs as arguments that it writes to; allocation stays with torch. They have no gradients: what they
make are targets. Imported at the first tensor, never before.
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import _native


@torch.library.custom_op("echoseg::fill_polygons", mutates_args=("out",))
def fill_polygons(points: Tensor, offsets: Tensor | None, rule: int, out: Tensor) -> None:
    _native.fill_polygons(points, offsets, rule, out)


@torch.library.custom_op("echoseg::morph", mutates_args=("out",))
def morph(operation: str, masks: Tensor, kernel_size: int, shape: int, iterations: int, out: Tensor) -> None:
    _native.morph(operation, masks, kernel_size, shape, iterations, out)


@torch.library.custom_op("echoseg::border_band_from_contours", mutates_args=("out",))
def border_band_from_contours(
    points: Tensor, offsets: Tensor | None, rule: int, kernel_size: int, shape: int, iterations: int, out: Tensor
) -> None:
    _native.border_band_from_contours(points, offsets, rule, kernel_size, shape, iterations, out)


@torch.library.custom_op("echoseg::render_heatmaps", mutates_args=("out",))
def render_heatmaps(
    landmarks: Tensor,
    previous: Tensor | None,
    kind: int,
    sigma: float,
    radius: float,
    type: int,
    band: Tensor | None,
    out: Tensor,
) -> None:
    _native.render_heatmaps(landmarks, previous, kind, sigma, radius, type, band, out)


@torch.library.custom_op("echoseg::render_targets", mutates_args=("mask", "band", "heatmaps"))
def _render_targets(
    points: Tensor,
    offsets: Tensor | None,
    landmarks: Tensor,
    previous: Tensor | None,
    rule: int,
    kernel_size: int,
    shape: int,
    iterations: int,
    kind: int,
    sigma: float,
    radius: float,
    type: int,
    mask: Tensor,
    band: Tensor,
    heatmaps: Tensor,
) -> None:
    style = (rule, kernel_size, shape, iterations, kind, sigma, radius, type)
    _native.render_targets(points, offsets, landmarks, previous, style, mask, band, heatmaps)


def render_targets(
    points: Tensor,
    offsets: Tensor | None,
    landmarks: Tensor,
    previous: Tensor | None,
    style: _native.Style,
    mask: Tensor,
    band: Tensor,
    heatmaps: Tensor,
) -> None:
    _render_targets(points, offsets, landmarks, previous, *style, mask, band, heatmaps)


@torch.library.custom_op("echoseg::decode_heatmaps", mutates_args=("points", "confidence"))
def decode_heatmaps(heatmaps: Tensor, method: int, window: float, points: Tensor, confidence: Tensor) -> None:
    _native.decode_heatmaps(heatmaps, method, window, points, confidence)


@torch.library.custom_op("echoseg::distance_transform", mutates_args=("out",))
def distance_transform(masks: Tensor, spacing_y: float, spacing_x: float, out: Tensor) -> None:
    _native.distance_transform(masks, spacing_y, spacing_x, out)


@torch.library.custom_op("echoseg::surface_distances", mutates_args=("hd95", "assd"))
def surface_distances(
    predicted: Tensor, true: Tensor, spacing_y: float, spacing_x: float, hd95: Tensor, assd: Tensor
) -> None:
    _native.surface_distances(predicted, true, spacing_y, spacing_x, hd95, assd)


for _operator in (
    fill_polygons,
    morph,
    border_band_from_contours,
    render_heatmaps,
    _render_targets,
    decode_heatmaps,
    distance_transform,
    surface_distances,
):
    _operator.register_fake(lambda *arguments: None)
