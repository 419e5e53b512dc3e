"""The kernels as torch operators, for calls that torch must see.

These are calls while ``torch.compile``, ``torch.export`` or ``torch.jit.trace`` traces or a mode of torch is active,
and calls with tensors of a subclass, transformed by ``torch.func``, or negated lazily. All others go to the native
module at once. The functions have the names and arguments of the native ones. They allocate outputs by torch and call
an operator, which calls the native function, and this checks all arguments.

The operators have no gradients, since their results are training targets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ._native import core

Tensor = torch.Tensor
Optional = torch.Tensor | None
Size = Sequence[int]

_ELEMENT = "int kernel_size, str shape, int iterations"
_HEATMAP = "str kind, float sigma, float? radius"
_SCHEMAS = {
    "fill_polygons": "Tensor points, SymInt[] size, Tensor? offsets, str rule, Tensor(a!) out",
    "dilate": f"Tensor masks, {_ELEMENT}, Tensor(a!) out",
    "erode": f"Tensor masks, {_ELEMENT}, Tensor(a!) out",
    "border_band": f"Tensor masks, {_ELEMENT}, Tensor(a!) out",
    "border_band_from_contours": (
        f"Tensor contours, SymInt[] size, Tensor? offsets, str rule, {_ELEMENT}, Tensor(a!) out"
    ),
    "render_heatmaps": (
        f"Tensor landmarks, SymInt[] size, {_HEATMAP}, Tensor? band, str dtype, Tensor(a!) out, Tensor? previous"
    ),
    "render_targets": (
        f"Tensor contours, Tensor landmarks, SymInt[] size, Tensor? offsets, str rule, {_ELEMENT}, {_HEATMAP},"
        " str dtype, Tensor(a!) mask, Tensor(b!) band, Tensor(c!) heatmaps, Tensor? previous"
    ),
    "decode_heatmaps": "Tensor heatmaps, str method, float window, Tensor(a!) points, Tensor(b!) confidence",
    "distance_transform": "Tensor masks, float[]? spacing, Tensor(a!) out",
    "surface_distances": "Tensor predicted, Tensor true, float[]? spacing, Tensor(a!) hd95, Tensor(b!) assd",
    "normalized_surface_dice": ("Tensor predicted, Tensor true, float tolerance, float[]? spacing, Tensor(a!) out"),
}


def _register(name: str, schema: str) -> torch.library.CustomOpDef:
    native = getattr(core, name)

    def run(*arguments: Any) -> None:
        native(*arguments, direct=True)

    outputs = re.findall(r"!\) (\w+)", schema)
    operator = torch.library.custom_op(f"echoseg::{name}", run, mutates_args=outputs, schema=f"({schema}) -> ()")
    operator.register_fake(lambda *arguments: None)
    return operator


OPERATORS = {name: _register(name, schema) for name, schema in _SCHEMAS.items()}


def fill_polygons(points: Tensor, size: Size, offsets: Optional, rule: str, out: Optional) -> Tensor:
    _require_tensors(offsets=offsets, out=out)
    dtype = torch.float32 if rule == "coverage" else torch.uint8
    out = _output(out, (*_count(points, offsets), *size), dtype, points)
    OPERATORS["fill_polygons"](points, size, offsets, rule, out)
    return out


def dilate(masks: Tensor, kernel_size: int, shape: str, iterations: int, out: Optional) -> Tensor:
    _require_tensors(out=out)
    out = _output(out, masks.shape, torch.uint8, masks)
    OPERATORS["dilate"](masks, kernel_size, shape, iterations, out)
    return out


def erode(masks: Tensor, kernel_size: int, shape: str, iterations: int, out: Optional) -> Tensor:
    _require_tensors(out=out)
    out = _output(out, masks.shape, torch.uint8, masks)
    OPERATORS["erode"](masks, kernel_size, shape, iterations, out)
    return out


def border_band(masks: Tensor, kernel_size: int, shape: str, iterations: int, out: Optional) -> Tensor:
    _require_tensors(out=out)
    out = _output(out, masks.shape, torch.uint8, masks)
    OPERATORS["border_band"](masks, kernel_size, shape, iterations, out)
    return out


def border_band_from_contours(
    contours: Tensor,
    size: Size,
    offsets: Optional,
    rule: str,
    kernel_size: int,
    shape: str,
    iterations: int,
    out: Optional,
) -> Tensor:
    _require_tensors(offsets=offsets, out=out)
    out = _output(out, (*_count(contours, offsets), *size), torch.uint8, contours)
    OPERATORS["border_band_from_contours"](contours, size, offsets, rule, kernel_size, shape, iterations, out)
    return out


def render_heatmaps(
    landmarks: Tensor,
    size: Size,
    kind: str,
    sigma: float,
    radius: float | None,
    band: Optional,
    dtype: str,
    out: Optional,
    previous: Optional,
) -> Tensor:
    _require_tensors(band=band, out=out, previous=previous)
    _require_out(previous, out)
    out = _output(out, (*landmarks.shape[:2], *size), getattr(torch, dtype), landmarks)
    OPERATORS["render_heatmaps"](landmarks, size, kind, sigma, radius, band, dtype, out, previous)
    return out


def render_targets(
    contours: Tensor,
    landmarks: Tensor,
    size: Size,
    offsets: Optional,
    *settings: Any,  # rule, kernel_size, shape, iterations, kind, sigma, radius, dtype, mask, band, heatmaps, previous
) -> tuple[Tensor, Tensor, Tensor]:
    *options, dtype, mask, band, heatmaps, previous = settings
    _require_tensors(landmarks=landmarks, offsets=offsets, previous=previous)
    _require_tensors(**{"out.mask": mask, "out.band": band, "out.heatmaps": heatmaps})
    _require_out(previous, heatmaps)
    shape = (*_count(contours, offsets), *size)
    mask = _output(mask, shape, torch.uint8, contours)
    band = _output(band, shape, torch.uint8, contours)
    heatmaps = _output(heatmaps, (*landmarks.shape[:2], *size), getattr(torch, dtype), contours)
    OPERATORS["render_targets"](contours, landmarks, size, offsets, *options, dtype, mask, band, heatmaps, previous)
    return mask, band, heatmaps


def decode_heatmaps(
    heatmaps: Tensor, method: str, window: float, points: Optional, confidence: Optional
) -> tuple[Tensor, Tensor]:
    _require_tensors(**{"out points": points, "out confidence": confidence})
    planes = heatmaps.shape[:2]
    points = _output(points, (*planes, 2), torch.float32, heatmaps)
    confidence = _output(confidence, planes, torch.float32, heatmaps)
    OPERATORS["decode_heatmaps"](heatmaps, method, window, points, confidence)
    return points, confidence


def distance_transform(masks: Tensor, spacing: Sequence[float] | None, out: Optional) -> Tensor:
    _require_tensors(out=out)
    out = _output(out, masks.shape, torch.float32, masks)
    OPERATORS["distance_transform"](masks, spacing, out)
    return out


def surface_distances(
    predicted: Tensor, true: Tensor, spacing: Sequence[float] | None, hd95: Optional, assd: Optional
) -> tuple[Tensor, Tensor]:
    _require_tensors(true=true, **{"out hd95": hd95, "out assd": assd})
    hd95 = _output(hd95, predicted.shape[:1], torch.float64, predicted)
    assd = _output(assd, predicted.shape[:1], torch.float64, predicted)
    OPERATORS["surface_distances"](predicted, true, spacing, hd95, assd)
    return hd95, assd


def normalized_surface_dice(
    predicted: Tensor, true: Tensor, tolerance: float, spacing: Sequence[float] | None, out: Optional
) -> Tensor:
    _require_tensors(true=true, out=out)
    out = _output(out, predicted.shape[:1], torch.float64, predicted)
    OPERATORS["normalized_surface_dice"](predicted, true, tolerance, spacing, out)
    return out


def _require_tensors(**arrays: Any) -> None:
    """Raises the native module's error in place of the RuntimeError that torch raises for other types."""
    for name, array in arrays.items():
        if isinstance(array, np.ndarray):
            raise TypeError(f"{name} must be of the same framework as the other arrays (NumPy or torch)")
        if array is not None and not isinstance(array, Tensor):
            raise TypeError(f"{name} must be a NumPy array or a torch tensor, not {type(array).__name__}")


def _require_out(previous: Optional, out: Optional) -> None:
    """Raises the native module's error, which does not occur once ``out`` is allocated."""
    if previous is not None and out is None:
        raise ValueError("previous requires out: pass the output that was drawn from these landmarks")


def _count(points: Tensor, offsets: Optional) -> Size:
    return points.shape[:1] if offsets is None else (torch.sym_max(offsets.numel() - 1, 0),)


def _output(out: Optional, shape: Size, dtype: torch.dtype, like: Tensor) -> Tensor:
    return torch.empty(shape, dtype=dtype, device=like.device) if out is None else out
