"""Registers the kernels as torch operators, so that ``torch.compile(fullgraph=True)`` can trace calls of them.

The operators write to their output arguments; torch allocates these. They have no gradients, since their results are
training targets. This module is imported when a kernel is first called with a tensor.
"""

from __future__ import annotations

import re

import torch

from . import _native


def _register(name: str, schema: str) -> torch.library.CustomOpDef:
    outputs = re.findall(r"!\) (\w+)", schema)
    function = _native.KERNELS[name].function
    operator = torch.library.custom_op(f"echoseg::{name}", function, mutates_args=outputs, schema=schema)
    operator.register_fake(lambda *arguments: None)
    return operator


OPERATORS = {name: _register(name, kernel.schema) for name, kernel in _native.KERNELS.items()}
