"""Losses on logits, by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F


def _binary_cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean binary cross-entropy over all pixels and channels."""
    return F.binary_cross_entropy_with_logits(logits, targets)


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
    "bce": _binary_cross_entropy,
    "spatial_ce": _spatial_cross_entropy,
}
