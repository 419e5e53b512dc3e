"""The U-Net of both approaches, with the variants that papers compare."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from echoseg.models.normalize import normalize_frames

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "group": lambda channels: nn.GroupNorm(math.gcd(8, channels), channels),
    "none": nn.Identity,
}


class AttentionGate(nn.Module):
    """Weights the pixels of a skip connection by the features of the next deeper level.

    Args:
        skip: Number of channels of the skip connection.
        deep: Number of channels of the next deeper level.

    Source: Oktay et al., "Attention U-Net", MIDL 2018 (the additive gate, without the output transform).
    """

    def __init__(self, skip: int, deep: int) -> None:
        super().__init__()
        between = max(1, skip // 2)
        self.theta = nn.Conv2d(skip, between, 2, stride=2, bias=False)
        self.phi = nn.Conv2d(deep, between, 1)
        self.psi = nn.Conv2d(between, 1, 1)

    def forward(self, skip: torch.Tensor, deep: torch.Tensor) -> torch.Tensor:
        """Compute the attention map.

        Args:
            skip: (N, skip, H, W).
            deep: (N, deep, H/2, W/2).

        Returns:
            (N, 1, H, W) in [0, 1].
        """
        coarse = self.psi(F.relu(self.theta(skip) + self.phi(deep)))
        return F.interpolate(coarse.sigmoid(), scale_factor=2, mode="bilinear", align_corners=False)


class ResidualBlock(nn.Module):
    """Two convolutions, each after normalization and ReLU, and a shortcut around both.

    Args:
        inputs: Number of input channels. A frame, of one channel, is convolved as it is.
        outputs: Number of output channels.
        norm: A name in ``NORMS``.

    Source: Zhang, Liu and Wang, "Road Extraction by Deep Residual U-Net", IEEE GRSL 2018.
    """

    def __init__(self, inputs: int, outputs: int, norm: str) -> None:
        super().__init__()
        before: list[nn.Module] = [] if inputs == 1 else [NORMS[norm](inputs), nn.ReLU()]
        self.convolutions = nn.Sequential(
            *before,
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=norm == "none"),
            NORMS[norm](outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=norm == "none"),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=norm == "none"), NORMS[norm](outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) → (N, outputs, H, W)."""
        return self.convolutions(x) + self.shortcut(x)


class UNet(nn.Module):
    """U-Net that takes frames as they are stored and returns logits.

    The normalization of the frames is part of the network, so training, prediction and export cannot differ in it.

    Args:
        channels: Number of output channels, one for the mask or one for each landmark.
        width: Number of channels of the first level; each level down doubles it.
        depth: Number of 2×2 poolings. Both sides of a frame must be multiples of 2**depth.
        norm: A name in ``NORMS``. "group" has up to 8 groups and does not depend on the batch.
        dropout: Fraction of the channels that are dropped after the convolutions of the two deepest levels.
        attention: Put an ``AttentionGate`` into each skip connection.
        skips: False removes the skip connections: one reading of "without the layers that link the contracting and
            the expansive path" (Rodríguez Valencia et al., experiment 4).
        bottleneck: False removes the convolutions between the last pooling and the first upsampling: the other
            reading.
        residual: Use a ``ResidualBlock`` in place of each pair of convolutions (ResU-Net).

    Raises:
        ValueError: The norm is unknown, or attention is asked for without skip connections.

    Source: Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015;
    same-padded convolutions and batch norm as in Rodríguez Valencia et al. and Mendoza et al.; dropout of channels:
    Tompson et al., CVPR 2015; residual blocks: Zhang et al., 2018, and, in echocardiograms, Ali, Janabi-Sharifi and
    Beheshti, "Echocardiographic image segmentation using deep Res-U network", Biomed. Signal Process. Control 2021.
    Here poolings halve the frame, as in the U-Net; Zhang et al. use strided convolutions.
    """

    def __init__(
        self,
        channels: int,
        *,
        width: int = 16,
        depth: int = 4,
        norm: str = "batch",
        dropout: float = 0.0,
        attention: bool = False,
        skips: bool = True,
        bottleneck: bool = True,
        residual: bool = False,
    ) -> None:
        super().__init__()
        if norm not in NORMS:
            raise ValueError(f"unknown norm {norm!r}; known: {', '.join(NORMS)}")
        if attention and not skips:
            raise ValueError("attention gates the skip connections, and there are none")
        widths = [width * 2**level for level in range(depth + 1)]
        if not bottleneck:
            widths[-1] = widths[-2]

        def convolution(inputs: int, outputs: int) -> list[nn.Module]:
            convolve = nn.Conv2d(inputs, outputs, 3, padding=1, bias=norm == "none")
            return [convolve, NORMS[norm](outputs), nn.ReLU(inplace=True)]

        def convolutions(inputs: int, outputs: int) -> nn.Sequential:
            if residual:
                layers: list[nn.Module] = [ResidualBlock(inputs, outputs, norm)]
            else:
                layers = [*convolution(inputs, outputs), *convolution(outputs, outputs)]
            if dropout and outputs >= widths[-2]:
                layers.append(nn.Dropout2d(dropout))
            return nn.Sequential(*layers)

        levels = list(zip([1, *widths], widths, strict=False))
        self.down = nn.ModuleList(convolutions(a, b) for a, b in levels[: depth + bottleneck])
        self.pool = nn.MaxPool2d(2)
        deep_to_shallow = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(deep, shallow, 2, stride=2) for deep, shallow in deep_to_shallow)
        joined = 2 if skips else 1
        self.join = nn.ModuleList(convolutions(joined * shallow, shallow) for _, shallow in deep_to_shallow)
        self.gates = nn.ModuleList(AttentionGate(shallow, deep) for deep, shallow in deep_to_shallow if attention)
        self.head = nn.Conv2d(width, channels, 1)
        self.skips, self.bottleneck = skips, bottleneck
        # float32 whatever torch's default is, as the frames; channels_last is faster on the CPU
        self.to(dtype=torch.float32, memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stubs

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Compute the logits of frames.

        Args:
            frames: (N, H, W) grey values from 0 to 255, uint8 or float.

        Returns:
            (N, channels, H, W) logits.
        """
        return self.forward_with_attention(frames)[0]

    def forward_with_attention(self, frames: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Compute the logits and the attention maps of frames.

        Args:
            frames: (N, H, W) grey values from 0 to 255, uint8 or float.

        Returns:
            (N, channels, H, W) logits, and the attention maps (N, 1, h, w) in [0, 1] from the deepest level to the
            shallowest; an empty list without attention gates.
        """
        x = normalize_frames(frames)
        if frames.device.type != "mps":  # where the backward pass of batch norm fails with it
            x = x.contiguous(memory_format=torch.channels_last)

        levels, maps = [], []
        for level, convolve in enumerate(self.down):
            x = convolve(x if level == 0 else self.pool(x))
            levels.append(x)
        if self.bottleneck:
            levels.pop()
        else:
            x = self.pool(x)
        for step, (upsample, convolve) in enumerate(zip(self.up, self.join, strict=True)):
            skip, upsampled = levels.pop(), upsample(x)
            if self.gates:
                maps.append(self.gates[step](skip, x))
                skip = skip * maps[-1]
            x = convolve(torch.cat([skip, upsampled], dim=1) if self.skips else upsampled)
        return self.head(x), maps
