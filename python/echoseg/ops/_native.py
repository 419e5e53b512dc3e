"""Calls the kernels in ``_core``, which no other module imports.

Each kernel takes NumPy arrays or torch tensors that ``_check`` has accepted, checks their values, and writes to its
outputs. Reading the values of a tensor on a CUDA device would synchronise with the device, so they are not checked
there: a contour or landmark that the CPU implementation rejects draws nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from echoseg import _core
from echoseg.errors import DataError

from . import _check as check
from ._kernels import KERNELS, Kernel
from ._options import COVERAGE

try:
    _core.simd_level()
except ValueError as error:  # ECHOSEG_SIMD is invalid; reported at import instead of by the first kernel
    raise DataError(str(error)) from None


# Options rarely change between calls, and creating a struct takes longer than finding it in a cache.
_cpu = lru_cache(_core.Execution)
_structuring_element = lru_cache(_core.StructuringElement)
_heatmap_options = lru_cache(_core.HeatmapOptions)
_target_options = lru_cache(_core.TargetOptions)


def _kernel(schema: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Declares a kernel. NumPy arrays are passed to it directly; tensors go through a torch operator of this schema."""

    def declare(function: Callable[..., None]) -> Callable[..., None]:
        name = function.__name__
        KERNELS[name] = Kernel(function, f"{schema} -> ()")

        def call(*arguments: Any) -> None:
            if isinstance(arguments[0], np.ndarray):
                function(*arguments)
                return
            from ._torch import OPERATORS

            OPERATORS[name](*arguments)

        return call

    return declare


def _threads() -> int:
    """Number of threads of a kernel: 1 in a worker process of a ``DataLoader``, else 0, which is the default number."""
    loader = sys.modules.get("torch.utils.data")
    return 1 if loader is not None and loader.get_worker_info() is not None else 0


def _on_cuda(array: Any) -> bool:
    return not isinstance(array, np.ndarray) and array.is_cuda


def _run(
    kernel: Callable[..., None],
    out: Any,
    arguments: tuple[Any, ...],
    workspace_bytes: Callable[..., int] | None = None,
    *workspace_arguments: Any,
) -> None:
    """Runs a kernel on the CPU, or starts it on the current stream of the CUDA device of ``out``.

    Args:
        kernel: A function of ``_core``.
        out: An output of the kernel.
        arguments: All of its arguments except the last, ``execution``.
        workspace_bytes: A function of ``_core`` that returns the size of the workspace on a CUDA device; None for 0.
        *workspace_arguments: Its arguments.
    """
    if not _on_cuda(out):
        kernel(*arguments, _cpu(_threads()))
        return
    torch = sys.modules["torch"]
    with torch.cuda.device(out.device):
        # The workspace may be freed before the kernel has run: whatever reuses it runs later on the same stream.
        size = workspace_bytes(*workspace_arguments) if workspace_bytes else 0
        workspace = torch.empty(size, dtype=torch.uint8, device=out.device)
        stream = torch.cuda.current_stream(out.device).cuda_stream
        kernel(*arguments, _core.Execution(0, out.device.index, stream, workspace.data_ptr()))


def _pointers(outs: int, arrays: dict[str, Any]) -> list[int]:
    """Returns the addresses of arrays, 0 for None. The first ``outs`` arrays must not share memory with any other."""
    values = list(arrays.values())
    if isinstance(values[0], np.ndarray):
        pointers = _core.addresses(values)
    else:
        pointers = [0 if tensor is None else tensor.data_ptr() for tensor in values]
        for name, pointer, tensor in zip(arrays, pointers, values, strict=True):
            if tensor is not None and pointer % tensor.element_size():
                raise ValueError(f"{name} must be aligned to its dtype; use a copy")
        if values[0].is_cuda and not _core.cuda_built():
            raise RuntimeError(
                f"{next(iter(arrays))} is on a CUDA device, but this build of echoseg has no CUDA kernels: install it"
                " with -Ccmake.define.ECHOSEG_CUDA=ON, or call .cpu() on it"
            )
    overlap = _core.find_overlap(pointers, [0 if value is None else value.nbytes for value in values], outs)
    if overlap is not None:
        first, second = (list(arrays)[i] for i in overlap)
        raise ValueError(f"{first} must not share memory with {second}")
    return pointers


