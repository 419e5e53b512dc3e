"""Masks of level sets without their contours, on the device of the probabilities, where a frame shows one plain region.

A trained network finds one region without holes in nearly all frames. For these, the contour, filled, gives the pixels
above the level, so that no probability has to travel to the CPU.
"""

from __future__ import annotations

import torch
from torch import Tensor

_ROUNDING = 2**-22  # of a point's coordinate, relative, with a margin


def plain_regions(values: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """Find the pixels above a level, and the frames in which they are the filled ``level_set_contour``.

    A frame is plain if its pixels above the level form at most one connected component, without a hole, and if no value
    is so close to the level that the rounding of a point of the contour could move a pixel to its other side.

    Args:
        values: (N, H, W) float32 in [0, 1].
        level: The level.

    Returns:
        The masks, (N, H, W) uint8, and whether each frame is plain, (N,) bool.
    """
    inside = values > level
    upper, lower = values[:, :-1], values[:, 1:]
    corner_means = (upper[..., :-1].double() + upper[..., 1:] + lower[..., :-1] + lower[..., 1:]) / 4
    joined = corner_means > level  # whether two pixels that touch at the corner are connected
    components = _count_components(inside, joined)
    holes = components - _euler_number(inside, joined)
    exact = (values - level).abs().amin(dim=(1, 2)) > max(values.shape[1:]) * _ROUNDING
    return inside.to(torch.uint8), (components <= 1) & (holes == 0) & exact


def _count_components(inside: Tensor, joined: Tensor) -> Tensor:
    """(N,) int64, by spreading the largest pixel number of each component until nothing changes."""
    count, height, width = inside.shape
    numbers = torch.arange(height * width, device=inside.device).view(height, width)
    labels = torch.where(inside, numbers, -1)
    while True:
        spread = labels.clone()
        for here, there, allowed in _neighbours(joined):
            for target, source in ((here, there), (there, here)):
                offered = labels[source] if allowed is None else torch.where(allowed, labels[source], -1)
                torch.maximum(spread[target], offered, out=spread[target])
        spread = torch.where(inside, spread, -1).flatten(1)
        spread = torch.where(spread < 0, spread, spread.gather(1, spread.clamp_min(0)))  # the label of that pixel
        spread = spread.view(count, height, width)
        if torch.equal(spread, labels):
            return (labels == numbers).sum(dim=(1, 2))
        labels = spread


def _neighbours(joined: Tensor) -> list[tuple[tuple, tuple, Tensor | None]]:
    """Pairs of slices of (N, H, W) that are neighbours, and where they are; None for everywhere."""
    all_, first, last = slice(None), slice(None, -1), slice(1, None)
    return [
        ((all_, first, all_), (all_, last, all_), None),
        ((all_, all_, first), (all_, all_, last), None),
        ((all_, first, first), (all_, last, last), joined),
        ((all_, first, last), (all_, last, first), joined),
    ]


def _euler_number(inside: Tensor, joined: Tensor) -> Tensor:
    """(N,) int64: the number of components less that of the holes, from squares of 2 x 2 pixels.

    Source: Gray, "Local properties of binary images in two dimensions", IEEE Transactions on Computers 1971.
    """
    padded = torch.nn.functional.pad(inside.to(torch.int64), (1, 1, 1, 1))
    joined = torch.nn.functional.pad(joined, (1, 1, 1, 1))
    a, b, c, d = padded[:, :-1, :-1], padded[:, :-1, 1:], padded[:, 1:, :-1], padded[:, 1:, 1:]
    pixels = a + b + c + d
    diagonal = (pixels == 2) & (a == d)
    quarters = (pixels == 1).long() - (pixels == 3).long() + torch.where(joined, -2, 2) * diagonal
    return quarters.sum(dim=(1, 2)) // 4
