"""The only importer of ``_core``: arrays in, addresses down.

Each function runs one kernel on arrays that ``_check`` has passed, NumPy or torch alike, and first looks at their
values. They write into their outputs and return nothing.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from echoseg import _core

from . import _check as check


def _threads() -> int:
    """0 lets the kernels decide; inside a loader's worker one thread is enough, as its siblings have the other CPUs."""
    loader = sys.modules.get("torch.utils.data")
    return 1 if loader is not None and loader.get_worker_info() is not None else 0


def _address(what: str, array: Any) -> int:
    if array is None:
        return 0
    address = array.data_ptr() if check.is_torch(array) else array.ctypes.data
    if address % (array.element_size() if check.is_torch(array) else array.itemsize):
        raise check.misaligned(what)
    return address


def _span(array: Any) -> tuple[int, int]:
    start = _address("", array)
    return start, start + (array.nbytes if array is not None else 0)


def _refuse_overlap(outs: tuple[Any, ...], **inputs: Any) -> None:
    for out in outs:
        low, high = _span(out)
        for name, array in inputs.items():
            start, end = _span(array)
            if low < end and start < high:
                raise check.overlapping(name)


def _point_addresses(what: str, points: Any) -> int:
    address = _address(what, points)
    bad = _core.find_bad_point(address, (points.nbytes // 8))
    if bad >= 0:
        raise check.bad_point(what, bad)
    return address


def _contour_addresses(points: Any, offsets: Any) -> tuple[int, int]:
    if offsets is not None:
        _address("offsets", offsets)
        check.offsets_values(np.asarray(offsets), points.shape[0])
    return _point_addresses("points", points), _address("offsets", offsets)


def fill_polygons(points: Any, offsets: Any, rule: int, out: Any) -> None:
    _refuse_overlap((out,), points=points, offsets=offsets)
    count, height, width = out.shape
    each = 0 if offsets is not None else points.shape[1]
    address, offset_address = _contour_addresses(points, offsets)
    _core.fill_polygons(address, offset_address, count, each, height, width, rule, _address("out", out), _threads())


def morph(operation: str, masks: Any, kernel_size: int, shape: int, iterations: int, out: Any) -> None:
    _refuse_overlap((out,), masks=masks)
    function = {"dilate": _core.dilate, "erode": _core.erode, "border_band": _core.border_band}[operation]
    count, height, width = masks.shape
    source, target = _address("masks", masks), _address("out", out)
    function(source, count, height, width, kernel_size, shape, iterations, target, _threads())


def render_heatmaps(landmarks: Any, kind: int, sigma: float, radius: float, band: Any, out: Any) -> None:
    _refuse_overlap((out,), landmarks=landmarks, band=band)
    count, per_image, height, width = out.shape
    source = _point_addresses("landmarks", landmarks)
    band_address, target = _address("band", band), _address("out", out)
    _core.render_heatmaps(
        source, count, per_image, height, width, kind, sigma, radius, band_address, target, _threads()
    )


def render_targets(
    points: Any,
    offsets: Any,
    landmarks: Any,
    style: tuple[int, int, int, int, int, float, float],
    mask: Any,
    band: Any,
    heatmaps: Any,
) -> None:
    """``style``: rule, kernel_size, shape, iterations, kind, sigma, radius."""
    _refuse_overlap((mask, band, heatmaps), points=points, offsets=offsets, landmarks=landmarks)
    _refuse_overlap((mask,), band=band, heatmaps=heatmaps)
    _refuse_overlap((band,), heatmaps=heatmaps)
    count, per_image, height, width = heatmaps.shape
    each = 0 if offsets is not None else points.shape[1]
    address, offset_address = _contour_addresses(points, offsets)
    landmark_address = _point_addresses("landmarks", landmarks)
    outs = _address("mask", mask), _address("band", band), _address("heatmaps", heatmaps)
    _core.render_targets(
        address, offset_address, count, each, landmark_address, per_image, height, width, *style, *outs, _threads()
    )


def decode_argmax(heatmaps: Any, points: Any, confidence: Any) -> None:
    _refuse_overlap((points, confidence), heatmaps=heatmaps)
    _refuse_overlap((points,), confidence=confidence)
    count, per_image, height, width = heatmaps.shape
    outs = _address("points", points), _address("confidence", confidence)
    _core.decode_argmax(_address("heatmaps", heatmaps), count * per_image, height, width, *outs, _threads())


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
