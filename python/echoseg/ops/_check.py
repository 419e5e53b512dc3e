"""Checks of the arguments of the kernels: types, dtypes, shapes and memory layout.

Nothing in this file reads the values of an array, so that ``torch.compile`` can trace it; ``_native`` checks values.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.ma import MaskedArray
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

# Array is the type of the first array and of the result of a function, AnyArray that of its other arrays. At run time
# torch is not imported.
Array = TypeVar("Array", NDArray[Any], "torch.Tensor")
AnyArray: TypeAlias = "NDArray[Any] | torch.Tensor"

MAX_SIDE = 2**20
MAX_BYTES = 2**62
COORDINATE_LIMIT = 2**20  # kCoordinateLimit in cpp/include/echoseg/types.hpp
DTYPES = {name: np.dtype(name) for name in ("uint8", "int64", "float16", "float32", "float64")}


def is_torch(array: Any) -> bool:
    """Whether an object is a torch tensor. Does not import torch: without it there are no tensors."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def choice(name: str, value: str, codes: Mapping[str, int]) -> int:
    """Returns the code of an option, or raises a ``ValueError`` that lists the valid ones."""
    if value not in codes:
        raise ValueError(f"unknown {name} {value!r}; known: {', '.join(codes)}")
    return codes[value]


def integer(name: str, value: Any, minimum: int, maximum: int = 2**31 - 1) -> int:
    """Returns an integer in a range as an ``int``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}")
    if not minimum <= value <= maximum:
        raise ValueError(f"{name} must be between {minimum} and {maximum}, not {value}")
    return int(value)


def positive(name: str, value: Any) -> float:
    """Returns a positive number of pixels as a ``float``."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    if not 1e-3 <= value <= COORDINATE_LIMIT:
        raise ValueError(f"{name} must be between 0.001 and {COORDINATE_LIMIT} pixels, not {value}")
    return float(value)


def spacing(value: Any) -> tuple[float, float]:
    """Returns the spacing (dy, dx); (1, 1) for None."""
    if value is None:
        return 1.0, 1.0
    if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 2:
        raise TypeError(f"spacing must be a pair (dy, dx), not {value!r}")
    for step in value:
        if isinstance(step, bool) or not isinstance(step, (int, float, np.integer, np.floating)):
            raise TypeError(f"spacing must contain two numbers, not {type(step).__name__}")
        if not 1e-9 <= step <= 1e9:
            raise ValueError(f"spacing must be between 1e-9 and 1e9, not {step}")
    return float(value[0]), float(value[1])


def image_size(size: Any) -> tuple[int, int]:
    """Returns an image size as (height, width)."""
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise TypeError(f"size must be a pair (height, width), not {size!r}")
    return integer("height", size[0], 1, MAX_SIDE), integer("width", size[1], 1, MAX_SIDE)


def array(name: str, value: Any, dtype: str, shape: tuple[str | int, ...], *, like: Any = None) -> None:
    """Checks that a kernel can read an array in place.

    Args:
        name: Name of the argument.
        value: The array.
        dtype: The required dtype.
        shape: The required shape, such as ("N", "K", 2). Axes given as numbers must have that length.
        like: An array whose framework and device are required.

    Raises:
        TypeError: If the type, dtype or framework is wrong.
        ValueError: If the shape, memory layout or device is wrong.
    """
    if isinstance(value, MaskedArray):
        raise TypeError(f"{name} must not be a masked array, because the kernels ignore masks; use .filled()")
    if isinstance(value, np.ndarray):
        native = value.dtype == DTYPES[dtype]
    elif is_torch(value):
        native = value.dtype == getattr(sys.modules["torch"], dtype)
    else:
        raise TypeError(f"{name} must be a NumPy array or a torch tensor, not {type(value).__name__}")
    if not native and (found := _dtype_name(value)) != dtype:
        raise TypeError(f"{name} must be {dtype}, not {found}")
    if not _has_shape(value.shape, shape):
        raise ValueError(f"{name} must have the shape {_shape_text(shape)}, not {_shape_text(value.shape)}")
    _layout(name, value, native)
    if like is not None and isinstance(value, np.ndarray) != isinstance(like, np.ndarray):
        raise TypeError(f"{name} must be of the same framework as the other arrays (NumPy or torch)")
    if like is not None and not isinstance(value, np.ndarray) and value.device != like.device:
        raise ValueError(f"{name} must be on the same device as the other arrays, {like.device}, not on {value.device}")


