"""The device that a command runs on, and whether it computes deterministically."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator

import torch
from torch import nn

from echoseg.errors import DataError
from echoseg.training.batch_size import BATCH
from echoseg.training.config import Config


def choose_device(name: str) -> torch.device:
    """Return the device of a name.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:N``, ``mps`` for Apple's GPU, or ``auto``: the first CUDA device if there is
            one, else the CPU.

    Raises:
        DataError: There is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda", "mps"):
            raise RuntimeError("expected cpu, cuda or mps")
        torch.zeros(1, device=device)  # some virtual machines list a GPU on which this fails
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].split(". ")[0]
        raise DataError(f"device {name!r} cannot be used ({reason}); try --device cpu") from None
    return device


def prediction_batch(config: Config, device: torch.device) -> int:
    """Number of images that are predicted at once: without gradients a GPU has memory for twice a training batch."""
    batch = config.batch_size or BATCH
    return batch if device.type == "cpu" else 2 * batch


def place(model: nn.Module, device: torch.device) -> nn.Module:
    """Move a network to a device. Apple's GPU does not train all layers with the channels last in memory."""
    model = model.to(device)
    # torch's type stubs lack this overload
    return model.to(memory_format=torch.contiguous_format) if device.type == "mps" else model  # type: ignore[call-overload]


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context in which a network computes.

    Copies of the weights in bfloat16 are not cached: they would outlive a step of training where a step is recorded as
    a CUDA graph, or where the caller's `torch.autocast` encloses the training.

    Args:
        device: The device of the network.
        precision: "float32", whatever the caller's `torch.autocast` is, or "bfloat16".
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16", cache_enabled=False)


def device_name(device: torch.device) -> str:
    """Name the hardware of a device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    processor = platform.processor() or "cpu"
    return f"GPU of {processor}" if device.type == "mps" else processor


def sum_dtype(device: torch.device) -> torch.dtype:
    """The type of sums over images: float64, except on Apple's GPU, which does not have it."""
    return torch.float32 if device.type == "mps" else torch.float64


def random_state(device: torch.device) -> torch.Tensor:
    """Return the state of a GPU's random numbers."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.mps.get_rng_state()


def set_random_state(state: torch.Tensor, device: torch.device) -> None:
    """Set the state of a GPU's random numbers."""
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.mps.set_rng_state(state)


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
