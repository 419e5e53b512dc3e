"""The native module ``_core``, which no other module imports, and what it was built with."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from echoseg import _core as core
from echoseg.errors import DataError

if TYPE_CHECKING:
    import torch

# Array is the type of the first array and of the result of a function, AnyArray that of its other arrays. At run time
# torch is not imported.
Array = TypeVar("Array", NDArray[Any], "torch.Tensor")
AnyArray: TypeAlias = "NDArray[Any] | torch.Tensor"

try:
    core.simd_level()
except ValueError as error:  # ECHOSEG_SIMD is invalid; reported at import instead of by the first kernel
    raise DataError(str(error)) from None


def kernels(array: Any) -> ModuleType:
    """Returns the module that takes a call with this first array: the native one or, for ``torch.compile``, ``_torch``.

    ``torch.compile`` and ``torch.export`` cannot trace native functions. The native module finds out by itself which
    other calls torch must see, and hands them to ``_torch``.
    """
    if not isinstance(array, np.ndarray):  # NumPy may run while another thread imports torch
        torch = sys.modules.get("torch")
        if torch is not None and torch.compiler.is_compiling():
            from . import _torch

            return _torch
    return core


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
        "version": core.__version__,
        "compiler": core.compiler,
        "simd_level": core.simd_level(),
        "simd_levels": core.simd_levels(),
        "threads": core.default_threads(),
        "cuda_built": core.cuda_built(),
        "cuda_devices": core.cuda_devices(),
    }
