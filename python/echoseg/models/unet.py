"""U-Net (Ronneberger, Fischer, Brox 2015), plain: the network of both approaches, and variants that papers compare."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "group": lambda channels: nn.GroupNorm(min(8, channels), channels),
    "none": nn.Identity,
}


class AttentionGate(nn.Module):
    """Weights a skip connection's pixels by what the next deeper level has found.

    Source: Oktay et al., "Attention U-Net", MIDL 2018 (the additive gate, without the output transform).
    """

    def __init__(self, skip: int, deep: int) -> None:
        super().__init__()
        between = max(1, skip // 2)
        self.theta = nn.Conv2d(skip, between, 2, stride=2, bias=False)
        self.phi = nn.Conv2d(deep, between, 1)
        self.psi = nn.Conv2d(between, 1, 1)

    def forward(self, skip: torch.Tensor, deep: torch.Tensor) -> torch.Tensor:
        """(N, skip, H, W) and (N, deep, H/2, W/2) → the map (N, 1, H, W) in [0, 1]."""
        coarse = self.psi(F.relu(self.theta(skip) + self.phi(deep)))
        return F.interpolate(coarse.sigmoid(), scale_factor=2, mode="bilinear", align_corners=False)


class UNet(nn.Module):
    """uint8 frames in, logits out.

    Each frame is shifted and scaled to mean 0 and standard deviation 1 first, so that gain and dynamic range of the
    scanner matter little, and so that training, prediction and export cannot differ in it.

    Args:
        channels: channels of the output, one a mask or a landmark.
        width: channels of the first level; each level down doubles them.
        depth: number of 2×2 poolings; the frame's sides must be multiples of 2**depth.
        norm: a name in ``NORMS``; "group" has 8 groups and does not depend on the batch.
        dropout: share of whole channels dropped after each of the two deepest levels' convolutions.
        attention: gate each skip connection (``AttentionGate``).
        skips: False drops the skip connections, one reading of "without the layers that link the contracting and the
            expansive path" (first seed, experiment 4).
        bottleneck: False drops the convolutions between the last pooling and the first enlargement, the other reading.

    Raises:
        ValueError: an unknown norm, or attention without skips.

    Source: Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015;
    same-padded convolutions and batch norm as in the seed papers; dropout of channels: Tompson et al., CVPR 2015.
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
    ) -> None:
        super().__init__()
        if norm not in NORMS:
            raise ValueError(f"unknown norm {norm!r}; known: {', '.join(NORMS)}")
        if attention and not skips:
            raise ValueError("attention gates the skip connections, and there are none")
        widths = [width * 2**level for level in range(depth + 1)]
        if not bottleneck:
            widths[-1] = widths[-2]

        def convolutions(channels_in: int, channels_out: int) -> nn.Sequential:
            layers: list[nn.Module] = []
            for inward in (channels_in, channels_out):
                layers += [
                    nn.Conv2d(inward, channels_out, 3, padding=1, bias=norm == "none"),
                    NORMS[norm](channels_out),
                    nn.ReLU(inplace=True),
                ]
            if dropout and channels_out >= widths[-2]:
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
        # quicker than channels first on the CPU; torch's own stubs forget this overload
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """(N, H, W) uint8 → (N, channels, H, W) logits."""
        return self.forward_with_attention(frames)[0]

    def forward_with_attention(self, frames: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The logits, and the attention maps (N, 1, h, w) in [0, 1] from the deepest level up; none without gates."""
        x = frames.unsqueeze(1).to(self.head.weight.dtype)
        x = x - x.mean(dim=(2, 3), keepdim=True)
        x = x / (x.square().mean(dim=(2, 3), keepdim=True).sqrt() + 1)
        x = x.contiguous(memory_format=torch.channels_last)

        levels, maps = [], []
        for level, convolve in enumerate(self.down):
            x = convolve(x if level == 0 else self.pool(x))
            levels.append(x)
        if self.bottleneck:
            levels.pop()
        else:
            x = self.pool(x)
        for step, (enlarge, convolve) in enumerate(zip(self.up, self.join, strict=True)):
            skip, larger = levels.pop(), enlarge(x)
            if self.gates:
                maps.append(self.gates[step](skip, x))
                skip = skip * maps[-1]
            x = convolve(torch.cat([skip, larger], dim=1) if self.skips else larger)
        return self.head(x), maps