def _has_shape(found: tuple[int, ...], required: tuple[str | int, ...]) -> bool:
    if len(found) != len(required):
        return False
    for length, required_length in zip(found, required, strict=True):
        if not isinstance(required_length, str) and length != required_length:
            return False
    return True


def _dtype_name(array: Any) -> str:
    """Returns the name of a dtype without its byte order, which ``_layout`` checks."""
    return array.dtype.name if isinstance(array, np.ndarray) else str(array.dtype).removeprefix("torch.")


def _layout(name: str, value: Any, native: bool) -> None:
    if isinstance(value, np.ndarray):
        if not (native and value.flags.c_contiguous and value.flags.aligned):
            raise ValueError(
                f"{name} must be contiguous, aligned and in native byte order; use numpy.ascontiguousarray"
            )
    elif not value.is_contiguous():
        raise ValueError(f"{name} must be contiguous; call .contiguous() on it")
    elif value.device.type not in ("cpu", "cuda"):
        raise ValueError(
            f"{name} is on {value.device}, but the kernels run on the CPU and on CUDA devices; call .cpu() on it"
        )


def previous(landmarks: Any, out: Any, shape: tuple[int, int, int], *, like: Any) -> None:
    """Checks the landmarks that ``out`` was drawn from last, if they are given."""
    if landmarks is None:
        return
    if out is None:
        raise ValueError("previous requires out: pass the output that was drawn from these landmarks")
    array("previous", landmarks, "float32", shape, like=like)


def output(name: str, out: Any, dtype: str, shape: tuple[int, ...], *, like: Any) -> Any:
    """Checks ``out``, or allocates an array of the framework and device of ``like`` if it is None."""
    if dtype == "bfloat16" and isinstance(like, np.ndarray):
        raise ValueError('NumPy has no bfloat16; pass torch tensors, or use "float16"')
    itemsize = 2 if dtype == "bfloat16" else DTYPES[dtype].itemsize
    if itemsize * math.prod(shape) > MAX_BYTES:
        raise ValueError(f"{name} of shape {shape} would be too large to address")
    if out is None:
        if isinstance(like, np.ndarray):
            return np.empty(shape, dtype)
        torch = sys.modules["torch"]
        return torch.empty(shape, dtype=getattr(torch, dtype), device=like.device)
    array(name, out, dtype, shape, like=like)
    if isinstance(out, np.ndarray) and not out.flags.writeable:
        raise ValueError(f"{name} must be writeable")
    return out


def contours(name: str, points: Any, offsets: Any) -> int:
    """Checks a batch of contours and returns their number."""
    if offsets is None:
        array(name, points, "float32", ("N", "P", 2))
        return points.shape[0]
    array(name, points, "float32", ("M", 2))
    array("offsets", offsets, "int64", ("N + 1",), like=points)
    if offsets.shape[0] == 0:
        raise ValueError("offsets must not be empty: N contours have N + 1 offsets")
    return offsets.shape[0] - 1


def offset_values(offsets: NDArray[np.int64], points: int) -> None:
    """Checks that offsets start at 0, do not decrease, and end at the number of points."""
    if offsets[0] != 0 or offsets[-1] != points:
        raise ValueError(
            f"offsets must run from 0 to {points}, the number of points, not from {offsets[0]} to {offsets[-1]}"
        )
    decreasing = np.flatnonzero(offsets[1:] < offsets[:-1])
    if decreasing.size:
        i = decreasing[0]
        raise ValueError(f"offsets must not decrease, but offsets[{i + 1}] is less than offsets[{i}]")


def _shape_text(shape: tuple[str | int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"
