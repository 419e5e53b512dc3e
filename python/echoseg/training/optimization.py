"""What turns gradients into weights: optimizer, schedule, moving average, precision."""

from __future__ import annotations

import math
import time

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from echoseg.training.config import Config

_ROUNDS = 9
_WORTH = 1.2  # bfloat16 must be so much faster: its rounding costs a little accuracy


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
    """ "float32" or "bfloat16", whichever convolves faster forwards and backwards on this device, by a clear margin."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    seconds: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    for _ in range(_ROUNDS):
        for name, taken in seconds.items():  # in turns: what else the machine does slows both
            taken.append(_seconds_of_a_convolution(name))
    return "bfloat16" if min(seconds["float32"]) > _WORTH * min(seconds["bfloat16"]) else "float32"


def _seconds_of_a_convolution(precision: str) -> float:
    """Of the size of the network's own, half-way down: in smaller ones both are nearly alike."""
    frames = torch.zeros(4, 32, 56, 56).to(memory_format=torch.channels_last).requires_grad_()
    weights = torch.zeros(32, 32, 3, 3, requires_grad=True)
    started = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        nn.functional.conv2d(frames, weights, padding=1).sum().backward()
    return time.perf_counter() - started
