"""The user's own functions in a training: network, loss, augmentation, callbacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from echoseg.models.normalize import NetworkFactory
from echoseg.training.augment import AugmentFunction
from echoseg.training.checkpoint import network_name
from echoseg.training.logs import TrainingEvent

LossFunction = Callable[[Tensor, Tensor], Tensor]
"""(B, C, H, W) float32 logits and targets → scalar, a mean over the images."""
Callback = Callable[[TrainingEvent], object]


@dataclass(frozen=True)
class Custom:
    """What ``training.loop.train`` was given; None for echoseg's own part, or no callback."""

    network: NetworkFactory | None = None
    loss: LossFunction | None = None
    augment: AugmentFunction | None = None
    on_epoch: Callback | None = None
    on_step: Callback | None = None

    def names(self, model: nn.Module) -> dict[str, str]:
        """Name the user's parts, so that a resumed run can check that they are the same.

        Args:
            model: The network of the training.
        """
        names = {"network": network_name(model), "loss": _name(self.loss), "augment": _name(self.augment)}
        return {part: name for part, name in names.items() if name is not None}


def _name(function: Callable | None) -> str | None:
    return None if function is None else getattr(function, "__qualname__", type(function).__qualname__)
