"""Batches: one random map a sample moves pixels and points alike; then the targets are drawn.

Nothing but frames and points is ever stored. What is random in a batch follows from (seed, epoch, step) alone, so a
resumed run sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F

from echoseg.data.store import Store
from echoseg.geometry.ragged import pad_contours
from echoseg.models.codec import Codec
from echoseg.training.config import Config


class Batches:
    """The training samples of a store, shuffled and augmented anew in each epoch.

    Args:
        store: frames and contours.
        indices: (n,) which samples to use.
        codec: draws the targets.
        config: batch size, seed and augmentation.
        device: where the batches go.
    """

    def __init__(self, store: Store, indices: np.ndarray, codec: Codec, config: Config, device: torch.device) -> None:
        self._frames = store.frames
        self._contours = pad_contours(store.points, store.offsets)
        self._indices = np.asarray(indices)
        self._codec = codec
        self._config = config
        self.device = device

    def __len__(self) -> int:
        return -(-len(self._indices) // self._config.batch_size)

    def epoch(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield (frames (B, H, W) float32 in [0, 255], targets (B, C, H, W)) batch by batch.

        The targets are overwritten by the next batch.
        """
        order = np.random.default_rng([self._config.seed, epoch]).permutation(self._indices)
        size = self._frames.shape[1:]
        for step in range(len(self)):
            chosen = order[step * self._config.batch_size : (step + 1) * self._config.batch_size]
            random = np.random.default_rng([self._config.seed, epoch, step])
            linear, offset = random_maps(random, len(chosen), size, self._config)
            contours = self._contours[chosen] @ linear.transpose(0, 2, 1) + offset[:, None]
            targets = torch.from_numpy(self._codec.encode(contours.astype(np.float32), size))

            frames = torch.from_numpy(self._frames[chosen]).to(self.device, torch.float32)
            frames = warp_frames(frames, linear, offset)
            frames = _change_greys(frames, random, self._config)
            yield frames, targets.to(self.device, torch.float32)


def random_maps(
    random: np.random.Generator, count: int, size: tuple[int, int], config: Config
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one rotation, scale and shift about the frame's centre for each sample.

    Returns:
        linear (N, 2, 2) and offset (N, 2) float64: a point p of the frame, pixels, moves to ``linear @ p + offset``.
    """
    angle = np.deg2rad(random.uniform(-config.rotation, config.rotation, count))
    scale = 1 + random.uniform(-config.zoom, config.zoom, count)
    height, width = size
    shift = random.uniform(-config.shift, config.shift, (count, 2)) * (width, height)
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.stack([cosine, -sine, sine, cosine], axis=1).reshape(count, 2, 2)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    return linear, centre - linear @ centre + shift


def warp_frames(frames: torch.Tensor, linear: np.ndarray, offset: np.ndarray) -> torch.Tensor:
    """Move pixels as ``random_maps`` moves points; what comes from outside the frame is black.

    Args:
        frames: (N, H, W) float32.
        linear, offset: of ``random_maps``.

    Returns:
        (N, H, W) float32, bilinear.
    """
    height, width = frames.shape[1:]
    # grid_sample counts from -1 to 1 between the frame's outer edges: u = (2 x + 1) / width - 1
    half = np.array([width / 2, height / 2])
    centre = half - 0.5
    inverse = np.linalg.inv(linear)
    source = inverse * half[None, None, :] / half[None, :, None]
    start = (np.einsum("nij,nj->ni", inverse, centre - offset) - centre) / half
    theta = torch.from_numpy(np.concatenate([source, start[:, :, None]], axis=2)).to(frames)
    grid = F.affine_grid(theta, [len(frames), 1, height, width], align_corners=False)
    return F.grid_sample(frames[:, None], grid, align_corners=False)[:, 0]


def _change_greys(frames: torch.Tensor, random: np.random.Generator, config: Config) -> torch.Tensor:
    """Another grey curve, gain, uneven brightness, speckle: what differs from scanner to scanner. Cut to [0, 255]."""
    count, height, width = frames.shape
    exponent = np.exp(random.uniform(-config.gamma, config.gamma, count))
    level = random.uniform(-config.gain, config.gain, count)
    slope = random.uniform(0, config.shade, count)
    towards = random.uniform(0, 2 * np.pi, count)
    strength = random.uniform(0, config.noise, count)
    noise = torch.from_numpy(random.standard_normal(frames.shape, dtype=np.float32)).to(frames)

    def column(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values).to(frames).view(-1, 1, 1)

    x = torch.linspace(-0.5, 0.5, width, device=frames.device)
    y = torch.linspace(-0.5, 0.5, height, device=frames.device).view(-1, 1)
    gain = torch.exp(column(level) + column(slope * np.cos(towards)) * x + column(slope * np.sin(towards)) * y)
    frames = 255 * (frames / 255) ** column(exponent) * gain * (1 + column(strength) * noise)
    return frames.clamp(0, 255)
