"""A network with its decoding, in torch operations that can be exported.

The decoding methods are those of `echoseg.ops.decode_heatmaps`; `cpp/include/echoseg/detail/decode.hpp` describes them.
A whole batch is decoded at once. The mean shift of "soft_argmax" iterates until all windows of the batch have
converged; a window that has converged is not moved again.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from echoseg.models.codec import THRESHOLD, Codec

_MAX_STEPS, _CONVERGED = 32, 1e-6  # of the mean shift: number of steps; squared step length in square pixels


class Traceable(nn.Module):
    """A module that segments frames of the network's size, (N, H, W) uint8.

    Attributes:
        outputs: The names of the outputs. Mask approach: `masks`, (N, H, W) uint8, 0 or 1; `probabilities`, (N, H, W)
            float32; and `confidence`, (N,) float32, the largest probability of each frame. Landmark approach:
            `landmarks`, (N, K, 2) float32, pixels; and `confidence`, (N, K) float32, the share of each heatmap's sum
            within a square of 4 σ about its landmark, where σ is that of the targets.
    """

    def __init__(self, model: nn.Module, codec: Codec) -> None:
        super().__init__()
        self.model = model
        self.outputs: tuple[str, ...] = ("masks", "probabilities", "confidence")
        self._decode = None
        if codec.method is not None:
            self.outputs = ("landmarks", "confidence")
            self._decode, self._window = TRACEABLE_DECODERS[codec.method], codec.window

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        logits = self.model(frames).float()
        if self._decode is None:
            probabilities = logits[:, 0].sigmoid()
            return (probabilities > THRESHOLD).to(torch.uint8), probabilities, probabilities.amax(dim=(1, 2))
        heatmaps = torch.exp(logits - logits.amax(dim=(2, 3), keepdim=True))
        peak = heatmaps.flatten(2).argmax(2)
        width = heatmaps.shape[3]
        x, y = peak % width, torch.div(peak, width, rounding_mode="floor")
        x, y = self._decode(heatmaps.double(), x.double(), y.double(), self._window)
        return torch.stack([x, y], dim=2).float(), _share_near(heatmaps.double(), x, y, self._window).float()


def _argmax(heatmaps: Tensor, x: Tensor, y: Tensor, window: float) -> tuple[Tensor, Tensor]:
    return x, y


def _soft_argmax(heatmaps: Tensor, x: Tensor, y: Tensor, window: float) -> tuple[Tensor, Tensor]:
    def continues(step: Tensor, x: Tensor, y: Tensor, moving: Tensor) -> Tensor:
        return (step < _MAX_STEPS) & moving.any()

    def shift(step: Tensor, x: Tensor, y: Tensor, moving: Tensor) -> tuple[Tensor, ...]:
        right, down = _moments(x, window, heatmaps.shape[3]), _moments(y, window, heatmaps.shape[2])
        rows = heatmaps @ right  # (N, K, H, 2)
        # (N, K, 2, 2), powers of dy and dx: downᵀ rows, not written as a matrix product, since onnxruntime 1.23 fuses
        # that to an operator that it cannot run
        sums = (down[..., None] * rows[..., None, :]).sum(2)
        dx, dy = (moving * moment / sums[..., 0, 0] for moment in (sums[..., 0, 1], sums[..., 1, 0]))
        return step + 1, x + dx, y + dy, dx.square() + dy.square() >= _CONVERGED

    start = torch.zeros((), dtype=torch.int64), x, y, torch.ones_like(x, dtype=torch.bool)
    return torch.while_loop(continues, shift, start)[1:3]


def _share_near(heatmaps: Tensor, x: Tensor, y: Tensor, window: float) -> Tensor:
    """(N, K): The share of the sum of each heatmap within the window about (x, y)."""
    right, down = (
        _moments(centre, window, size)[..., 0] for centre, size in ((x, heatmaps.shape[3]), (y, heatmaps.shape[2]))
    )
    return (heatmaps * down[..., :, None] * right[..., None, :]).sum(dim=(2, 3)) / heatmaps.sum(dim=(2, 3))


def _moments(centre: Tensor, window: float, size: int) -> Tensor:
    """(N, K, size, 2): The part of each pixel that lies in the window; and that times its distance from the centre."""
    pixel = torch.arange(size, dtype=centre.dtype)
    centre = centre[..., None]
    reach = torch.minimum(centre + 0.5, size - 0.5 - centre).clamp(max=window)
    weight = torch.minimum(pixel + 0.5, centre + reach) - torch.maximum(pixel - 0.5, centre - reach)
    weight = weight.clamp(min=0)
    return torch.stack([weight, weight * (pixel - centre)], dim=3)


def _dark(heatmaps: Tensor, x: Tensor, y: Tensor, window: float) -> tuple[Tensor, Tensor]:
    height, width = heatmaps.shape[2:]
    column, row = x.long(), y.long()
    inside = (column >= 2) & (column < width - 2) & (row >= 2) & (row < height - 2)
    column, row = column.clamp(2, width - 3), row.clamp(2, height - 3)
    columns = column[..., None] + torch.tensor([0, 1, -1, 0, 0, 2, -2, 0, 0, 1, -1, 1, -1])
    rows = row[..., None] + torch.tensor([0, 0, 0, 1, -1, 0, 0, 2, -2, 1, -1, -1, 1])
    values = heatmaps.flatten(2).gather(2, rows * width + columns)
    positive = (values > 0).all(dim=2)
    o, r, l, d, u, rr, ll, dd, uu, dr, ul, ur, dl = values.clamp(min=1e-300).log().unbind(2)  # noqa: E741
    gx, gy = (r - l) / 2, (d - u) / 2
    xx, yy, xy = (rr - 2 * o + ll) / 4, (dd - 2 * o + uu) / 4, (dr + ul - ur - dl) / 4
    determinant = xx * yy - xy * xy
    is_maximum = (xx < 0) & (determinant > 0)
    divisor = torch.where(is_maximum, determinant, 1.0)
    dx, dy = (xy * gy - yy * gx) / divisor, (xy * gx - xx * gy) / divisor
    is_near = (dx.abs() <= 1) & (dy.abs() <= 1)
    is_refined = inside & positive & is_maximum & is_near
    return x + is_refined * dx, y + is_refined * dy


TRACEABLE_DECODERS: dict[str, Callable[[Tensor, Tensor, Tensor, float], tuple[Tensor, Tensor]]] = {
    "argmax": _argmax,
    "soft_argmax": _soft_argmax,
    "dark": _dark,
}
