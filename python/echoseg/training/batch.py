"""Batches, made on the device that trains: gather frames, move pixels and points alike, change greys, draw targets.

Nothing but frames and points is ever stored. The host draws the random numbers and moves points, a few kilobytes a
batch; the device handles pixels. What is random in a batch follows from (seed, epoch, step) alone, so a resumed run
sees what an uninterrupted one would have seen, and the ranks of a distributed run share one batch out among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from echoseg.datasets.store import Store
from echoseg.geometry.landmarks import move_landmarks
from echoseg.geometry.ragged import pad_contours
from echoseg.models.codec import Codec
from echoseg.training.config import Config
from echoseg.training.distributed import Ranks
from echoseg.training.stopwatch import Stopwatch

_SPECKLE_FIELDS = 4
_READERS = 2


class Batch(NamedTuple):
    """What the loss sees.

    Attributes:
        frames: (B, H, W) float32 in [0, 255].
        targets: (B, C, H, W) float32; overwritten by the next batch.
        landmarks: (B, K, 2) float32, pixels; None in the mask approach.
        share: this rank's part of the whole batch's images, times the number of ranks.
    """

    frames: Tensor
    targets: Tensor
    landmarks: Tensor | None
    share: float


@dataclass
class _Plan:
    """The host's part of a batch. ``frames``: (B, H, W) uint8, None where the device has them."""

    indices: np.ndarray
    frames: Any
    contours: np.ndarray  # (B, P, 2) float32, moved
    landmarks: np.ndarray | None  # (B, K, 2) float32, moved, where they are chosen before
    linear: np.ndarray  # (B, 2, 2)
    offset: np.ndarray  # (B, 2)
    greys: dict[str, np.ndarray]  # (B,) each
    share: float


class Batches:
    """The training samples of a store, shuffled and augmented anew in each epoch.

    Args:
        store: frames and contours.
        indices: (n,) which samples to use.
        codec: draws the targets.
        config: batch size, seed and augmentation.
        device: where the batches are made.
        ranks: among whom each batch is shared out.

    The frames of the store lie on a GPU if they fit; else worker processes read ahead from the disk. On the CPU the
    store's memory map serves as it is.
    """

    def __init__(
        self,
        store: Store,
        indices: np.ndarray,
        codec: Codec,
        config: Config,
        device: torch.device,
        ranks: Ranks | None = None,
    ) -> None:
        self._indices = np.asarray(indices)
        self._codec = codec
        self._config = config
        self.device = device
        self._size = store.size
        on_gpu = device.type == "cuda"
        resident = on_gpu and config.workers == 0 and _fits(store.frames, device)
        self._frames = _copied(store.frames, device) if resident else None
        self._workers = config.workers or (_READERS if on_gpu and not resident else 0)
        landmarks = codec.landmarks(store) if codec.choose_before else None
        self._plans = _Plans(store, landmarks, self._indices, config, ranks or Ranks(), with_frames=not resident)
        fields = _SPECKLE_FIELDS, 2 * self._size[0], 2 * self._size[1]
        speckle = np.random.default_rng(config.seed).standard_normal(fields, dtype=np.float32)
        self._speckle = torch.from_numpy(speckle).to(device)

    def __len__(self) -> int:
        return self._plans.steps

    def epoch(self, epoch: int, *, first: int = 0, watch: Stopwatch | None = None) -> Iterator[Batch]:
        """Yield the epoch's batches from step ``first`` on."""
        watch = watch or Stopwatch(self.device)
        plans = _in_order(self._plans, epoch, first, self._workers)
        while True:
            with watch.of("data"):
                plan = next(plans, None)
                if plan is None:
                    return
                frames = self._moved_frames(plan)
            with watch.of("drawing"):
                targets, landmarks = self._codec.encode(plan.contours, self._size, self.device, plan.landmarks)
            yield Batch(frames, targets, landmarks, plan.share)

    def _moved_frames(self, plan: _Plan) -> Tensor:
        if self._frames is None:
            frames = torch.from_numpy(plan.frames).to(self.device)
        else:
            frames = self._frames[torch.from_numpy(plan.indices).to(self.device)]
        frames = warp_frames(frames.to(torch.float32), plan.linear, plan.offset)
        return change_greys(frames, plan.greys, self._speckle)