def _check_points(name: str, pointer: int, points: Any) -> None:
    """Checks that all coordinates are finite and not too large, if they are on the CPU."""
    if points is None or _on_cuda(points):
        return
    index = _core.find_invalid_point(pointer, points.nbytes // 8)
    if index >= 0:
        raise ValueError(
            f"{name} must be finite and at most {check.COORDINATE_LIMIT} pixels from the origin; point {index} is not"
        )


def _check_contours(name: str, pointer: int, points: Any, offsets: Any) -> int:
    """Checks the values of contours on the CPU and returns ``points_per_contour``, see ``Contours`` in types.hpp."""
    if offsets is None:
        _check_points(name, pointer, points)
        return points.shape[1]
    if not _on_cuda(points):
        check.offset_values(np.asarray(offsets), points.shape[0])
    _check_points(name, pointer, points)
    return points.shape[0]


@_kernel("(Tensor points, Tensor? offsets, Tensor(a!) out, int rule)")
def fill_polygons(points: Any, offsets: Any, out: Any, rule: int) -> None:
    out_ptr, points_ptr, offsets_ptr = _pointers(1, {"out": out, "points": points, "offsets": offsets})
    points_per_contour = _check_contours("points", points_ptr, points, offsets)
    count, height, width = out.shape
    contours = points_ptr, offsets_ptr, count, points_per_contour, height, width
    if rule == COVERAGE:
        _run(_core.cover_polygons, out, (*contours, out_ptr))
    else:
        _run(_core.fill_polygons, out, (*contours, rule, out_ptr), _core.fill_workspace_bytes, count, height, width)


@_kernel("(Tensor masks, Tensor(a!) out, str operation, int kernel_size, int shape, int iterations)")
def morph(masks: Any, out: Any, operation: str, *element: int) -> None:
    out_ptr, masks_ptr = _pointers(1, {"out": out, "masks": masks})
    inputs = *masks.shape, _structuring_element(*element)
    _run(getattr(_core, operation), out, (masks_ptr, *inputs, out_ptr), _core.band_workspace_bytes, *inputs)


@_kernel("(Tensor contours, Tensor? offsets, Tensor(a!) out, int rule, int kernel_size, int shape, int iterations)")
def border_band_from_contours(contours: Any, offsets: Any, out: Any, rule: int, *element: int) -> None:
    out_ptr, points_ptr, offsets_ptr = _pointers(1, {"out": out, "contours": contours, "offsets": offsets})
    points_per_contour = _check_contours("contours", points_ptr, contours, offsets)
    count, height, width = out.shape
    options = _structuring_element(*element)
    arguments = points_ptr, offsets_ptr, count, points_per_contour, height, width, rule, options, out_ptr
    workspace = count, height, width, options
    _run(_core.border_band_from_contours, out, arguments, _core.band_workspace_bytes, *workspace)


@_kernel(
    "(Tensor landmarks, Tensor? previous, Tensor? band, Tensor(a!) out, int kind, float sigma, float radius, int dtype)"
)
def render_heatmaps(landmarks: Any, previous: Any, band: Any, out: Any, *options: float) -> None:
    arrays = {"out": out, "landmarks": landmarks, "previous": previous, "band": band}
    out_ptr, landmarks_ptr, previous_ptr, band_ptr = _pointers(1, arrays)
    _check_points("landmarks", landmarks_ptr, landmarks)
    _check_points("previous", previous_ptr, previous)
    count, per_image, height, width = out.shape
    inputs = landmarks_ptr, previous_ptr, count, per_image, height, width
    arguments = *inputs, _heatmap_options(*options), band_ptr, out_ptr
    _run(_core.render_heatmaps, out, arguments, _core.heatmap_workspace_bytes, count, height, width)


@_kernel(
    "(Tensor contours, Tensor? offsets, Tensor landmarks, Tensor? previous, Tensor(a!) mask, Tensor(b!) band,"
    " Tensor(c!) heatmaps, int rule, int kernel_size, int shape, int iterations, int kind, float sigma, float radius,"
    " int dtype)"
)
def render_targets(
    contours: Any, offsets: Any, landmarks: Any, previous: Any, mask: Any, band: Any, heatmaps: Any, *options: Any
) -> None:
    arrays = {"out.mask": mask, "out.band": band, "out.heatmaps": heatmaps}
    arrays |= {"landmarks": landmarks, "previous": previous, "contours": contours, "offsets": offsets}
    mask_ptr, band_ptr, heatmaps_ptr, landmarks_ptr, previous_ptr, points_ptr, offsets_ptr = _pointers(3, arrays)
    points_per_contour = _check_contours("contours", points_ptr, contours, offsets)
    _check_points("landmarks", landmarks_ptr, landmarks)
    _check_points("previous", previous_ptr, previous)
    count, per_image, height, width = heatmaps.shape
    inputs = points_ptr, offsets_ptr, count, points_per_contour, landmarks_ptr, previous_ptr, per_image, height, width
    target_options = _target_options(*options)
    arguments = *inputs, target_options, mask_ptr, band_ptr, heatmaps_ptr
    workspace = count, height, width, target_options
    _run(_core.render_targets, heatmaps, arguments, _core.target_workspace_bytes, *workspace)


@_kernel("(Tensor heatmaps, Tensor(a!) points, Tensor(b!) confidence, int method, float window)")
def decode_heatmaps(heatmaps: Any, points: Any, confidence: Any, method: int, window: float) -> None:
    arrays = {"out points": points, "out confidence": confidence, "heatmaps": heatmaps}
    points_ptr, confidence_ptr, heatmaps_ptr = _pointers(2, arrays)
    count, per_image, height, width = heatmaps.shape
    arguments = heatmaps_ptr, count * per_image, height, width, method, window, points_ptr, confidence_ptr
    _run(_core.decode_heatmaps, points, arguments)


@_kernel("(Tensor masks, Tensor(a!) out, float spacing_y, float spacing_x)")
def distance_transform(masks: Any, out: Any, spacing_y: float, spacing_x: float) -> None:
    out_ptr, masks_ptr = _pointers(1, {"out": out, "masks": masks})
    arguments = masks_ptr, *masks.shape, spacing_y, spacing_x, out_ptr
    _run(_core.distance_transform, out, arguments, _core.distance_workspace_bytes, *masks.shape)


@_kernel("(Tensor predicted, Tensor true, Tensor(a!) hd95, Tensor(b!) assd, float spacing_y, float spacing_x)")
def surface_distances(predicted: Any, true: Any, hd95: Any, assd: Any, spacing_y: float, spacing_x: float) -> None:
    arrays = {"out hd95": hd95, "out assd": assd, "predicted": predicted, "true": true}
    hd95_ptr, assd_ptr, predicted_ptr, true_ptr = _pointers(2, arrays)
    arguments = predicted_ptr, true_ptr, *predicted.shape, spacing_y, spacing_x, hd95_ptr, assd_ptr
    _run(_core.surface_distances, hd95, arguments, _core.surface_workspace_bytes, *predicted.shape)


def build_info() -> dict[str, Any]:
    """Returns information about the native module.

    Returns:
        ``version``, ``compiler``, ``simd_level`` (the instruction-set level in use), ``simd_levels`` (all available
        ones), ``threads`` (the default number), ``cuda_built`` and ``cuda_devices`` (names).

    Example:
        >>> info = build_info()
        >>> info["simd_level"] in info["simd_levels"]
        True
    """
    return {
        "version": _core.__version__,
        "compiler": _core.compiler,
        "simd_level": _core.simd_level(),
        "simd_levels": _core.simd_levels(),
        "threads": _core.default_threads(),
        "cuda_built": _core.cuda_built(),
        "cuda_devices": _core.cuda_devices(),
    }
