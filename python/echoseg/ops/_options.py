"""Options of the kernels: checks keyword arguments and converts them to the numbers that the native code expects.

The codes are those of the C++ enums. Each function returns the arguments of a struct in ``_core`` as a tuple of
numbers, since torch operators accept no other types.
"""

from __future__ import annotations

import math

from . import _check as check

COVERAGE = 2
FILL_RULES = {"center": 0, "opencv": 1, "coverage": COVERAGE}  # FillRule in polygon.hpp; coverage is cover_polygons
SHAPES = {"rect": 0, "cross": 1, "ellipse": 2}  # ElementShape in band.hpp
KINDS = {"gaussian": 0, "euclidean": 1}  # HeatmapKind in heatmap.hpp
TYPES = {"float32": 0, "bfloat16": 1, "float16": 2, "uint8": 3}  # HeatmapType in heatmap.hpp
METHODS = {"argmax": 0, "soft_argmax": 1, "dark": 2}  # DecodeMethod in decode.hpp
MAX_KERNEL_SIZE = 2**15


def mask_rule(rule: str) -> int:
    """Returns the code of a fill rule that draws masks."""
    if rule == "coverage":
        known = ", ".join(name for name in FILL_RULES if name != rule)
        raise ValueError(f"rule 'coverage' draws areas, not masks; choose one of: {known}")
    return check.choice("rule", rule, FILL_RULES)


def structuring_element(kernel_size: int, shape: str, iterations: int) -> tuple[int, int, int]:
    """Returns the arguments of ``_core.StructuringElement``."""
    return (
        check.integer("kernel_size", kernel_size, 1, MAX_KERNEL_SIZE),
        check.choice("shape", shape, SHAPES),
        check.integer("iterations", iterations, 1),
    )


def heatmap(kind: str, sigma: float, radius: float | None, dtype: str) -> tuple[int, float, float, int]:
    """Returns the arguments of ``_core.HeatmapOptions``."""
    kind_code, type_code = check.choice("kind", kind, KINDS), check.choice("dtype", dtype, TYPES)
    if radius is None and kind == "euclidean":
        raise ValueError('kind "euclidean" requires a radius')
    limit = math.inf if radius is None else check.positive("radius", radius)
    return kind_code, check.positive("sigma", sigma), limit, type_code
