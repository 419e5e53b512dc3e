"""The normalization of frames, which every network gets, and networks from outside echoseg behind it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

NetworkFactory = Callable[[int], nn.Module]
"""Makes a network for a number of output channels: (N, 1, H, W) float32 normalized frames → (N, channels, H, W)
logits."""


def normalize_frames(frames: Tensor) -> Tensor:
    """Shift and scale each frame to mean 0 and standard deviation 1, so that the scanner's gain matters little.

    Args:
        frames: (N, H, W) grey values from 0 to 255, uint8 or float.

    Returns:
        (N, 1, H, W) float32. 1 is added to the standard deviation, so a constant frame becomes 0.
    """
    x = frames.unsqueeze(1).to(torch.float32)
    x = x - x.mean(dim=(2, 3), keepdim=True)
    return x / (x.square().mean(dim=(2, 3), keepdim=True).sqrt() + 1)


class NormalizedNetwork(nn.Module):
    """A network from outside echoseg behind the normalization that the U-Net has built in.

    Args:
        network: Maps (N, 1, H, W) float32 normalized frames to (N, channels, H, W) logits.
        channels: Number of output channels, one for the mask or one for each landmark.
    """

    def __init__(self, network: nn.Module, channels: int) -> None:
        super().__init__()
        self.network, self.channels = network, channels

    def forward(self, frames: Tensor) -> Tensor:
        """Compute the logits of frames.

        Args:
            frames: (N, H, W) grey values from 0 to 255, uint8 or float.

        Returns:
            (N, channels, H, W) logits.

        Raises:
            ValueError: The network's output has another shape.
        """
        logits = self.network(normalize_frames(frames))
        expected = (len(frames), self.channels, *frames.shape[1:])
        if tuple(logits.shape) != expected:
            raise ValueError(
                f"{type(self.network).__name__} returned {tuple(logits.shape)}, expected {expected}: "
                "logits of each channel at the size of the frames"
            )
        return logits
