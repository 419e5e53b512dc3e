"""The host's part of every batch: its samples, their augmentation and their moved points, a few kilobytes.

What is random in a batch depends on (seed, epoch, step) alone. So a resumed run gets the batches that an uninterrupted
run would have got, and the processes of a distributed run divide one batch among them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch.utils.data import Dataset

from echoseg.datasets.store import Store
from echoseg.errors import DataError
from echoseg.geometry.landmarks import SCHEMES, move_landmarks
from echoseg.geometry.ragged import pad_contours
from echoseg.training.augment import Augmentation, AugmentFunction, draw_augmentation
from echoseg.training.config import Config
from echoseg.training.copies import add_copies, copy_maps
from echoseg.training.distributed import Ranks


@dataclass
class Plan:
    """The host's part of a batch of B samples.

    Attributes:
        indices: (B,) int64, samples of the store.
        frames: (B, H, W), grey values from 0 to 255; None where the device holds the frames.
        contours: (B, P, 2) float32, pixels, augmented.
        landmarks: (B, K, 2) float32, pixels, augmented; None where they are chosen on the augmented contours.
        augmentation: What the device still has to do to the frames; None where a user's function has done it.
        share: This rank's part of the whole batch's images, times the number of ranks.
    """

    indices: np.ndarray
    frames: np.ndarray | None
    contours: np.ndarray
    landmarks: np.ndarray | None
    augmentation: Augmentation | None
    share: float


class Plans(Dataset):
    """The plan of every batch, by (epoch, step). Picklable, so worker processes can make plans.

    Args:
        store: Frames and contours.
        landmarks: (N, K, 2) float32, pixels: landmarks of all samples, where they are chosen before the augmentation.
        indices: (n,) samples to train on.
        config: Batch size, seed and augmentation.
        ranks: The processes that share each batch.
        with_frames: Whether a plan brings the frames.
        augment: A user's augmentation in place of echoseg's; needs ``with_frames``.

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
    ) -> None:
        self._frames = store.frames if with_frames else None
        self._landmarks = landmarks
        self._contours = pad_contours(store.points, store.offsets)
        if augment is not None and config.fixed_copies:
            raise DataError(
                "fixed_copies is part of echoseg's augmentation; set it to 0, or leave out your own augment"
            )
        self._images = len(store)
        self._entries = entries = add_copies(indices, config.fixed_copies, config.seed, len(store))
        self._config, self._ranks, self._size = config, ranks, store.size
        self._augment = augment
        self._shuffled = -1, entries  # an epoch and its order
        whole = config.batch_size * ranks.count
        self.steps = max(1, (len(entries) + whole - ranks.count) // whole)  # no rank may get an empty last batch

    def __getitem__(self, position: tuple[int, int]) -> Plan:
        epoch, step = position
        config, ranks = self._config, self._ranks
        whole = self._order(epoch)[step * config.batch_size * ranks.count :][: config.batch_size * ranks.count]
        part = ranks.part(len(whole))
        copies, chosen = np.divmod(whole[part], self._images)
        plan = Plan(
            indices=chosen,
            frames=None if self._frames is None else self._frames[chosen],
            contours=self._contours[chosen],
            landmarks=None if self._landmarks is None else self._landmarks[chosen],
            augmentation=None,
            share=len(chosen) * ranks.count / len(whole),
        )
        if self._augment is not None:
            random = np.random.default_rng([config.seed, epoch, step, ranks.index])
            return _augmented_by(self._augment, plan, random, config)
        random = np.random.default_rng([config.seed, epoch, step])
        augmentation = draw_augmentation(random, len(whole), self._size, config).part(part)
        return _augmented(plan, augmentation.after(*copy_maps(copies, self._size)), config)

    def _order(self, epoch: int) -> np.ndarray:
        if self._shuffled[0] != epoch:
            random = np.random.default_rng([self._config.seed, epoch])
            self._shuffled = epoch, random.permutation(self._entries)
        return self._shuffled[1]


def _augmented(plan: Plan, augmentation: Augmentation, config: Config) -> Plan:
    """Move the points; the device moves the pixels."""
    linear, offset = augmentation.linear, augmentation.offset
    contours = plan.contours @ linear.transpose(0, 2, 1) + offset[:, None]
    plan.contours, plan.augmentation = contours.astype(np.float32), augmentation
    if plan.landmarks is not None and config.scheme is not None:
        plan.landmarks = move_landmarks(plan.landmarks, linear, offset, scheme=config.scheme)
    return plan


def _augmented_by(augment: AugmentFunction, plan: Plan, random: np.random.Generator, config: Config) -> Plan:
    """Let a user's function move pixels and points.

    Raises:
        ValueError: It returns arrays of another shape.
    """
    assert plan.frames is not None
    length = plan.contours.shape[1]
    points = plan.contours if plan.landmarks is None else np.concatenate([plan.contours, plan.landmarks], axis=1)
    frames, moved = augment(plan.frames, points.copy(), random)
    if frames.shape != plan.frames.shape or moved.shape != points.shape:
        raise ValueError(
            f"augment returned frames {frames.shape} and points {moved.shape}, expected {plan.frames.shape} and "
            f"{points.shape}"
        )
    mirrored = _signed_areas(points[:, :length]) * _signed_areas(moved[:, :length]) < 0
    plan.frames, plan.contours = np.ascontiguousarray(frames), moved[:, :length].astype(np.float32)
    if plan.landmarks is not None and config.scheme is not None:
        landmarks = moved[:, length:].astype(np.float32)
        landmarks[mirrored] = landmarks[mirrored][:, SCHEMES[config.scheme].mirror(landmarks.shape[1])]
        plan.landmarks = landmarks
    return plan


def _signed_areas(contours: np.ndarray) -> np.ndarray:
    """(N,) areas inside closed contours, negative where they run counterclockwise on the screen."""
    x, y = np.moveaxis(contours.astype(np.float64), -1, 0)
    return (x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(axis=1) / 2
