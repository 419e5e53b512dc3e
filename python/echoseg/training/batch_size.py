"""The batch size of a training whose settings leave it open, and the learning rate that goes with it."""

from __future__ import annotations

import math

import torch

BATCH = 16
"""Images in a batch, unless a GPU has time and memory for more; the learning rate of the settings is for so many."""
_LARGEST = 64
_MIN_STEPS = 400  # of the whole training; with fewer steps the network got worse (docs/training.md)


def choose_batch_size(images: int, size: tuple[int, int], width: int, channels: int, device: torch.device) -> int:
    """Choose 16, 32 or 64: the largest that leaves enough steps and needs at most half of the GPU's memory.

    Args:
        images: Number of images of the whole training, over all epochs.
        size: (H, W) of the frames.
        width: Number of channels of the U-Net's first level.
        channels: Number of output channels.
        device: Device that trains. Except on a CUDA device, the result is 16.
    """
    if device.type != "cuda":
        return BATCH
    # Saved for the backward pass, in float32: 80 to 105 bytes a channel of the first level. It counts twice for the
    # gradients, and twice because a CUDA graph keeps its memory.
    of_image = 4 * (110 * width + 20 * channels) * math.prod(size)
    memory = torch.cuda.get_device_properties(device).total_memory // 2
    batch = BATCH
    while 2 * batch <= _LARGEST and images >= 2 * batch * _MIN_STEPS and 2 * batch * of_image <= memory:
        batch *= 2
    return batch


def scale_learning_rate(rate: float, batch: int) -> float:
    """Scale a learning rate for 16 images to another batch size, by the square root of their ratio.

    Source: Malladi et al., "On the SDEs and Scaling Rules for Adaptive Gradient Algorithms", NeurIPS 2022.
    """
    return rate * math.sqrt(batch / BATCH)
