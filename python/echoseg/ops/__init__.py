"""Kernels on batches of NumPy arrays or torch tensors: training targets, decoding of heatmaps, and distances.

Tensors on a CUDA device are processed on its current stream, if echoseg was built with CUDA.
"""

from __future__ import annotations

from ._native import build_info
from .band import border_band, border_band_from_contours, dilate, erode
from .decode import decode_heatmaps
from .distance import distance_transform, normalized_surface_dice, surface_distances
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
    "normalized_surface_dice",
    "render_heatmaps",
    "render_targets",
    "surface_distances",
]
