"""Batches, made on the device that trains: gather frames, augment them, draw the targets.

Nothing but frames and points is stored; pixels are handled by the device.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from echoseg.datasets.store import Store
from echoseg.models.codec import Codec, drawing_device
from echoseg.training.augment import AugmentFunction, change_greys, draw_speckle, grey_names, warp_frames
from echoseg.training.batch_plans import BatchPlan, BatchPlans, to_device
from echoseg.training.config import Config
from echoseg.training.distributed import Ranks
from echoseg.training.stopwatch import Stopwatch

_READERS = 2  # worker processes where the frames do not fit on a GPU
_STEPS_AT_ONCE = 8  # that are planned together


class Batch(NamedTuple):
    """Input of the network and of the loss.

    Attributes:
        frames: (B, H, W) float32 in [0, 255].
        targets: (B, C, H, W) float32; overwritten by the next batch.
        landmarks: (B, K, 2) float32, pixels; None in the mask approach.
        contours: (B, P, 2) float32, pixels, on the device that draws the targets.
        share: This rank's part of the whole batch's images, times the number of ranks.
    """

    frames: Tensor
    targets: Tensor
    landmarks: Tensor | None
    contours: Tensor
    share: float = 1.0


class Batches:
    """The training samples of a store, shuffled and augmented again in each epoch.

    On a GPU, the store's frames are copied to it if they fit; else, or if a user's function augments them, worker
    processes read them ahead. Elsewhere the store's memory map is read directly. A GPU is never waited for. On Apple's
    GPU, batches are made on the CPU.

    Args:
        store: Frames and contours.
        indices: (n,) samples to train on.
        codec: Draws the targets.
        config: Batch size, seed and augmentation.
        device: The device that trains.
        ranks: The processes that share each batch.
        augment: A user's augmentation in place of echoseg's.
        rehearsed: (m,) samples of earlier data, of which up to n are added to each epoch, drawn for it.

    Attributes:
        frames: The store's frames, or a copy of them on the GPU.
        workers: Number of worker processes that each epoch starts.
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
        rehearsed: np.ndarray | None = None,
    ) -> None:
        self._codec = codec
        self.device = device
        self._size, self._seed = store.size, config.seed
        on_gpu = device.type == "cuda"
        self._making_device = device if on_gpu else torch.device("cpu")
        resident = on_gpu and config.workers == 0 and augment is None and _fits(store.frames, device)
        self.frames = _copy_to(device, store.frames) if resident else store.frames
        self.workers = config.workers or (_READERS if on_gpu and not resident else 0)
        self._plans_bring_frames = self.workers > 0 or augment is not None
        landmarks = codec.landmarks(store) if codec.choose_before else None
        self._plans = BatchPlans(
            store,
            landmarks,
            np.asarray(indices),
            config,
            ranks or Ranks(),
            with_frames=self._plans_bring_frames,
            augment=augment,
            rehearsed=rehearsed,
        )
        self._greys = grey_names(config)
        self._speckle = draw_speckle(config.seed, self._size).to(self._making_device)

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
                frames = self._augmented_frames(plan).to(self.device)
            with watch.measure("drawing"):
                targets, landmarks = self._codec.encode(plan.contours, self._size, self.device, plan.landmarks)
            yield Batch(frames, targets, landmarks, plan.contours, plan.shares[0])

    def _epoch_plans(self, epoch: int, first: int) -> Iterator[BatchPlan]:
        """The plan of each batch, on the devices that make it."""
        steps = 1 if self._plans_bring_frames else _STEPS_AT_ONCE  # frames take memory
        positions = [(epoch, step, min(step + steps, len(self))) for step in range(first, len(self), steps)]
        plans: Iterable[BatchPlan] = (self._plans[position] for position in positions)
        if self.workers:
            drawn = np.random.default_rng([self._seed, epoch]).integers(2**63)
            own = torch.Generator().manual_seed(int(drawn))  # torch's global one would give other numbers to dropout
            plans = DataLoader(self._plans, batch_size=None, sampler=positions, num_workers=self.workers, generator=own)
        for plan in plans:
            yield from plan.to(self._making_device, drawing_device(self.device)).batches()

    def _augmented_frames(self, plan: BatchPlan) -> Tensor:
        frames = plan.frames
        if frames is None:
            frames = take_frames(self.frames, plan.indices, self._making_device)
        frames = frames.to(torch.float32)
        if plan.maps is None:
            return frames
        greys = dict(zip(self._greys, plan.greys.unbind(1), strict=True))
        return change_greys(warp_frames(frames, plan.maps), greys, self._speckle)


def take_frames(frames: Tensor | np.ndarray, indices: Tensor, device: torch.device) -> Tensor:
    """Take (n,) frames from (N, H, W), an array or a tensor on the device; ``indices`` are where the frames are."""
    return frames[indices] if isinstance(frames, Tensor) else to_device(frames[indices.numpy()], device)


def _fits(frames: np.ndarray, device: torch.device) -> bool:
    """Whether the frames take less than half of a GPU's free memory."""
    return frames.nbytes < torch.cuda.mem_get_info(device)[0] // 2


def _copy_to(device: torch.device, frames: np.ndarray) -> Tensor:
    """Copy (N, H, W) uint8 frames in pieces: the memory map may be larger than the host's memory."""
    copied = torch.empty(frames.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(frames), 4096):
        copied[start : start + 4096] = torch.from_numpy(np.array(frames[start : start + 4096]))
    return copied
