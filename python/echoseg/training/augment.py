"""Augmentation: random maps that move pixels and points alike, and random changes of grey values.

The host draws the random numbers of a batch; the device that trains moves and changes the pixels.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
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
        greys: (B, G) float32, the columns of ``grey_names``; see ``change_greys``.
    """

    linear: np.ndarray
    offset: np.ndarray
    greys: np.ndarray

    def part(self, samples: slice) -> Augmentation:
        """Return the random numbers of some of the samples."""
        return Augmentation(*(values[samples] for values in self))

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
    rotation, largest_shift, flip = (_chosen(value) for value in (config.rotation, config.shift, config.flip))
    angle = np.deg2rad(random.uniform(-rotation, rotation, count))
    scale = 1 + random.uniform(-config.zoom, config.zoom, count)
    height, width = size
    shift = random.uniform(-largest_shift, largest_shift, (count, 2)) * (width, height)
    mirror = np.where(random.random(count) < flip, -1.0, 1.0)
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.stack([mirror * cosine, -sine, mirror * sine, cosine], axis=1).reshape(count, 2, 2)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    return linear, centre - linear @ centre + shift


def grey_names(config: Config) -> tuple[str, ...]:
    """Name the columns of ``Augmentation.greys``: the numbers of all changes that are part of the configuration."""
    names = ["exponent", "level", "slope_x", "slope_y"]
    names += ["blur"] if config.blur else []
    names += ["shadow", "shadow_x", "shadow_y", "shadow_offset", "shadow_width"] if config.shadow else []
    names += ["speckle", "speckle_field", "speckle_row", "speckle_column"] if config.noise else []
    return tuple(names)


def _draw_greys(random: np.random.Generator, count: int, size: tuple[int, int], config: Config) -> np.ndarray:
    """Draw what differs between scanners, for each sample: (N, G) float32, the columns of ``grey_names``.

    All numbers are drawn, used or not, so that a setting does not change the random numbers of another.
    """
    height, width = size
    gamma, gain = _chosen(config.gamma), _chosen(config.gain)
    direction = random.uniform(0, 2 * np.pi, count)
    slope = random.uniform(0, _chosen(config.shade), count)
    shadow_direction = random.uniform(0, 2 * np.pi, count)
    drawn = {
        "exponent": np.exp(random.uniform(-gamma, gamma, count)),
        "level": random.uniform(-gain, gain, count),
        "slope_x": slope * np.cos(direction),
        "slope_y": slope * np.sin(direction) - random.uniform(0, config.attenuation, count),
        "blur": random.uniform(0, config.blur, count),
        "shadow": random.uniform(0, config.shadow, count),
        "shadow_x": np.cos(shadow_direction),
        "shadow_y": np.sin(shadow_direction),
        "shadow_offset": random.uniform(-0.5, 0.5, count),
        "shadow_width": random.uniform(0.03, 0.12, count),
        "speckle": random.uniform(0, _chosen(config.noise), count),
        "speckle_field": random.integers(0, SPECKLE_FIELDS, count),
        "speckle_row": random.integers(0, height, count),
        "speckle_column": random.integers(0, width, count),
    }
    return np.stack([drawn[name] for name in grey_names(config)], axis=1, dtype=np.float32, casting="same_kind")


def _chosen(limit: float | None) -> float:
    """A setting that ``training.plan`` has chosen, if it was left open."""
    assert limit is not None
    return limit


def draw_speckle(seed: int, size: tuple[int, int]) -> Tensor:
    """Draw the normal noise from which ``change_greys`` cuts speckle, (M, 2 H, 2 W) float32."""
    shape = SPECKLE_FIELDS, 2 * size[0], 2 * size[1]
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32))


