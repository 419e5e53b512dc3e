"""The evaluation of a run on images with more noise than those that it was trained on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from echoseg.datasets.store import Store
from echoseg.evaluation.evaluate import evaluate, split_indices
from echoseg.inference.predictor import Predictor

NOISE_LEVELS = (0.0, 0.2, 0.4, 0.8)
"""Standard deviations of the speckle noise, as shares of the pixel values."""


def robustness(predictor: Predictor, store: Store) -> pd.DataFrame:
    """Evaluate a run on copies of the test split with speckle noise.

    Rodríguez Valencia et al. name robustness to noise as an aim, without a result.

    Args:
        predictor: The predictor of the run.
        store: The store that the run was trained on.

    Returns:
        A table with a row per noise level in `NOISE_LEVELS`: speckle, dice and hd95_px.
    """
    indices = split_indices(predictor, store, "test")
    random = np.random.default_rng(0)
    frames = np.array(store.frames)
    rows = []
    for level in NOISE_LEVELS:
        noise = random.standard_normal((len(indices), *store.size), dtype=np.float32)
        noisy = store.frames[indices] * (1 + level * noise)
        frames[indices] = np.rint(np.clip(noisy, 0, 255)).astype(np.uint8)
        summary = evaluate(predictor, dataclasses.replace(store, frames=frames), "test").summary
        rows.append({"speckle": level, "dice": summary["dice"], "hd95_px": summary["hd95_px"]})
    return pd.DataFrame(rows)
