"""Many processes, one run: what ``torchrun`` started, by PyTorch's own engine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Ranks:
    """This process among its siblings; alone by default.

    Attributes:
        index: of this process; 0 writes.
        count: of processes.
        device: this one's own, where it has one; else the configuration's.
    """

    index: int = 0
    count: int = 1
    device: str | None = None

    def part(self, items: int) -> slice:
        """This rank's share of ``items``: shares are disjoint, cover all, and differ by one at most."""
        return slice(items * self.index // self.count, items * (self.index + 1) // self.count)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all ranks, in place."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def wait(self) -> None:
        """Until all ranks are here."""
        if self.count > 1:
            dist.barrier()


@contextlib.contextmanager
def ranks_of_torchrun(device: str, *, patience: timedelta | None = None) -> Iterator[Ranks]:
    """Join the processes that ``torchrun`` started, if it did: gloo between CPUs, NCCL between GPUs.

    Args:
        device: of the configuration; ``auto`` and ``cuda`` become each process's own GPU.
        patience: how long a rank waits for the others; None is PyTorch's own measure.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield Ranks()
        return
    on_gpu = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    own = f"cuda:{os.environ['LOCAL_RANK']}" if on_gpu else "cpu"
    if on_gpu:
        torch.cuda.set_device(own)
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=patience)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), own)
    finally:
        dist.destroy_process_group()
