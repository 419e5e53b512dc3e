"""What can be watched while a run goes on: the progress bar, and TensorBoard."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from echoseg.errors import DataError

_SECONDS_BETWEEN_LOOKS = 1.0


class ProgressBar(tqdm):
    """Steps done, and the epoch's means so far, about once a second; no look at them makes a GPU wait.

    Attributes:
        said: what stands behind the bar, by name.
    """

    def __init__(self, steps: int, approach: str, *, shown: bool) -> None:
        super().__init__(total=steps, disable=None if shown else True)  # None: shown if this is a terminal
        self.said: dict[str, float] = {}
        self._names = ("loss", "dice") if approach == "mask" else ("loss",)
        self._looked = time.monotonic()
        self._copy: Tensor | None = None  # of sums on a GPU, and of how many images
        self._copied_images = 0
        self._arrived: Any = None

    def step(self, sums: Tensor, images: int) -> None:
        """One more step is done.

        Args:
            sums: (2,) loss and Dice, summed over the epoch's images so far.
            images: how many.
        """
        self.update()
        if self.disable or time.monotonic() - self._looked < _SECONDS_BETWEEN_LOOKS:
            return
        self._looked = time.monotonic()
        if sums.device.type != "cuda":
            self.say(*(sums / images).tolist())
            return
        if self._copy is None:
            self._copy, self._arrived = torch.empty(2, dtype=sums.dtype, pin_memory=True), torch.cuda.Event()
        elif not self._arrived.query():
            return
        else:  # what the look before this one asked for
            self.say(*(self._copy / self._copied_images).tolist())
        self._copy.copy_(sums, non_blocking=True)
        self._arrived.record(torch.cuda.current_stream(sums.device))
        self._copied_images = images

    def say(self, loss: float, dice: float) -> None:
        """Show these means of the epoch, behind the bar."""
        self.said.update(zip(self._names, (loss, dice), strict=False))
        self.set_postfix({name: f"{value:.4f}" for name, value in self.said.items()}, refresh=False)


@torch.no_grad()
def running_dice(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean foreground Dice of a batch of mask logits, as ``assess.overlap.dice`` counts.

    Args:
        logits, targets: (N, 1, H, W).
    """
    found, true = logits > 0, targets > 0.5
    both, total = (part.flatten(1).sum(1) for part in (found & true, found.int() + true))
    return torch.where(total > 0, 2 * both / total, 1.0).mean()


def summary_writer() -> Any:
    """TensorBoard's ``SummaryWriter``.

    Raises:
        DataError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise DataError(
            "TensorBoard is not installed; pip install 'echoseg[tensorboard]', or leave --tensorboard out"
        ) from None
    return SummaryWriter


class Board:
    """An epoch's row of ``log.csv`` as curves in ``RUN/tensorboard``; opened at the first row, or not at all."""

    def __init__(self, run: Path, *, wanted: bool) -> None:
        self._folder = run / "tensorboard"
        self._make = summary_writer() if wanted else None
        self._writer: Any = None

    def add(self, columns: tuple[str, ...], row: list[float]) -> None:
        """Add a row whose first value is the epoch; what an earlier process said of it and later ones is dropped."""
        epoch = int(row[0])
        if self._make is None:
            return
        if self._writer is None:
            self._writer = self._make(str(self._folder), purge_step=epoch)
        for name, value in zip(columns[1:], row[1:], strict=True):
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()
