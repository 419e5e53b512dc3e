"""Every argument error of the kernels, in words. Shapes, dtypes and layouts are checked here, before memory is touched.

Nothing here looks at an array's values, so that ``torch.compile`` can trace it; ``_native`` looks at values.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.ma import MaskedArray

LARGEST_SIDE = 2**20
LARGEST_ARRAY = 2**62  # bytes
COORDINATE_LIMIT = 2**20
DTYPES = {name: np.dtype(name) for name in ("uint8", "int64", "float16", "float32", "float64")}


def is_torch(array: Any) -> bool:
    """True for a torch tensor. Does not import torch: where nobody did, there is no tensor."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


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


def spacing(value: Any) -> tuple[float, float]:
    """(down, right), 1 where there is none."""
    if value is None:
        return 1.0, 1.0
    if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 2:
        raise TypeError(f"spacing must be a pair (dy, dx), not {value!r}")
    for step in value:
        if isinstance(step, bool) or not isinstance(step, (int, float, np.integer, np.floating)):
            raise TypeError(f"spacing must hold two numbers, not {type(step).__name__}")
        if not 1e-9 <= step <= 1e9:
            raise ValueError(f"spacing must be between 1e-9 and 1e9, not {step}")
    return float(value[0]), float(value[1])


def image_size(size: Any) -> tuple[int, int]:
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise TypeError(f"size must be a pair (height, width), not {size!r}")
    return integer("height", size[0], 1, LARGEST_SIDE), integer("width", size[1], 1, LARGEST_SIDE)


def array(what: str, value: Any, dtype: str, shape: tuple[str | int, ...], *, like: Any = None) -> None:
    """Refuses what a kernel cannot read as it lies in memory.

    Args:
        what: The argument's name.
        value: The array.
        dtype: The one dtype that is taken.
        shape: Such as ("N", "K", 2): as many axes, and an axis that is a number must have that length.
        like: An array whose framework and device must be the same.
    """
    if isinstance(value, MaskedArray):
        raise TypeError(f"{what} must not be a masked array, whose mask the kernels do not see; use .filled()")
    if isinstance(value, np.ndarray):
        native = value.dtype == DTYPES[dtype]
    elif is_torch(value):
        native = value.dtype == getattr(sys.modules["torch"], dtype)
    else:
        raise TypeError(f"{what} must be a NumPy array or a torch tensor, not {type(value).__name__}")
    if not native and (name := _dtype_name(value)) != dtype:
        raise TypeError(f"{what} must be {dtype}, not {name}")
    if not _fits(value.shape, shape):
        raise ValueError(f"{what} must have the shape {_words(shape)}, not {_words(value.shape)}")
    _layout(what, value, native)
    if like is not None and isinstance(value, np.ndarray) != isinstance(like, np.ndarray):
        raise TypeError(f"{what} must be of the same framework as the other arrays (NumPy or torch)")
    if like is not None and not isinstance(value, np.ndarray) and value.device != like.device:
        raise ValueError(f"{what} must be on the same device as the other arrays, {like.device}, not on {value.device}")


def _fits(found: tuple[int, ...], wanted: tuple[str | int, ...]) -> bool:
    if len(found) != len(wanted):
        return False
    return list(found) == [f if isinstance(w, str) else w for f, w in zip(found, wanted, strict=True)]


def _dtype_name(array: Any) -> str:
    """Without the byte order, which has a message of its own."""
    return array.dtype.name if isinstance(array, np.ndarray) else str(array.dtype).removeprefix("torch.")


def _layout(what: str, value: Any, native: bool) -> None:
    if isinstance(value, np.ndarray):
        if not (native and value.flags.c_contiguous and value.flags.aligned):
            raise ValueError(
                f"{what} must be contiguous, aligned and in native byte order; use numpy.ascontiguousarray"
            )
    elif not value.is_contiguous():
        raise ValueError(f"{what} must be contiguous; call .contiguous() on it")
    elif value.device.type not in ("cpu", "cuda"):
        raise ValueError(
            f"{what} is on {value.device}, but the kernels run on the CPU and on CUDA devices; call .cpu() on it"
        )


def known_to(array: Any, dtype: str) -> None:
    """Refuses what the framework of ``array`` lacks."""
    if dtype == "bfloat16" and isinstance(array, np.ndarray):
        raise ValueError('NumPy has no bfloat16; pass torch tensors, or choose "float16"')


def previous(landmarks: Any, out: Any, shape: tuple[int, int, int], *, like: Any) -> None:
    """The landmarks that ``out`` was drawn from last, if any."""
    if landmarks is None:
        return
    if out is None:
        raise ValueError("previous says what out holds: pass that out too")
    array("previous", landmarks, "float32", shape, like=like)


def output(what: str, out: Any, dtype: str, shape: tuple[int, ...], *, like: Any) -> Any:
    """``out`` where it fits, a fresh array of the framework of ``like`` where it is None."""
    itemsize = 2 if dtype == "bfloat16" else DTYPES[dtype].itemsize
    if itemsize * math.prod(shape) > LARGEST_ARRAY:
        raise ValueError(f"{what} of shape {shape} would be too large to address")
    if out is None:
        if isinstance(like, np.ndarray):
            return np.empty(shape, dtype)
        torch = sys.modules["torch"]
        return torch.empty(shape, dtype=getattr(torch, dtype), device=like.device)
    array(what, out, dtype, shape, like=like)
    if isinstance(out, np.ndarray) and not out.flags.writeable:
        raise ValueError(f"{what} must be writeable")
    return out


def contours(what: str, points: Any, offsets: Any) -> int:
    """The number of contours."""
    if offsets is None:
        array(what, points, "float32", ("N", "P", 2))
        return points.shape[0]
    array(what, points, "float32", ("M", 2))
    array("offsets", offsets, "int64", ("N + 1",), like=points)
    if offsets.shape[0] == 0:
        raise ValueError("offsets must hold at least one number: N contours have N + 1 offsets")
    return offsets.shape[0] - 1


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


def without_cuda(what: str) -> RuntimeError:
    return RuntimeError(
        f"{what} is on a CUDA device, but this build of echoseg has no CUDA kernels: install it with"
        " -Ccmake.define.ECHOSEG_CUDA=ON, or call .cpu() on it"
    )


def misaligned(what: str) -> ValueError:
    return ValueError(f"{what} must be aligned to its dtype; use a copy")


def overlapping(out: str, other: str) -> ValueError:
    return ValueError(f"{out} must not share memory with {other}")


def _words(shape: tuple[str | int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"
