"""The measures by which a training follows its network."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from echoseg.datasets.store import Store
from echoseg.geometry.ragged import pad_contours
from echoseg.models.codec import Codec, decode_masks, drawing_device
from echoseg.ops import fill_polygons
from echoseg.training.batch_plans import to_device
from echoseg.training.batches import Batch, take_frames
from echoseg.training.config import Config
from echoseg.training.devices import autocast, prediction_batch, sum_dtype
from echoseg.training.distributed import Ranks


class Scores(NamedTuple):
    """Means over images: the loss, and the foreground Dice of the decoded masks against those of the tracings."""

    loss: float
    dice: float


class Validation:
    """Scores a network on samples, without augmentation.

    Points, and on a GPU the frames, are copied to the device once. Targets are drawn for each batch, as in training:
    drawing takes about a thousandth of the network's time, and the heatmaps of all samples a hundred times the memory
    of their points.

    Args:
        codec: Draws the targets and decodes the logits.
        loss_of: The result of ``optimization.make_loss``.
        store: Frames and contours.
        indices: (n,) samples to predict.
        config: Batch size and precision.
        device: Device of the network.
        ranks: The processes that share the samples.
        frames: The store's frames, or a copy of them on the device.
    """

    def __init__(
        self,
        codec: Codec,
        loss_of: Callable[[Tensor, Batch], Tensor],
        store: Store,
        indices: np.ndarray,
        config: Config,
        device: torch.device,
        ranks: Ranks | None = None,
        frames: Tensor | np.ndarray | None = None,
    ) -> None:
        self._codec, self._loss_of, self._device = codec, loss_of, device
        self._size, self._precision = store.size, config.precision
        self._ranks = ranks or Ranks()
        self._count, mine = len(indices), indices[self._ranks.part(len(indices))]
        self._batch_size = prediction_batch(config, device)
        self._frames = store.frames if frames is None else frames
        self._indices = to_device(mine, frames.device if isinstance(frames, Tensor) else torch.device("cpu"))
        contours = pad_contours(store.points, store.offsets)[mine]
        landmarks = codec.choose(contours)
        self._contours = to_device(contours, drawing_device(device))
        self._landmarks = None if landmarks is None else to_device(landmarks, drawing_device(device))

    def __len__(self) -> int:
        return self._count

    @torch.no_grad()  # not inference_mode: a training must be able to reuse the codec's buffers
    def score(self, model: nn.Module) -> Scores:
        """Compute the mean loss and the mean foreground Dice.

        Args:
            model: The network, on the device; it is put into evaluation mode.
        """
        model.eval()
        sums = torch.zeros(2, dtype=sum_dtype(self._device), device=self._device)
        scores = []
        for start in range(0, len(self._indices), self._batch_size):
            part = slice(start, start + self._batch_size)
            contours = self._contours[part]
            landmarks = None if self._landmarks is None else self._landmarks[part]
            frames = take_frames(self._frames, self._indices[part], self._device)
            with autocast(self._device, self._precision):
                logits = model(frames)
            targets = self._codec.encode(contours, self._size, self._device, landmarks)
            sums[0] += self._loss_of(logits.float(), Batch(frames, *targets, contours)) * len(frames)
            scores.append(batch_dice(self._codec, logits, contours))
        sums[1] = sum(float(part.cpu().numpy().sum()) for part in scores)
        loss, score = (self._ranks.sum(sums) / self._count).tolist()
        return Scores(loss, score)


def batch_dice(codec: Codec, logits: Tensor, contours: Tensor) -> Tensor:
    """Compute the foreground Dice of each image of a batch, where the targets are drawn.

    Args:
        codec: Decodes the logits.
        logits: (N, channels, H, W).
        contours: (N, P, 2) float32, pixels, the true contours, on `models.codec.drawing_device`.

    Returns:
        (N,) float64, equal to `metrics.overlap.dice` with 1 for two empty masks.
    """
    found = decode_masks(codec, logits)
    true = fill_polygons(contours, (found.shape[1], found.shape[2]))
    both, total = (masks.flatten(1).sum(1).double() for masks in (found & true, found.int() + true))
    return torch.where(total > 0, 2 * both / total, 1.0)
