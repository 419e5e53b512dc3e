"""Augmentation: random maps that move pixels and points alike, and random changes of grey values.

The host draws the random numbers of a batch; the device that trains moves and changes the pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from echoseg.training.config import Config

SPECKLE_FIELDS = 4  # number of noise fields that a training shares

AugmentFunction = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]
"""A user's augmentation: (B, H, W) uint8 frames and (B, P, 2) float32 points in pixels, and a random generator → frames
(B, H, W) in [0, 255], uint8 or float, and points (B, P, 2), moved as the pixels were."""


class Augmentation(NamedTuple):
    """Random numbers of B samples.

    Attributes:
        linear: (B, 2, 2) float64; a point p of the frame, pixels, moves to ``linear @ p + offset``.
        offset: (B, 2) float64.
        greys: By name, (B,) each; see ``change_greys``.
    """

    linear: np.ndarray
    offset: np.ndarray
    greys: dict[str, np.ndarray]

    def part(self, samples: slice) -> Augmentation:
        """Return the random numbers of some of the samples."""
        greys = {name: values[samples] for name, values in self.greys.items()}
        return Augmentation(self.linear[samples], self.offset[samples], greys)

    def after(self, linear: np.ndarray, offset: np.ndarray) -> Augmentation:
        """Return the augmentation of samples that other maps, (B, 2, 2) and (B, 2), have moved before."""
        moved = np.einsum("bij,bj->bi", self.linear, offset) + self.offset
        return Augmentation(self.linear @ linear, moved, self.greys)


def draw_augmentation(random: np.random.Generator, count: int, size: tuple[int, int], config: Config) -> Augmentation:
    """Draw the augmentation of ``count`` samples of size (H, W)."""
    linear, offset = draw_maps(random, count, size, config)
    return Augmentation(linear, offset, _draw_greys(random, count, size, config))


def draw_maps(
    random: np.random.Generator, count: int, size: tuple[int, int], config: Config
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one mirroring, rotation, scale and shift about the frame's centre for each sample.

    Returns:
        linear (N, 2, 2) and offset (N, 2) float64; see ``Augmentation``.
    """
    angle = np.deg2rad(random.uniform(-config.rotation, config.rotation, count))
    scale = 1 + random.uniform(-config.zoom, config.zoom, count)
    height, width = size
    shift = random.uniform(-config.shift, config.shift, (count, 2)) * (width, height)
    mirror = np.where(random.random(count) < config.flip, -1.0, 1.0)
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.stack([mirror * cosine, -sine, mirror * sine, cosine], axis=1).reshape(count, 2, 2)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    return linear, centre - linear @ centre + shift


def _draw_greys(
    random: np.random.Generator, count: int, size: tuple[int, int], config: Config
) -> dict[str, np.ndarray]:
    """Draw what differs between scanners, for each sample; see ``change_greys``."""
    height, width = size
    direction = random.uniform(0, 2 * np.pi, count)
    slope = random.uniform(0, config.shade, count)
    shadow_direction = random.uniform(0, 2 * np.pi, count)
    return {
        "exponent": np.exp(random.uniform(-config.gamma, config.gamma, count)),
        "level": random.uniform(-config.gain, config.gain, count),
        "slope_x": slope * np.cos(direction),
        "slope_y": slope * np.sin(direction) - random.uniform(0, config.attenuation, count),
        "blur": random.uniform(0, config.blur, count),
        "shadow": random.uniform(0, config.shadow, count),
        "shadow_x": np.cos(shadow_direction),
        "shadow_y": np.sin(shadow_direction),
        "shadow_offset": random.uniform(-0.5, 0.5, count),
        "shadow_width": random.uniform(0.03, 0.12, count),
        "speckle": random.uniform(0, config.noise, count),
        "speckle_field": random.integers(0, SPECKLE_FIELDS, count),
        "speckle_row": random.integers(0, height, count),
        "speckle_column": random.integers(0, width, count),
    }


def draw_speckle(seed: int, size: tuple[int, int]) -> Tensor:
    """Draw the normal noise from which ``change_greys`` cuts speckle, (M, 2 H, 2 W) float32."""
    shape = SPECKLE_FIELDS, 2 * size[0], 2 * size[1]
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32))


def warp_frames(frames: Tensor, linear: np.ndarray, offset: np.ndarray) -> Tensor:
    """Move pixels as ``Augmentation`` moves points. What comes from outside the frame is black.

    Args:
        frames: (N, H, W) float32.
        linear: (N, 2, 2) float64.
        offset: (N, 2) float64.

    Returns:
        (N, H, W) float32, with bilinear interpolation.
    """
    height, width = frames.shape[1:]
    # grid_sample's coordinates run from -1 to 1 between the frame's outer edges: u = (2 x + 1) / width - 1
    half = np.array([width / 2, height / 2])
    centre = half - 0.5
    inverse = np.linalg.inv(linear)
    source = inverse * half[None, None, :] / half[None, :, None]
    start = (np.einsum("nij,nj->ni", inverse, centre - offset) - centre) / half
    of_x, of_y, start = torch.from_numpy(np.stack([source[:, :, 0], source[:, :, 1], start])).to(frames)[:, :, None]
    # The result of affine_grid in a quarter of its time: a term for each column plus a term for each row.
    across, down = _centres(width, frames)[:, None] * of_x, _centres(height, frames)[:, None] * of_y + start
    grid = across[:, None] + down[:, :, None]
    return F.grid_sample(frames[:, None], grid, align_corners=False)[:, 0]


def _centres(count: int, like: Tensor) -> Tensor:
    """(count,) positions of the pixels' centres between -1 and 1."""
    return (2 * torch.arange(count, dtype=like.dtype, device=like.device) + 1) / count - 1


def change_greys(frames: Tensor, greys: dict[str, np.ndarray], speckle: Tensor) -> Tensor:
    """Change gamma, gain, brightness across the frame, depth attenuation, shadow, blur and speckle.

    Args:
        frames: (N, H, W) float32 in [0, 255].
        greys: By name, (N,) each; of ``Augmentation``.
        speckle: (M, 2 H, 2 W) float32 normal noise; each sample takes a window of one field.

    Returns:
        (N, H, W) float32 in [0, 255].
    """
    height, width = frames.shape[1:]
    device = frames.device
    numbers = torch.from_numpy(np.stack([values.astype(np.float32) for values in greys.values()])).to(device)
    of = dict(zip(greys, numbers.view(len(greys), -1, 1, 1), strict=True))
    x = torch.linspace(-0.5, 0.5, width, device=device)
    y = torch.linspace(-0.5, 0.5, height, device=device).view(-1, 1)

    log_gain = of["level"] + of["slope_x"] * x + of["slope_y"] * y
    if greys["shadow"].any():
        across = (of["shadow_x"] * x + of["shadow_y"] * y - of["shadow_offset"]) / of["shadow_width"]
        log_gain = log_gain - of["shadow"] * torch.exp(-across.square())
    frames = 255 * (frames / 255) ** of["exponent"] * torch.exp(log_gain)
    if greys["blur"].any():
        frames = torch.lerp(frames, F.avg_pool2d(frames, 3, stride=1, padding=1, count_include_pad=False), of["blur"])
    if greys["speckle"].any():
        names = ("speckle_field", "speckle_row", "speckle_column")
        place = torch.from_numpy(np.stack([greys[name] for name in names])).to(device)
        windows = speckle.unfold(1, height, 1).unfold(2, width, 1)
        frames = frames * (1 + of["speckle"] * windows[place[0], place[1], place[2]])
    return frames.clamp(0, 255)