class _Plans(Dataset):
    """The host's part of every batch, by (epoch, step). Picklable, so that worker processes can make them."""

    def __init__(
        self,
        store: Store,
        landmarks: np.ndarray | None,
        indices: np.ndarray,
        config: Config,
        ranks: Ranks,
        *,
        with_frames: bool,
    ) -> None:
        self._frames = store.frames if with_frames else None
        self._landmarks = landmarks
        self._contours = pad_contours(store.points, store.offsets)
        self._indices, self._config, self._ranks, self._size = indices, config, ranks, store.size
        self._shuffled = -1, indices  # the epoch whose order it is
        whole = config.batch_size * ranks.count
        self.steps = max(1, (len(indices) + whole - ranks.count) // whole)  # no rank may find a last batch empty

    def _order(self, epoch: int) -> np.ndarray:
        if self._shuffled[0] != epoch:
            random = np.random.default_rng([self._config.seed, epoch])
            self._shuffled = epoch, random.permutation(self._indices)
        return self._shuffled[1]

    def __getitem__(self, position: tuple[int, int]) -> _Plan:
        epoch, step = position
        config, ranks = self._config, self._ranks
        whole = self._order(epoch)[step * config.batch_size * ranks.count :][: config.batch_size * ranks.count]
        random = np.random.default_rng([config.seed, epoch, step])
        linear, offset = random_maps(random, len(whole), self._size, config)
        greys = _random_greys(random, len(whole), self._size, config)

        part = ranks.part(len(whole))
        chosen, linear, offset = whole[part], linear[part], offset[part]
        contours = self._contours[chosen] @ linear.transpose(0, 2, 1) + offset[:, None]
        landmarks = None
        if self._landmarks is not None and config.scheme is not None:
            landmarks = move_landmarks(self._landmarks[chosen], linear, offset, scheme=config.scheme)
        return _Plan(
            indices=chosen,
            frames=None if self._frames is None else self._frames[chosen],
            contours=contours.astype(np.float32),
            landmarks=landmarks,
            linear=linear,
            offset=offset,
            greys={name: values[part] for name, values in greys.items()},
            share=len(chosen) * ranks.count / len(whole),
        )


def _in_order(plans: _Plans, epoch: int, first: int, workers: int) -> Iterator[_Plan]:
    steps = [(epoch, step) for step in range(first, plans.steps)]
    if workers == 0:
        return (plans[step] for step in steps)
    return iter(DataLoader(plans, batch_size=None, sampler=steps, num_workers=workers))


def _fits(frames: np.ndarray, device: torch.device) -> bool:
    """Whether the frames take less than half of what is free on a GPU."""
    return frames.nbytes < torch.cuda.mem_get_info(device)[0] // 2


def _copied(frames: np.ndarray, device: torch.device) -> Tensor:
    """(N, H, W) uint8 on the device, piece by piece: the memory map may be larger than the host's memory."""
    copied = torch.empty(frames.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(frames), 4096):
        copied[start : start + 4096] = torch.from_numpy(np.array(frames[start : start + 4096]))
    return copied


def random_maps(
    random: np.random.Generator, count: int, size: tuple[int, int], config: Config
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one mirroring, rotation, scale and shift about the frame's centre for each sample.

    Returns:
        linear (N, 2, 2) and offset (N, 2) float64: a point p of the frame, pixels, moves to ``linear @ p + offset``.
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


def warp_frames(frames: Tensor, linear: np.ndarray, offset: np.ndarray) -> Tensor:
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
    of_x, of_y, start = torch.from_numpy(np.stack([source[:, :, 0], source[:, :, 1], start])).to(frames)[:, :, None]
    # what affine_grid gives, in a quarter of its time: the sum of a part that rows and one that columns share
    across, down = _centres(width, frames)[:, None] * of_x, _centres(height, frames)[:, None] * of_y + start
    grid = across[:, None] + down[:, :, None]
    return F.grid_sample(frames[:, None], grid, align_corners=False)[:, 0]


def _centres(count: int, like: Tensor) -> Tensor:
    """(count,) where pixels' centres lie between -1 and 1."""
    return (2 * torch.arange(count, dtype=like.dtype, device=like.device) + 1) / count - 1


def _random_greys(
    random: np.random.Generator, count: int, size: tuple[int, int], config: Config
) -> dict[str, np.ndarray]:
    """Draw what differs from scanner to scanner, for each sample; see ``change_greys``."""
    height, width = size
    towards = random.uniform(0, 2 * np.pi, count)
    slope = random.uniform(0, config.shade, count)
    lane = random.uniform(0, 2 * np.pi, count)
    return {
        "exponent": np.exp(random.uniform(-config.gamma, config.gamma, count)),
        "level": random.uniform(-config.gain, config.gain, count),
        "slope_x": slope * np.cos(towards),
        "slope_y": slope * np.sin(towards) - random.uniform(0, config.attenuation, count),
        "blur": random.uniform(0, config.blur, count),
        "shadow": random.uniform(0, config.shadow, count),
        "shadow_x": np.cos(lane),
        "shadow_y": np.sin(lane),
        "shadow_at": random.uniform(-0.5, 0.5, count),
        "shadow_width": random.uniform(0.03, 0.12, count),
        "speckle": random.uniform(0, config.noise, count),
        "field": random.integers(0, _SPECKLE_FIELDS, count),
        "field_row": random.integers(0, height, count),
        "field_column": random.integers(0, width, count),
    }


def change_greys(frames: Tensor, greys: dict[str, np.ndarray], fields: Tensor) -> Tensor:
    """Another grey curve, gain, uneven brightness, depth attenuation, shadow, blur and speckle. Cut to [0, 255].

    Args:
        frames: (N, H, W) float32 in [0, 255].
        greys: (N,) each, as drawn for a batch.
        fields: (M, 2 H, 2 W) float32 normal noise; a sample takes a window of one.

    Returns:
        (N, H, W) float32.
    """
    height, width = frames.shape[1:]
    device = frames.device
    numbers = torch.from_numpy(np.stack([values.astype(np.float32) for values in greys.values()])).to(device)
    of = dict(zip(greys, numbers.view(len(greys), -1, 1, 1), strict=True))
    x = torch.linspace(-0.5, 0.5, width, device=device)
    y = torch.linspace(-0.5, 0.5, height, device=device).view(-1, 1)

    log_gain = of["level"] + of["slope_x"] * x + of["slope_y"] * y
    if greys["shadow"].any():
        across = (of["shadow_x"] * x + of["shadow_y"] * y - of["shadow_at"]) / of["shadow_width"]
        log_gain = log_gain - of["shadow"] * torch.exp(-across.square())
    frames = 255 * (frames / 255) ** of["exponent"] * torch.exp(log_gain)
    if greys["blur"].any():
        frames = torch.lerp(frames, F.avg_pool2d(frames, 3, stride=1, padding=1, count_include_pad=False), of["blur"])
    if greys["speckle"].any():
        place = torch.from_numpy(np.stack([greys[name] for name in ("field", "field_row", "field_column")])).to(device)
        windows = fields.unfold(1, height, 1).unfold(2, width, 1)
        frames = frames * (1 + of["speckle"] * windows[place[0], place[1], place[2]])
    return frames.clamp(0, 255)
