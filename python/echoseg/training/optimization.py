"""What turns a batch into new weights: loss, optimizer, learning rate, moving average, precision."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from echoseg.models.losses import HEATMAP_LOSSES, MASK_LOSSES, coordinate_loss, region_weight
from echoseg.training.batches import Batch
from echoseg.training.config import Config
from echoseg.training.custom import LossFunction

_CPU_INFO = Path("/proc/cpuinfo")


def make_loss(
    config: Config, size: tuple[int, int], device: torch.device, custom: LossFunction | None = None
) -> Callable[[Tensor, Batch], Tensor]:
    """Make the function that computes the loss of a batch from its logits.

    Args:
        config: Loss, region and weights.
        size: (H, W) of the logits.
        device: Device of the logits.
        custom: A user's loss in place of the configuration's.
    """
    if custom is not None:
        return lambda logits, batch: custom(logits, batch.targets)
    assert config.loss is not None
    pixel_loss = (MASK_LOSSES if config.approach == "mask" else HEATMAP_LOSSES)[config.loss]
    weight = region_weight(size, config.region, config.region_weight).to(device)

    def loss_of(logits: Tensor, batch: Batch) -> Tensor:
        loss = pixel_loss(logits, batch.targets, weight)
        if config.coordinate_weight and batch.landmarks is not None:
            loss = loss + config.coordinate_weight * coordinate_loss(logits, batch.landmarks)
        return loss

    return loss_of


def make_optimizer(model: nn.Module, config: Config) -> torch.optim.Optimizer:
    """Make the optimizer that ``Config.optimizer`` names, for a model on its device.

    On a CUDA device it is one kernel, whose learning rate is a tensor there, so that a CUDA graph can contain it.
    """
    parameters = list(model.parameters())
    assert config.learning_rate is not None
    rate: float | Tensor = config.learning_rate
    options: dict[str, Any] = {"weight_decay": config.weight_decay}
    if all(parameter.is_cuda and parameter.is_floating_point() for parameter in parameters):
        rate = torch.tensor(config.learning_rate, device=parameters[0].device)
        options |= {"fused": True}
    if config.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=0.9, nesterov=True, **options)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, lr=rate, capturable=isinstance(rate, Tensor), **options)


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load the state of an optimizer that may have been saved on another kind of device, whose options differ."""
    own_options = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state["state"], "param_groups": own_options})


def learning_rate(step: int, steps: int, config: Config) -> float:
    """Compute the learning rate of a step.

    Args:
        step: Number of the step in the whole training, from 0.
        steps: Number of steps of the whole training.
        config: Schedule: constant, or linear up over the first tenth of the steps and a cosine down to zero.
    """
    assert config.learning_rate is not None
    if config.schedule == "constant":
        return config.learning_rate
    warm_up = max(1, steps // 10)
    if step < warm_up:
        return config.learning_rate * (step + 1) / warm_up
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


class MovingAverage(AveragedModel):
    """The moving average of a model's weights and batch statistics. A GPU is not waited for.

    Args:
        model: The model.
        decay: Share of the average that a step leaves.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
        self._has_started = False  # what n_averaged says on the device

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load a state, as every module does."""
        self._has_started = bool(state_dict["n_averaged"])
        return super().load_state_dict(state_dict, strict, assign)

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Move the average towards the model; the first call copies it."""
        own, theirs = ([*module.parameters(), *module.buffers()] for module in (self.module, model))
        for is_float in (True, False):  # counters of batches are whole numbers
            pairs = [pair for pair in zip(own, theirs, strict=True) if pair[0].is_floating_point() == is_float]
            if pairs and self._has_started:
                assert self.multi_avg_fn is not None
                averages, values = (list(tensors) for tensors in zip(*pairs, strict=True))
                self.multi_avg_fn(averages, values, self.n_averaged)
            elif pairs:
                for average, value in pairs:
                    average.copy_(value)
        self._has_started = True
        self.n_averaged += 1


def faster_precision(device: torch.device) -> str:
    """Return "float32" or "bfloat16", whichever the device multiplies faster.

    The device's instructions decide: a timing could differ between runs, and the same seed would give other weights.
    """
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device.type != "cpu":
        return "float32"
    try:
        flags = _CPU_INFO.read_text(encoding="utf-8").split()
    except OSError:  # a system without this file
        return "float32"
    return "bfloat16" if "avx512_bf16" in flags else "float32"
