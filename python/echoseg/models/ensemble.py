"""Several networks as one, such as those of the folds of a cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from echoseg.models.unet import UNet


class Ensemble(nn.Module):
    """The mean of the logits of several networks.

    Args:
        networks: Networks of the same kind, each of which maps (N, H, W) frames to (N, channels, H, W) logits.

    Source: Lakshminarayanan et al., "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles",
    NeurIPS 2017; the folds of a cross-validation as members: Isensee et al., "nnU-Net", Nature Methods 18, 2021. Both
    average probabilities; the mean of the logits is their normalized geometric mean.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, frames: Tensor) -> Tensor:
        """Compute the mean of the logits.

        Args:
            frames: (N, H, W) grey values from 0 to 255, uint8 or float.

        Returns:
            (N, channels, H, W) logits.
        """
        return _mean([network(frames) for network in self.networks])

    def forward_with_attention(self, frames: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Compute the means of logits and attention maps; see `UNet.forward_with_attention`."""
        results = [cast(UNet, network).forward_with_attention(frames) for network in self.networks]
        logits, maps = zip(*results, strict=True)
        return _mean(logits), [_mean(level) for level in zip(*maps, strict=True)]


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(tensors)).mean(dim=0)
