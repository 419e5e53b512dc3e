"""Where a checked call goes: straight to the kernels for NumPy, through torch's dispatcher for torch."""

from __future__ import annotations

from typing import Any

from . import _check, _native


def kernels(array: Any) -> Any:
    if not _check.is_torch(array):
        return _native
    from . import _torch

    return _torch
