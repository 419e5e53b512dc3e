"""The host's part of the batches: their samples, augmentation and moved points, a few kilobytes each.

What is random in a batch depends on (seed, epoch, step) alone. So a resumed run gets the batches that an uninterrupted
run would have got, and the processes of a distributed run divide one batch among them. Several batches are planned at
once, which takes less time than one after the other: most of it is spent in calling NumPy, not in its loops.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from echoseg.datasets.store import Store
from echoseg.errors import DataError
from echoseg.geometry.landmarks import SCHEMES, choose_landmarks, move_landmarks
from echoseg.geometry.ragged import pad_contours
from echoseg.training.augment import Augmentation, AugmentFunction, draw_augmentation, inverse_maps
from echoseg.training.batch_size import BATCH
from echoseg.training.config import Config
from echoseg.training.copies import add_copies, copy_maps
from echoseg.training.distributed import Ranks


@dataclass(frozen=True)
class BatchPlan:
    """The host's part of one or several batches, of B samples in all. Arrays are NumPy's, or tensors after `to`.

    Attributes:
        shares: Of each batch, this rank's part of the whole batch's images, times the number of ranks.
        counts: Number of samples of each batch.
        indices: (B,) int64, samples of the store.
        contours: (B, P, 2) float32, pixels, augmented.
        landmarks: (B, K, 2) float32, pixels, of the augmented contours; None in the mask approach.
        frames: (B, H, W), grey values from 0 to 255; None where the plan does not bring them.
        maps: (B, 3, 2) float32; see ``augment.inverse_maps``. None where a user's function has augmented the frames;
            likewise ``greys``.
        greys: (B, G) float32, the columns of ``augment.grey_names``.
    """

    shares: list[float]
    counts: list[int]
    indices: Any
    contours: Any
    landmarks: Any = None
    frames: Any = None
    maps: Any = None
    greys: Any = None

    def batches(self) -> Iterator[BatchPlan]:
        """Yield the plan of each batch."""
        end = 0
        for share, count in zip(self.shares, self.counts, strict=True):
            start, end = end, end + count
            arrays = {name: array[start:end] for name, array in self._arrays().items()}
            yield dataclasses.replace(self, shares=[share], counts=[count], **arrays)

    def to(self, device: torch.device, drawing_device: torch.device) -> BatchPlan:
        """Copy to the device of the frames, and contours and landmarks to the one that draws; a GPU is not waited for.

        Args:
            device: Where the frames are augmented.
            drawing_device: Where the targets are drawn.
        """
        tensors: dict[str, Any] = {
            name: to_device(array, drawing_device if name in ("contours", "landmarks") else device)
            for name, array in self._arrays().items()
        }
        return dataclasses.replace(self, **tensors)

    def _arrays(self) -> dict[str, Any]:
        named = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)[2:]}
        return {name: array for name, array in named.items() if array is not None}


def to_device(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """Copy an array to a device; on the CPU, share its memory. The copy to a GPU is only started."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


