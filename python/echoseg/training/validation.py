"""The measures by which a training follows its network."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from echoseg.datasets.store import Store
from echoseg.geometry.ragged import pad_contours
from echoseg.metrics.overlap import dice
from echoseg.models.codec import Codec, decode_masks
from echoseg.ops import fill_polygons
from echoseg.training.batches import Batch
from echoseg.training.config import Config
from echoseg.training.distributed import Ranks


class Scores(NamedTuple):
    """Means over images: the loss, and the foreground Dice of the decoded masks against those of the tracings."""

    loss: float
    dice: float


@torch.no_grad()  # not inference_mode: a training must be able to reuse the codec's buffers
def validate(
    model: nn.Module,
    codec: Codec,
    loss_of: Callable[[Tensor, Batch], Tensor],
    store: Store,
    indices: np.ndarray,
    config: Config,
    device: torch.device,
    ranks: Ranks | None = None,
) -> Scores:
    """Compute the mean loss and the mean foreground Dice of samples, without augmentation.

    Args:
        model: The network, on ``device``; it is put into evaluation mode.
        codec: Draws the targets and decodes the logits.
        loss_of: The result of ``optimization.make_loss``.
        store: Frames and contours.
        indices: (n,) samples to predict.
        config: Batch size and precision.
        device: Device of the network.
        ranks: The processes that share the samples.
    """
    ranks = ranks or Ranks()
    model.eval()
    contours = pad_contours(store.points, store.offsets)
    mine = indices[ranks.part(len(indices))]
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    for start in range(0, len(mine), config.batch_size):
        chosen = mine[start : start + config.batch_size]
        frames = torch.from_numpy(store.frames[chosen]).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            logits = model(frames)
        batch = Batch(frames, *codec.encode(contours[chosen], store.size, device), contours[chosen])
        sums[0] += loss_of(logits.float(), batch) * len(chosen)
        sums[1] += float(batch_dice(codec, logits, contours[chosen]).sum())
    loss, score = (ranks.sum(sums) / len(indices)).tolist()
    return Scores(loss, score)


def batch_dice(codec: Codec, logits: Tensor, contours: np.ndarray) -> np.ndarray:
    """Compute the foreground Dice of each image of a batch.

    Args:
        codec: Decodes the logits.
        logits: (N, channels, H, W).
        contours: (N, P, 2) float32, pixels, the true contours.

    Returns:
        (N,) float64.
    """
    masks = decode_masks(codec, logits)
    return dice(masks, fill_polygons(contours, (masks.shape[1], masks.shape[2])))
