"""The progress bar of a training."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

_SECONDS_BETWEEN_UPDATES = 1.0


class ProgressBar(tqdm):
    """Steps done and the epoch's mean values, on a terminal. Reading the values never makes a GPU wait.

    Args:
        steps: Number of steps of the whole training.
        approach: Only the mask approach has a Dice within an epoch.
        shown: False hides the bar on a terminal too.

    Attributes:
        values: Shown behind the bar, by name.
    """

    def __init__(self, steps: int, approach: str, *, shown: bool) -> None:
        super().__init__(total=steps, disable=None if shown else True)  # None: shown on a terminal
        self.values: dict[str, float] = {}
        self._names = ("loss", "dice") if approach == "mask" else ("loss",)
        self._updated = time.monotonic()
        self._copy: Tensor | None = None  # of the sums on a GPU
        self._copied_images = 0
        self._copied: Any = None  # event: the copy has arrived

    def step(self, sums: Tensor, images: int) -> None:
        """Advance by one step.

        Args:
            sums: (2,) loss and Dice, summed over the epoch's images so far.
            images: Number of these images.
        """
        self.update()
        if self.disable or time.monotonic() - self._updated < _SECONDS_BETWEEN_UPDATES:
            return
        self._updated = time.monotonic()
        if sums.device.type != "cuda":
            self.show(*(sums / images).tolist())
            return
        if self._copy is None:
            self._copy, self._copied = torch.empty(2, dtype=sums.dtype, pin_memory=True), torch.cuda.Event()
        elif not self._copied.query():
            return
        else:  # the copy that the update before this one started
            self.show(*(self._copy / self._copied_images).tolist())
        self._copy.copy_(sums, non_blocking=True)
        self._copied.record(torch.cuda.current_stream(sums.device))
        self._copied_images = images

    def show(self, loss: float, dice: float, **others: float) -> None:
        """Show the epoch's mean values, and others that stay."""
        self.values.update(others)
        self.values.update(zip(self._names, (loss, dice), strict=False))
        self.set_postfix({name: f"{value:.4f}" for name, value in self.values.items()}, refresh=False)


@torch.no_grad()
def running_dice(logits: Tensor, targets: Tensor) -> Tensor:
    """Compute the mean foreground Dice of a batch of mask logits, as ``metrics.overlap.dice`` does with 1 for two
    empty masks.

    Args:
        logits: (N, 1, H, W).
        targets: (N, 1, H, W) float32, 0 or 1.

    Returns:
        A scalar.
    """
    found, true = logits > 0, targets > 0.5
    both, total = (part.flatten(1).sum(1) for part in (found & true, found.int() + true))
    return (2 * both / total).masked_fill(total == 0, 1.0).mean()
