"""The only importer of ``_core``: arrays in, addresses down.

Each function runs one kernel on arrays that ``_check`` has passed, NumPy or torch alike, and first looks at their
values. They write into their outputs and return nothing. On a CUDA device looking would mean to wait for it, so that
there a contour or landmark that the CPU would refuse draws nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from echoseg import _core
from echoseg.errors import DataError

from . import _check as check

try:
    _core.simd_level()
except ValueError as error:  # ECHOSEG_SIMD names one that is not here; better said before the first kernel runs
    raise DataError(str(error)) from None

# rule, kernel_size, shape, iterations, kind, sigma, radius, type of the heatmaps
Style = tuple[int, int, int, int, int, float, float, int]
COVERAGE = 2  # the rule that draws areas, not masks


def _threads() -> int:
    """0 lets the kernels decide; inside a loader's worker one thread is enough, as its siblings have the other CPUs."""
    loader = sys.modules.get("torch.utils.data")
    return 1 if loader is not None and loader.get_worker_info() is not None else 0


def _on_cuda(array: Any) -> bool:
    return not isinstance(array, np.ndarray) and array.is_cuda


def _run(kernel: str, out: Any, arguments: tuple[Any, ...], scratch: Callable[[], int] | None = None) -> None:
    """Runs a kernel where ``out`` lies: on the CPU, or started on its CUDA device's current stream.

    Args:
        kernel: Its name in ``_core``; the CUDA twin's begins with ``cuda_``.
        out: What it writes to.
        arguments: All of its arguments but the last, which say how to run it.
        scratch: How many bytes the CUDA twin needs to work in.
    """
    if not _on_cuda(out):
        getattr(_core, kernel)(*arguments, _threads())
        return
    cuda, empty = sys.modules["torch"].cuda, sys.modules["torch"].empty
    with cuda.device(out.device):
        # may be freed while the kernel has still to run: who gets it next comes later on the same stream
        room = empty(scratch() if scratch else 0, dtype=sys.modules["torch"].uint8, device=out.device)
        stream = cuda.current_stream(out.device).cuda_stream
        getattr(_core, "cuda_" + kernel)(*arguments, room.data_ptr(), stream, out.device.index)


def _addresses(outs: int, arrays: dict[str, Any]) -> list[int]:
    """Where the arrays lie, 0 for None; the first ``outs`` of them may share memory with no other."""
    values = list(arrays.values())
    if isinstance(values[0], np.ndarray):
        starts = _core.addresses(values)
    else:
        starts = [0 if tensor is None else tensor.data_ptr() for tensor in values]
        for name, start, tensor in zip(arrays, starts, values, strict=True):
            if tensor is not None and start % tensor.element_size():
                raise check.misaligned(name)
        if values[0].is_cuda and not _core.cuda_built():
            raise check.without_cuda(next(iter(arrays)))
    clash = _core.find_overlap(starts, [0 if value is None else value.nbytes for value in values], outs)
    if clash is not None:
        names = list(arrays)
        raise check.overlapping(names[clash[0]], names[clash[1]])
    return starts