def inverse_maps(linear: np.ndarray, offset: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Compute where the pixels of moved frames come from, in the coordinates of ``grid_sample``.

    Args:
        linear: (N, 2, 2) float64; see ``Augmentation``.
        offset: (N, 2) float64.
        size: (H, W) of the frames.

    Returns:
        (N, 3, 2) float32: what x, y and 1 contribute to the place (u, v) from which a pixel comes.
    """
    height, width = size
    # grid_sample's coordinates run from -1 to 1 between the frame's outer edges: u = (2 x + 1) / width - 1
    half = np.array([width / 2, height / 2])
    centre = half - 0.5
    inverse = np.linalg.inv(linear)
    source = inverse * half[None, None, :] / half[None, :, None]
    start = (np.einsum("nij,nj->ni", inverse, centre - offset) - centre) / half
    return np.stack([source[:, :, 0], source[:, :, 1], start], axis=1, dtype=np.float32, casting="same_kind")


def warp_frames(frames: Tensor, maps: Tensor) -> Tensor:
    """Move pixels as ``Augmentation`` moves points. What comes from outside the frame is black.

    Args:
        frames: (N, H, W) float32.
        maps: (N, 3, 2) float32, of ``inverse_maps``, on the same device.

    Returns:
        (N, H, W) float32, with bilinear interpolation.
    """
    height, width = frames.shape[1:]
    of_x, of_y, start = maps.unbind(1)
    # The result of affine_grid in a tenth of its time: a term for each column plus a term for each row, in planes.
    across = _centres(width, frames.device) * of_x[:, :, None]
    down = _centres(height, frames.device) * of_y[:, :, None] + start[:, :, None]
    grid = across[:, :, None] + down[:, :, :, None]
    return F.grid_sample(frames[:, None], grid.permute(0, 2, 3, 1), align_corners=False)[:, 0]


@functools.lru_cache(maxsize=16)
def _centres(count: int, device: torch.device) -> Tensor:
    """(count,) positions of the pixels' centres between -1 and 1."""
    return (2 * torch.arange(count, dtype=torch.float32, device=device) + 1) / count - 1


@functools.lru_cache(maxsize=16)
def _positions(count: int, device: torch.device) -> Tensor:
    """(count,) positions from -0.5 to 0.5."""
    return torch.linspace(-0.5, 0.5, count, dtype=torch.float32, device=device)


def change_greys(frames: Tensor, greys: Mapping[str, Tensor], speckle: Tensor) -> Tensor:
    """Change gamma, gain, brightness across the frame, depth attenuation, shadow, blur and speckle.

    Args:
        frames: (N, H, W) float32 in [0, 255].
        greys: (N,) float32 each, by name; those of ``grey_names``, on the same device. Shadow, blur and speckle may be
            left out.
        speckle: (M, 2 H, 2 W) float32 normal noise; each sample takes a window of one field.

    Returns:
        (N, H, W) float32 in [0, 255].
    """
    height, width = frames.shape[1:]
    of = {name: numbers[:, None, None] for name, numbers in greys.items()}
    x, y = _positions(width, frames.device), _positions(height, frames.device)[:, None]

    log_gain = of["level"] + of["slope_x"] * x + of["slope_y"] * y
    if "shadow" in greys:
        across = (of["shadow_x"] * x + of["shadow_y"] * y - of["shadow_offset"]) / of["shadow_width"]
        log_gain = log_gain - of["shadow"] * torch.exp(-across.square())
    frames = (frames / 255).pow_(of["exponent"]).mul_(255).mul_(log_gain.exp_())
    if "blur" in greys:
        frames = torch.lerp(frames, F.avg_pool2d(frames, 3, stride=1, padding=1, count_include_pad=False), of["blur"])
    if "speckle" in greys:
        field, row, column = (greys[f"speckle_{name}"].long() for name in ("field", "row", "column"))
        windows = speckle.unfold(1, height, 1).unfold(2, width, 1)[field, row, column]
        frames = windows.mul_(of["speckle"]).add_(1).mul_(frames)
    return frames.clamp_(0, 255)
