"""The kernels: batched drawing of targets and decoding of heatmaps, on NumPy arrays and torch tensors alike.

Tensors on a CUDA device are drawn there, on its current stream, where echoseg was built with CUDA.
"""

from __future__ import annotations

from ._native import build_info
from .band import border_band, border_band_from_contours, dilate, erode
from .decode import decode_heatmaps
from .distance import distance_transform, surface_distances
from .heatmap import render_heatmaps
from .polygon import fill_polygons
from .targets import Targets, render_targets

__all__ = [
    "Targets",
    "border_band",
    "border_band_from_contours",
    "build_info",
    "decode_heatmaps",
    "dilate",
    "distance_transform",
    "erode",
    "fill_polygons",
    "render_heatmaps",
    "render_targets",
    "surface_distances",
]