def _look(what: str, address: int, points: Any) -> None:
    bad = _core.find_bad_point(address, points.nbytes // 8)
    if bad >= 0:
        raise check.bad_point(what, bad)


def _look_at_contours(what: str, address: int, points: Any, offsets: Any) -> int:
    """Refuses values that cannot be drawn; the number of points that each contour has, or all for ragged ones."""
    if not _on_cuda(points):
        if offsets is not None:
            check.offsets_values(np.asarray(offsets), points.shape[0])
        _look(what, address, points)
    return points.shape[1] if offsets is None else points.shape[0]


def _look_at_landmarks(address: int, landmarks: Any, at_previous: int, previous: Any) -> None:
    if _on_cuda(landmarks):
        return
    _look("landmarks", address, landmarks)
    if previous is not None:
        _look("previous", at_previous, previous)


def fill_polygons(points: Any, offsets: Any, rule: int, out: Any) -> None:
    at_out, at_points, at_offsets = _addresses(1, {"out": out, "points": points, "offsets": offsets})
    each = _look_at_contours("points", at_points, points, offsets)
    count, height, width = out.shape
    contours = at_points, at_offsets, count, each
    if rule == COVERAGE:
        _run("cover_polygons", out, (*contours, height, width, at_out))
    else:
        arguments = *contours, height, width, rule, at_out
        _run("fill_polygons", out, arguments, lambda: _core.cuda_fill_scratch(count, height, width))


def morph(operation: str, masks: Any, kernel_size: int, shape: int, iterations: int, out: Any) -> None:
    at_out, at_masks = _addresses(1, {"out": out, "masks": masks})
    how = *masks.shape, kernel_size, shape, iterations
    _run(operation, out, (at_masks, *how, at_out), lambda: _core.cuda_band_scratch(*how))


def border_band_from_contours(
    points: Any, offsets: Any, rule: int, kernel_size: int, shape: int, iterations: int, out: Any
) -> None:
    at_out, at_points, at_offsets = _addresses(1, {"out": out, "contours": points, "offsets": offsets})
    each = _look_at_contours("contours", at_points, points, offsets)
    count, height, width = out.shape
    arguments = at_points, at_offsets, count, each, height, width, rule, kernel_size, shape, iterations, at_out
    how = count, height, width, kernel_size, shape, iterations
    _run("border_band_from_contours", out, arguments, lambda: _core.cuda_band_scratch(*how))


def render_heatmaps(
    landmarks: Any, previous: Any, kind: int, sigma: float, radius: float, type: int, band: Any, out: Any
) -> None:
    arrays = {"out": out, "landmarks": landmarks, "previous": previous, "band": band}
    at_out, at_landmarks, at_previous, at_band = _addresses(1, arrays)
    _look_at_landmarks(at_landmarks, landmarks, at_previous, previous)
    count, per_image, height, width = out.shape
    inputs = at_landmarks, at_previous, count, per_image, height, width
    arguments = *inputs, kind, sigma, radius, type, at_band, at_out
    _run("render_heatmaps", out, arguments, lambda: _core.cuda_heatmap_scratch(count, height, width))


def render_targets(
    points: Any, offsets: Any, landmarks: Any, previous: Any, style: Style, mask: Any, band: Any, heatmaps: Any
) -> None:
    arrays = {"out.mask": mask, "out.band": band, "out.heatmaps": heatmaps}
    arrays |= {"landmarks": landmarks, "previous": previous, "contours": points, "offsets": offsets}
    at_mask, at_band, at_heatmaps, at_landmarks, at_previous, at_points, at_offsets = _addresses(3, arrays)
    each = _look_at_contours("contours", at_points, points, offsets)
    _look_at_landmarks(at_landmarks, landmarks, at_previous, previous)
    count, per_image, height, width = heatmaps.shape
    inputs = at_points, at_offsets, count, each, at_landmarks, at_previous, per_image, height, width
    how = count, height, width, *style[1:4]
    arguments = *inputs, *style, at_mask, at_band, at_heatmaps
    _run("render_targets", heatmaps, arguments, lambda: _core.cuda_band_scratch(*how))


def decode_heatmaps(heatmaps: Any, method: int, window: float, points: Any, confidence: Any) -> None:
    at_points, at_confidence, at_heatmaps = _addresses(
        2, {"out points": points, "out confidence": confidence, "heatmaps": heatmaps}
    )
    count, per_image, height, width = heatmaps.shape
    planes = count * per_image
    _run("decode_heatmaps", points, (at_heatmaps, planes, height, width, method, window, at_points, at_confidence))


def distance_transform(masks: Any, spacing_y: float, spacing_x: float, out: Any) -> None:
    at_out, at_masks = _addresses(1, {"out": out, "masks": masks})
    count, height, width = masks.shape
    arguments = at_masks, count, height, width, spacing_y, spacing_x, at_out
    _run("distance_transform", out, arguments, lambda: _core.cuda_distance_scratch(count, height, width))


def surface_distances(predicted: Any, true: Any, spacing_y: float, spacing_x: float, hd95: Any, assd: Any) -> None:
    arrays = {"out hd95": hd95, "out assd": assd, "predicted": predicted, "true": true}
    at_hd95, at_assd, at_predicted, at_true = _addresses(2, arrays)
    count, height, width = predicted.shape
    arguments = at_predicted, at_true, count, height, width, spacing_y, spacing_x, at_hd95, at_assd
    _run("surface_distances", hd95, arguments, lambda: _core.cuda_surface_scratch(count, height, width))


def build_info() -> dict[str, Any]:
    """What the native module is: version, compiler, simd_level, simd_levels, threads, cuda_built, cuda_devices."""
    return {
        "version": _core.__version__,
        "compiler": _core.compiler,
        "simd_level": _core.simd_level(),
        "simd_levels": _core.simd_levels(),
        "threads": _core.default_threads(),
        "cuda_built": _core.cuda_built(),
        "cuda_devices": _core.cuda_devices(),
    }
