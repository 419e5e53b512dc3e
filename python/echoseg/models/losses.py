"""Losses on logits, by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F


def _dice_and_binary_cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy plus 1 - soft Dice of the foreground, each image's own.

    The ventricle covers a twentieth of a frame. Cross-entropy alone lets the background drown it on a new scanner.
    Source: Milletari et al., "V-Net", 3DV 2016 (soft Dice, squared denominators left out).
    """
    probabilities, targets = logits.sigmoid().flatten(1), targets.flatten(1)
    soft_dice = (2 * (probabilities * targets).sum(1) + 1) / (probabilities.sum(1) + targets.sum(1) + 1)
    return F.binary_cross_entropy_with_logits(logits.flatten(1), targets) + 1 - soft_dice.mean()


def _spatial_cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy over the pixels of each channel, the heatmap normalised to sum 1 being the true distribution.

    A channel without any target (its landmark lies off the image) teaches nothing and is left out of the mean.
    """
    targets = targets.flatten(2)
    mass = targets.sum(2)
    entropy = -(targets * F.log_softmax(logits.flatten(2), dim=2)).sum(2) / mass.clamp_min(1e-6)
    present = (mass > 0).to(entropy.dtype)
    return (entropy * present).sum() / present.sum().clamp_min(1)


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "dice_bce": _dice_and_binary_cross_entropy,
    "spatial_ce": _spatial_cross_entropy,
}
