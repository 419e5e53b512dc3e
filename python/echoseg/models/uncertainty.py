"""How far a heatmap spreads about the landmark that was read from it."""

from __future__ import annotations

import torch
from torch import Tensor


def heatmap_moments(logits: Tensor, landmarks: Tensor, *, reach: float) -> Tensor:
    """Compute the second central moments of each channel's softmax within a square about its landmark.

    A network that was trained on Gaussian heatmaps and is certain gives the Gaussian's own σ² times the identity.
    ``metrics.calibration`` turns the moments into covariances of the error.

    Args:
        logits: (N, K, H, W) float32.
        landmarks: (N, K, 2) float32, pixels of the heatmaps, on the same device.
        reach: Half the side of the square in pixels, at least 1.

    Returns:
        (N, K, 2, 2) float32, square pixels: the covariance of x and y.

    Source: Payer et al., "Uncertainty Estimation in Landmark Localization Based on Gaussian Heatmaps", UNSURE 2020, who
    fit a Gaussian instead.
    """
    heatmaps = torch.exp(logits - logits.amax(dim=(2, 3), keepdim=True))
    right, down = (_powers(logits.shape[3 - axis], landmarks[..., axis], reach) for axis in (0, 1))
    sums = down.transpose(2, 3) @ heatmaps @ right  # (N, K, 3, 3): powers of dy, powers of dx
    total = sums[..., 0, 0].clamp_min(torch.finfo(torch.float32).tiny)
    x, y = sums[..., 0, 1] / total, sums[..., 1, 0] / total
    xx, xy, yy = sums[..., 0, 2] / total - x * x, sums[..., 1, 1] / total - x * y, sums[..., 2, 0] / total - y * y
    return torch.stack([xx, xy, xy, yy], dim=2).unflatten(2, (2, 2))


def _powers(side: int, centre: Tensor, reach: float) -> Tensor:
    """(N, K, side, 3): 1, d and d² for each pixel's distance d from (N, K) ``centre``; 0 beyond ``reach``."""
    distance = torch.arange(side, device=centre.device) - centre[..., None]
    inside = (distance.abs() <= reach).to(distance.dtype)
    return torch.stack([inside, inside * distance, inside * distance**2], dim=3)
