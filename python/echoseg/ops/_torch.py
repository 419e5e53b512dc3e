"""Registers the kernels as torch operators, so that ``torch.compile(fullgraph=True)`` can trace calls of them.

The operators write to their output arguments; torch allocates these. They have no gradients, since their results are
training targets. This module is imported when a kernel is first called with a tensor.
"""

from __future__ import annotations

import re

import torch

from ._kernels import KERNELS, Kernel


def _register(name: str, kernel: Kernel) -> torch.library.CustomOpDef:
    outputs = re.findall(r"!\) (\w+)", kernel.schema)
    operator = torch.library.custom_op(f"echoseg::{name}", kernel.function, mutates_args=outputs, schema=kernel.schema)
    operator.register_fake(lambda *arguments: None)
    return operator


OPERATORS = {name: _register(name, kernel) for name, kernel in KERNELS.items()}
