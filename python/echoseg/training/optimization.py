"""What turns a batch into new weights: loss, optimizer, learning rate, moving average, precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

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
    """Make the optimizer that ``Config.optimizer`` names."""
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), lr=rate, weight_decay=decay, momentum=0.9, nesterov=True)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(model.parameters(), lr=rate, weight_decay=decay)


def learning_rate(step: int, steps: int, config: Config) -> float:
    """Compute the learning rate of a step.

    Args:
        step: Number of the step in the whole training, from 0.
        steps: Number of steps of the whole training.
        config: Schedule: constant, or linear up over the first tenth of the steps and a cosine down to zero.
    """
    if config.schedule == "constant":
        return config.learning_rate
    warm_up = max(1, steps // 10)
    if step < warm_up:
        return config.learning_rate * (step + 1) / warm_up
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def make_average(model: nn.Module, decay: float) -> AveragedModel | None:
    """Make the moving average of a model's weights and batch statistics; None for a decay of 0."""
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True) if decay else None


def faster_precision(device: torch.device) -> str:
    """Return "float32" or "bfloat16", whichever the device multiplies faster.

    The device's instructions decide: a timing could differ between runs, and the same seed would give other weights.
    """
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    try:
        flags = _CPU_INFO.read_text(encoding="utf-8").split()
    except OSError:  # a system without this file
        return "float32"
    return "bfloat16" if "avx512_bf16" in flags else "float32"
