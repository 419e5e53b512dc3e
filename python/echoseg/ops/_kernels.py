"""The kernels by name, as ``_native`` declares them and ``_torch`` registers them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Kernel(NamedTuple):
    """A function on arrays, and the schema of its torch operator."""

    function: Callable[..., None]
    schema: str


KERNELS: dict[str, Kernel] = {}
