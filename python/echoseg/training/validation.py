"""The measure by which a training chooses its best weights."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from echoseg.datasets.store import Store
from echoseg.geometry.ragged import pad_contours
from echoseg.metrics.overlap import dice
from echoseg.models.codec import Codec, decode_masks
from echoseg.ops import fill_polygons
from echoseg.training.config import Config
from echoseg.training.distributed import Ranks


@torch.inference_mode()
def validate(
    model: nn.Module,
    codec: Codec,
    store: Store,
    indices: np.ndarray,
    config: Config,
    device: torch.device,
    ranks: Ranks | None = None,
) -> float:
    """Compute the mean foreground Dice of the decoded masks against the tracings' masks.

    Args:
        model: The network, on ``device``; it is put into evaluation mode.
        codec: Decodes the logits.
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
    total = 0.0
    for start in range(0, len(mine), config.batch_size):
        chosen = mine[start : start + config.batch_size]
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            logits = model(torch.from_numpy(store.frames[chosen]).to(device))
        total += dice(decode_masks(codec, logits), fill_polygons(contours[chosen], store.size)).sum()
    return ranks.sum(torch.tensor(total, dtype=torch.float64, device=device)).item() / len(indices)
