"""Batches, made on the device that trains: gather frames, augment them, draw the targets.

Nothing but frames and points is stored; pixels are handled by the device.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from echoseg.datasets.store import Store
from echoseg.models.codec import Codec
from echoseg.training.augment import AugmentFunction, change_greys, draw_speckle, warp_frames
from echoseg.training.config import Config
from echoseg.training.distributed import Ranks
from echoseg.training.plan import Plan, Plans
from echoseg.training.stopwatch import Stopwatch

_READERS = 2  # worker processes where the frames do not fit on a GPU


class Batch(NamedTuple):
    """Input of the network and of the loss.

    Attributes:
        frames: (B, H, W) float32 in [0, 255].
        targets: (B, C, H, W) float32; overwritten by the next batch.
        landmarks: (B, K, 2) float32, pixels; None in the mask approach.
        contours: (B, P, 2) float32, pixels, on the host.
        share: This rank's part of the whole batch's images, times the number of ranks.
    """

    frames: Tensor
    targets: Tensor
    landmarks: Tensor | None
    contours: np.ndarray
    share: float = 1.0


class Batches:
    """The training samples of a store, shuffled and augmented again in each epoch.

    On a GPU, the store's frames are copied to it if they fit; else worker processes read them ahead. On the CPU, the
    store's memory map is read directly.

    Args:
        store: Frames and contours.
        indices: (n,) samples to train on.
        codec: Draws the targets.
        config: Batch size, seed and augmentation.
        device: Where the batches are made.
        ranks: The processes that share each batch.
        augment: A user's augmentation in place of echoseg's.
    """

    def __init__(
        self,
        store: Store,
        indices: np.ndarray,
        codec: Codec,
        config: Config,
        device: torch.device,
        ranks: Ranks | None = None,
        augment: AugmentFunction | None = None,
    ) -> None:
        self._codec = codec
        self.device = device
        self._size = store.size
        on_gpu = device.type == "cuda"
        resident = on_gpu and config.workers == 0 and augment is None and _fits(store.frames, device)
        self._frames = _copy_to(device, store.frames) if resident else None
        self._workers = config.workers or (_READERS if on_gpu and not resident else 0)
        landmarks = codec.landmarks(store) if codec.choose_before else None
        self._plans = Plans(
            store,
            landmarks,
            np.asarray(indices),
            config,
            ranks or Ranks(),
            with_frames=not resident,
            augment=augment,
        )
        self._speckle = draw_speckle(config.seed, self._size).to(device)

    def __len__(self) -> int:
        return self._plans.steps

    def epoch(self, epoch: int, *, first: int = 0, watch: Stopwatch | None = None) -> Iterator[Batch]:
        """Yield the batches of an epoch.

        Args:
            epoch: Number of the epoch, from 0.
            first: Step to begin with.
            watch: Measures the parts "data" and "drawing".
        """
        watch = watch or Stopwatch(self.device)
        plans = self._epoch_plans(epoch, first)
        while True:
            with watch.measure("data"):
                plan = next(plans, None)
                if plan is None:
                    return
                frames = self._augmented_frames(plan)
            with watch.measure("drawing"):
                targets, landmarks = self._codec.encode(plan.contours, self._size, self.device, plan.landmarks)
            yield Batch(frames, targets, landmarks, plan.contours, plan.share)

    def _epoch_plans(self, epoch: int, first: int) -> Iterator[Plan]:
        positions = [(epoch, step) for step in range(first, len(self))]
        if self._workers == 0:
            return (self._plans[position] for position in positions)
        return iter(DataLoader(self._plans, batch_size=None, sampler=positions, num_workers=self._workers))

    def _augmented_frames(self, plan: Plan) -> Tensor:
        if self._frames is not None:
            frames = self._frames[torch.from_numpy(plan.indices).to(self.device)]
        else:
            assert plan.frames is not None
            frames = torch.from_numpy(plan.frames).to(self.device)
        frames = frames.to(torch.float32)
        if plan.augmentation is None:
            return frames
        frames = warp_frames(frames, plan.augmentation.linear, plan.augmentation.offset)
        return change_greys(frames, plan.augmentation.greys, self._speckle)


def _fits(frames: np.ndarray, device: torch.device) -> bool:
    """Whether the frames take less than half of a GPU's free memory."""
    return frames.nbytes < torch.cuda.mem_get_info(device)[0] // 2


def _copy_to(device: torch.device, frames: np.ndarray) -> Tensor:
    """Copy (N, H, W) uint8 frames in pieces: the memory map may be larger than the host's memory."""
    copied = torch.empty(frames.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(frames), 4096):
        copied[start : start + 4096] = torch.from_numpy(np.array(frames[start : start + 4096]))
    return copied
