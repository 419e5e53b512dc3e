"""The device that a command runs on, and whether it computes deterministically."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch

from echoseg.errors import DataError


def choose_device(name: str) -> torch.device:
    """Return the device of a name.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:N``, or ``auto``: the first CUDA device if there is one, else the CPU.

    Raises:
        DataError: There is no such device.
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


def prediction_batch(batch_size: int, device: torch.device) -> int:
    """Number of images that are predicted at once: without gradients a GPU has memory for twice a training batch."""
    return batch_size if device.type == "cpu" else 2 * batch_size


def sum_dtype(device: torch.device) -> torch.dtype:
    """The type of sums over images: float64, except on Apple's GPU, which does not have it."""
    return torch.float32 if device.type == "mps" else torch.float64


@contextlib.contextmanager
def determinism(wanted: bool) -> Iterator[None]:
    """Choose whether all algorithms are deterministic, and restore the choice before.

    cuDNN does not search for the fastest ones; ``step.TrainStep`` lets it where that can pay.

    Args:
        wanted: Whether the same seed must give the same result on a GPU too.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(wanted)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]
