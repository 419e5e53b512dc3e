"""`cuda_operators.py` without a device: both sides run on the CPU, and one of them with a fault."""

from __future__ import annotations

import torch

from echoseg import ops
from stress import cuda_operators


def test_a_wrong_result_is_found(monkeypatch):
    def wrong(*args, out, **settings):
        ops.erode(*args, out=out, **settings)
        return out.bitwise_xor_(1) if isinstance(out, torch.Tensor) else out

    assert cuda_operators.differences("cpu", (9, 14)) == {}
    operators = cuda_operators.operators(cuda_operators.COUNT, (9, 14))
    operators["erode"] = operators["erode"]._replace(call=wrong)
    monkeypatch.setattr(cuda_operators, "operators", lambda *_: operators)
    assert cuda_operators.differences("cpu", (9, 14)) == {"erode": 1.0}
