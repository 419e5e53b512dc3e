"""Loss functions on logits, by name, for each approach.

Each takes logits and targets (N, C, H, W) and a weight for each pixel (H, W) with mean 1, and returns a mean over the
images, so that its value does not depend on the batch size.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

PixelLoss = Callable[[Tensor, Tensor, Tensor], Tensor]


def _bce(logits: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Binary cross-entropy of each pixel."""
    return F.binary_cross_entropy_with_logits(logits, targets, weight=weight.expand_as(logits))


def _weighted_bce(logits: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Binary cross-entropy with class weights that give foreground and background the same total in each batch."""
    share = targets.mean().clamp(1e-3, 1 - 1e-3)
    of_class = torch.where(targets > 0.5, 0.5 / share, 0.5 / (1 - share))
    return F.binary_cross_entropy_with_logits(logits, targets, weight=of_class * weight)


def _soft_dice(logits: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """1 - soft Dice of the foreground, computed for each image.

    Blank slices are left out of the mean: their Dice loss is near 1 unless every probability is near 0, so that a data
    set with many of them teaches a network to leave all images empty.

    Source: Milletari et al., "V-Net", 3DV 2016 (without the squares in the denominator).
    """
    probabilities = logits.sigmoid()
    both = (probabilities * targets * weight).sum(dim=(1, 2, 3))
    total = ((probabilities + targets) * weight).sum(dim=(1, 2, 3))
    present = targets.amax(dim=(1, 2, 3)).gt(0).to(total.dtype)
    return (present * (1 - (2 * both + 1) / (total + 1))).sum() / present.sum().clamp_min(1)


def _dice_bce(logits: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """The sum of both: the foreground is a small part of a frame, and the background dominates cross-entropy alone."""
    return _bce(logits, targets, weight) + _soft_dice(logits, targets, weight)


def _focal(logits: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Binary cross-entropy with less weight on pixels that are already right, γ = 2.

    Source: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017 (without α).
    """
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    error = (logits.sigmoid() - targets).abs()
    return (error.square() * entropy * weight).mean()


def _mse(logits: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Squared difference between the sigmoid of the logits and the heatmap."""
    return ((logits.sigmoid() - targets).square() * weight).mean()


def _channel_ce(logits: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy with a softmax over the channels of each pixel, for comparison with Rodríguez Valencia et al.

    It trains which landmark a pixel would belong to, not where a landmark is.
    """
    return -(targets * F.log_softmax(logits, dim=1) * weight).sum(dim=1).mean()


def _spatial_ce(logits: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy with a softmax over the pixels of each channel; the heatmap, scaled to sum 1, is the target.

    A channel without a target (its landmark is outside the image) is left out of the mean.
    """
    targets = targets.flatten(2)
    mass = targets.sum(2)
    entropy = -(targets * F.log_softmax(logits.flatten(2), dim=2) * weight.flatten()).sum(2) / mass.clamp_min(1e-6)
    present = (mass > 0).to(entropy.dtype)
    return (entropy * present).sum() / present.sum().clamp_min(1)


MASK_LOSSES: dict[str, PixelLoss] = {
    "bce": _bce,
    "weighted_bce": _weighted_bce,
    "dice": _soft_dice,
    "dice_bce": _dice_bce,
    "focal": _focal,
}
HEATMAP_LOSSES: dict[str, PixelLoss] = {
    "bce": _bce,
    "mse": _mse,
    "channel_ce": _channel_ce,
    "spatial_ce": _spatial_ce,
}


def coordinate_loss(logits: Tensor, landmarks: Tensor) -> Tensor:
    """Compute the mean distance between landmarks and the centroids of the softmax over each channel's pixels.

    Landmarks outside the image are left out.

    Args:
        logits: (N, K, H, W).
        landmarks: (N, K, 2), pixels.

    Returns:
        The distance in pixels, a scalar.

    Source: Nibali et al., "Numerical Coordinate Regression with Convolutional Neural Networks", 2018.
    """
    height, width = logits.shape[2:]
    probabilities = logits.flatten(2).softmax(dim=2).unflatten(2, (height, width))
    x = (probabilities.sum(2) * torch.arange(width, device=logits.device)).sum(2)
    y = (probabilities.sum(3) * torch.arange(height, device=logits.device)).sum(2)
    distances = (torch.stack([x, y], dim=2) - landmarks).square().sum(2).add(1e-6).sqrt()
    inside = (landmarks > -0.5).all(dim=2) & (landmarks[..., 0] < width - 0.5) & (landmarks[..., 1] < height - 0.5)
    present = inside.to(distances.dtype)
    return (distances * present).sum() / present.sum().clamp_min(1)


def region_weight(size: tuple[int, int], box: tuple[float, float, float, float], factor: float) -> Tensor:
    """Make the weight of each pixel from a box in which the loss counts more.

    Args:
        size: (H, W).
        box: Left, top, right and bottom of the box, as fractions of width and height.
        factor: Weight inside the box relative to the weight outside; 1 weights all pixels alike.

    Returns:
        (H, W) float32 with mean 1.
    """
    height, width = size
    left, top, right, bottom = box
    x, y = (torch.arange(width) + 0.5) / width, (torch.arange(height) + 0.5) / height
    inside = ((y >= top) & (y < bottom))[:, None] & ((x >= left) & (x < right))[None]
    weight = 1 + (factor - 1) * inside.to(torch.float32)
    return weight / weight.mean()
