"""The device that a command runs on."""

from __future__ import annotations

import torch

from echoseg.errors import DataError


def choose_device(name: str) -> torch.device:
    """``auto`` is the first CUDA device if there is one, else the CPU; else ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        DataError: no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda"):
            raise RuntimeError("expected cpu or cuda")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DataError(f"device {name!r} cannot be used ({str(error).splitlines()[0]}); try --device cpu") from None
    return device
