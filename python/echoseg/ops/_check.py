"""Every argument error of the kernels, in words. Shapes, dtypes and layouts are checked here, before memory is touched.

Nothing here looks at an array's values, so that ``torch.compile`` can trace it; ``_native`` looks at values.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

LARGEST_SIDE = 2**20
LARGEST_ARRAY = 2**62  # bytes
COORDINATE_LIMIT = 2**20


def is_torch(array: Any) -> bool:
    """True for a torch tensor. Does not import torch: where nobody did, there is no tensor."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def dtype_name(array: Any) -> str:
    return str(array.dtype).removeprefix("torch.") if is_torch(array) else array.dtype.name


def choice(what: str, name: str, known: Mapping[str, int]) -> int:
    """The code of a named algorithm."""
    if name not in known:
        raise ValueError(f"unknown {what} {name!r}; known: {', '.join(known)}")
    return known[name]


def integer(what: str, value: Any, least: int, most: int = 2**31 - 1) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{what} must be an integer, not {type(value).__name__}")
    if not least <= value <= most:
        raise ValueError(f"{what} must be between {least} and {most}, not {value}")
    return int(value)


def positive(what: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{what} must be a number, not {type(value).__name__}")
    if not 1e-3 <= value <= COORDINATE_LIMIT:
        raise ValueError(f"{what} must be between 0.001 and {COORDINATE_LIMIT} pixels, not {value}")
    return float(value)


def image_size(size: Any) -> tuple[int, int]:
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise TypeError(f"size must be a pair (height, width), not {size!r}")
    return integer("height", size[0], 1, LARGEST_SIDE), integer("width", size[1], 1, LARGEST_SIDE)


def array(what: str, value: Any, dtype: str, shape: str, *, like: Any = None) -> Any:
    """Refuses what a kernel cannot read as it lies in memory.

    Args:
        what: The argument's name.
        value: The array.
        dtype: The one dtype that is taken.
        shape: Such as "(N, K, 2)": as many axes, and an axis that is a number must have that length.
        like: An array whose framework and device must be the same.
    """
    if not isinstance(value, np.ndarray) and not is_torch(value):
        raise TypeError(f"{what} must be a NumPy array or a torch tensor, not {type(value).__name__}")
    if dtype_name(value) != dtype:
        raise TypeError(f"{what} must be {dtype}, not {dtype_name(value)}")
    axes = shape.strip("()").split(", ")
    if value.ndim != len(axes) or any(a.isdigit() and int(a) != n for a, n in zip(axes, value.shape, strict=True)):
        raise ValueError(f"{what} must have the shape {shape}, not {tuple(value.shape)}")
    if is_torch(value):
        if not value.is_contiguous():
            raise ValueError(f"{what} must be contiguous; call .contiguous() on it")
        if value.device.type != "cpu":
            raise NotImplementedError(
                f"{what} is on {value.device}, but the kernels run on the CPU so far; call .cpu() on it"
            )
    elif not (value.flags.c_contiguous and value.flags.aligned and value.dtype.isnative):
        raise ValueError(f"{what} must be contiguous, aligned and in native byte order; use numpy.ascontiguousarray")
    if like is not None and is_torch(value) != is_torch(like):
        raise TypeError(f"{what} must be of the same framework as the other arrays (NumPy or torch)")
    return value


def output(what: str, out: Any, dtype: str, shape: tuple[int, ...], *, like: Any) -> Any:
    """``out`` where it fits, a fresh array of the framework of ``like`` where it is None."""
    if np.dtype(dtype).itemsize * _product(shape) > LARGEST_ARRAY:
        raise ValueError(f"{what} of shape {shape} would be too large to address")
    if out is None:
        if is_torch(like):
            torch = sys.modules["torch"]
            return torch.empty(shape, dtype=getattr(torch, dtype), device=like.device)
        return np.empty(shape, dtype)
    array(what, out, dtype, str(shape) if len(shape) > 1 else f"({shape[0]})", like=like)
    if not is_torch(out) and not out.flags.writeable:
        raise ValueError(f"{what} must be writeable")
    return out


def contours(points: Any, offsets: Any) -> tuple[Any, Any, int, int]:
    """(points, offsets, number of contours, points each); the last is 0 for ragged contours."""
    if offsets is None:
        array("points", points, "float32", "(N, P, 2)")
        return points, None, points.shape[0], points.shape[1]
    array("points", points, "float32", "(M, 2)")
    array("offsets", offsets, "int64", "(N+1)", like=points)
    if offsets.shape[0] == 0:
        raise ValueError("offsets must hold at least one number: N contours have N + 1 offsets")
    return points, offsets, offsets.shape[0] - 1, 0


def offsets_values(offsets: np.ndarray, points: int) -> None:
    """Refuses offsets that do not run from 0 to the number of points without going back."""
    if offsets[0] != 0 or offsets[-1] != points:
        raise ValueError(
            f"offsets must run from 0 to {points}, the number of points, not from {offsets[0]} to {offsets[-1]}"
        )
    back = np.flatnonzero(offsets[1:] < offsets[:-1])
    if back.size:
        raise ValueError(f"offsets must not decrease, but offsets[{back[0] + 1}] is less than offsets[{back[0]}]")


def bad_point(what: str, index: int) -> ValueError:
    return ValueError(
        f"{what} must be finite and at most {COORDINATE_LIMIT} pixels from the origin; point {index} is not"
    )


def misaligned(what: str) -> ValueError:
    return ValueError(f"{what} must be aligned to its dtype; use a copy")


def overlapping(what: str) -> ValueError:
    return ValueError(f"out must not share memory with {what}")


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for length in shape:
        product *= length
    return product
