"""U-Net (Ronneberger, Fischer, Brox 2015), plain: the network of both approaches."""

from __future__ import annotations

import torch
from torch import nn


def _double_convolution(channels_in: int, channels_out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (channels_in, channels_out):
        layers += [
            nn.Conv2d(channels, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """uint8 frames in, logits out.

    Each frame is shifted and scaled to mean 0 and standard deviation 1 first, so that gain and dynamic range of the
    scanner matter little, and so that training, prediction and export cannot differ in it.

    Args:
        channels: channels of the output, one a mask or a landmark.
        width: channels of the first level; each level down doubles them.
        depth: number of 2×2 poolings; the frame's sides must be multiples of 2**depth.

    Source: Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015;
    same-padded convolutions and batch norm as in the seed papers.
    """

    def __init__(self, channels: int, *, width: int = 16, depth: int = 4) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(_double_convolution(a, b) for a, b in zip([1, *widths], widths, strict=False))
        self.pool = nn.MaxPool2d(2)
        deep_to_shallow = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(deep, shallow, 2, stride=2) for deep, shallow in deep_to_shallow)
        self.join = nn.ModuleList(_double_convolution(2 * shallow, shallow) for _, shallow in deep_to_shallow)
        self.head = nn.Conv2d(width, channels, 1)
        # quicker than channels first on the CPU; torch's own stubs forget this overload
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """(N, H, W) uint8 → (N, channels, H, W) float32 logits."""
        x = frames.unsqueeze(1).to(self.head.weight.dtype)
        x = x - x.mean(dim=(2, 3), keepdim=True)
        x = x / (x.square().mean(dim=(2, 3), keepdim=True).sqrt() + 1)
        x = x.contiguous(memory_format=torch.channels_last)

        skips = []
        for level, convolve in enumerate(self.down):
            x = convolve(x if level == 0 else self.pool(x))
            skips.append(x)
        for enlarge, convolve, skip in zip(self.up, self.join, skips[-2::-1], strict=True):
            x = convolve(torch.cat([skip, enlarge(x)], dim=1))
        return self.head(x)