class BatchPlans(Dataset):
    """The plans of all batches, by (epoch, first step, step after the last). Picklable, for worker processes.

    Args:
        store: Frames and contours.
        landmarks: (N, K, 2) float32, pixels: landmarks of all samples, where they are chosen before the augmentation;
            None where they are chosen on the augmented contours.
        indices: (n,) samples to train on.
        config: Approach, batch size, seed and augmentation.
        ranks: The processes that share each batch.
        with_frames: Whether a plan brings the frames.
        augment: A user's augmentation in place of echoseg's; needs ``with_frames``.
        rehearsed: (m,) samples of earlier data. Up to as many of them as there are entries to train on, copies among
            them, are added to each epoch.

    Raises:
        DataError: There are fixed copies, but a user's augmentation in place of echoseg's.

    Attributes:
        steps: Number of batches in an epoch.
    """

    def __init__(
        self,
        store: Store,
        landmarks: np.ndarray | None,
        indices: np.ndarray,
        config: Config,
        ranks: Ranks,
        *,
        with_frames: bool,
        augment: AugmentFunction | None = None,
        rehearsed: np.ndarray | None = None,
    ) -> None:
        self._store = store if with_frames else None  # not its frames: only a store is pickled without them
        self._landmarks = landmarks
        self._contours = pad_contours(store.points, store.offsets)
        if augment is not None and config.fixed_copies:
            raise DataError(
                "fixed_copies is part of echoseg's augmentation; set it to 0, or leave out your own augment"
            )
        self._images = len(store)
        self._entries = entries = add_copies(indices, config.fixed_copies, config.seed, len(store))
        self._rehearsed = np.zeros(0, np.int64) if rehearsed is None else rehearsed
        self._added = min(len(self._rehearsed), len(entries))
        self._config, self._ranks, self._size = config, ranks, store.size
        self._scheme = config.scheme or "arc"
        self._augment = augment
        self._shuffled = -1, entries  # an epoch and its order
        self._whole = whole = (config.batch_size or BATCH) * ranks.count
        images = len(entries) + self._added
        self.steps = max(1, (images + whole - ranks.count) // whole)  # no rank may get an empty last batch

    def __getitem__(self, position: tuple[int, int, int]) -> BatchPlan:
        epoch, first, end = position
        order = self._order(epoch)
        batches = [order[step * self._whole :][: self._whole] for step in range(first, end)]
        parts = [self._ranks.part(len(batch)) for batch in batches]
        mine = [batch[part] for batch, part in zip(batches, parts, strict=True)]
        copies, chosen = np.divmod(np.concatenate(mine), self._images)
        plan = BatchPlan(
            shares=[len(own) * self._ranks.count / len(batch) for own, batch in zip(mine, batches, strict=True)],
            counts=[len(own) for own in mine],
            indices=chosen,
            contours=self._contours[chosen],
            landmarks=None if self._landmarks is None else self._landmarks[chosen],
            frames=None if self._store is None else self._store.frames[chosen],
        )
        if self._augment is not None:
            assert end == first + 1
            random = np.random.default_rng([self._config.seed, epoch, first, self._ranks.index])
            plan = self._augmented_by(self._augment, plan, random)
        else:
            drawn = [
                self._draw(epoch, first + number, len(batch)).part(part)
                for number, (batch, part) in enumerate(zip(batches, parts, strict=True))
            ]
            augmentation = Augmentation(*(np.concatenate(values) for values in zip(*drawn, strict=True)))
            plan = self._augmented(plan, augmentation.after(*copy_maps(copies, self._size)))
        if plan.landmarks is None and self._config.approach == "landmark":
            chosen_now = choose_landmarks(plan.contours, self._config.landmarks, scheme=self._scheme)
            plan = dataclasses.replace(plan, landmarks=chosen_now)
        return plan

    def _draw(self, epoch: int, step: int, count: int) -> Augmentation:
        random = np.random.default_rng([self._config.seed, epoch, step])
        return draw_augmentation(random, count, self._size, self._config)

    def _order(self, epoch: int) -> np.ndarray:
        if self._shuffled[0] != epoch:
            random = np.random.default_rng([self._config.seed, epoch])
            added = random.choice(self._rehearsed, self._added, replace=False) if self._added else self._rehearsed
            self._shuffled = epoch, random.permutation(np.concatenate([self._entries, added]))
        return self._shuffled[1]

    def _augmented(self, plan: BatchPlan, augmentation: Augmentation) -> BatchPlan:
        """Move the points; the device moves the pixels."""
        linear, offset = augmentation.linear, augmentation.offset
        contours = plan.contours @ linear.transpose(0, 2, 1) + offset[:, None]
        landmarks = plan.landmarks
        if landmarks is not None:
            landmarks = move_landmarks(landmarks, linear, offset, scheme=self._scheme)
        return dataclasses.replace(
            plan,
            contours=contours.astype(np.float32),
            landmarks=landmarks,
            maps=inverse_maps(linear, offset, self._size),
            greys=augmentation.greys,
        )

    def _augmented_by(self, augment: AugmentFunction, plan: BatchPlan, random: np.random.Generator) -> BatchPlan:
        """Let a user's function move pixels and points.

        Raises:
            ValueError: It returns arrays of another shape.
        """
        length = plan.contours.shape[1]
        points = plan.contours if plan.landmarks is None else np.concatenate([plan.contours, plan.landmarks], axis=1)
        frames, moved = augment(plan.frames, points.copy(), random)
        if frames.shape != plan.frames.shape or moved.shape != points.shape:
            raise ValueError(
                f"augment returned frames {frames.shape} and points {moved.shape}, expected {plan.frames.shape} and "
                f"{points.shape}"
            )
        landmarks = None
        if plan.landmarks is not None:
            landmarks = moved[:, length:].astype(np.float32)
            mirrored = _signed_areas(points[:, :length]) * _signed_areas(moved[:, :length]) < 0
            landmarks[mirrored] = landmarks[mirrored][:, SCHEMES[self._scheme].mirror(landmarks.shape[1])]
        contours = moved[:, :length].astype(np.float32)
        return dataclasses.replace(plan, frames=np.ascontiguousarray(frames), contours=contours, landmarks=landmarks)


def _signed_areas(contours: np.ndarray) -> np.ndarray:
    """(N,) areas inside closed contours, negative where they run counterclockwise on the screen."""
    x, y = np.moveaxis(contours.astype(np.float64), -1, 0)
    return (x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(axis=1) / 2
