"""A training that many processes share, as ``torchrun`` starts them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from echoseg.errors import DataError


@dataclass(frozen=True)
class Ranks:
    """This process and those that train together with it; by default it is alone.

    Attributes:
        index: Rank of this process. Rank 0 writes.
        count: Number of processes.
        device: This process's own device; None takes the configuration's.
    """

    index: int = 0
    count: int = 1
    device: str | None = None

    def part(self, items: int) -> slice:
        """Return this rank's part of ``items``. Parts are disjoint, cover all items, and differ by one at most."""
        return slice(items * self.index // self.count, items * (self.index + 1) // self.count)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Sum a tensor over all ranks, in place."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def wait(self) -> None:
        """Wait until all ranks have called this."""
        if self.count > 1:
            dist.barrier()


@contextlib.contextmanager
def ranks_of_torchrun(device: str, *, patience: timedelta | None = None) -> Iterator[Ranks]:
    """Join the processes that ``torchrun`` started, if it did: by gloo between CPUs, by NCCL between GPUs.

    Args:
        device: Device of the configuration; ``auto`` and ``cuda`` become each process's own GPU.
        patience: How long a rank waits for the others; None takes PyTorch's default.

    Raises:
        DataError: The device is Apple's GPU.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield Ranks()
        return
    if device == "mps":
        raise DataError("device mps: several processes do not share Apple's GPU; train without torchrun, or on the cpu")
    on_gpu = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    own = f"cuda:{os.environ['LOCAL_RANK']}" if on_gpu else "cpu"
    if on_gpu:
        torch.cuda.set_device(own)
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=patience)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), own)
        dist.barrier()  # no process leaves the group while another still communicates
    finally:
        dist.destroy_process_group()
