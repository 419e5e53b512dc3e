"""What turns gradients into weights: optimizer, schedule, moving average, precision."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from echoseg.training.config import Config

_PROCESSOR = Path("/proc/cpuinfo")


def make_optimizer(model: nn.Module, config: Config) -> torch.optim.Optimizer:
    """By name; see ``Config.optimizer``."""
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), lr=rate, weight_decay=decay, momentum=0.9, nesterov=True)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(model.parameters(), lr=rate, weight_decay=decay)


def learning_rate(step: int, steps: int, config: Config) -> float:
    """Of a step: constant, or a linear warm-up over the first tenth of the steps, then a cosine down to zero."""
    if config.schedule == "constant":
        return config.learning_rate
    warm_up = max(1, steps // 10)
    if step < warm_up:
        return config.learning_rate * (step + 1) / warm_up
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def make_average(model: nn.Module, decay: float) -> AveragedModel | None:
    """The moving average of a model's weights and of its batch statistics; None for a decay of 0."""
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True) if decay else None


def faster_precision(device: torch.device) -> str:
    """ "float32" or "bfloat16", whichever the device multiplies faster, by its instructions: a timing could differ
    from run to run, and the same seed would give other bits.
    """
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    try:
        instructions = _PROCESSOR.read_text(encoding="utf-8").split()
    except OSError:  # a system without it
        return "float32"
    return "bfloat16" if "avx512_bf16" in instructions else "float32"
