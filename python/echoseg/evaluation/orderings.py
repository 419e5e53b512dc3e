"""Comparison of the orderings by which the points of a tracing are joined to a contour.

Source: the comparison follows Rodríguez Valencia et al., "Left Ventricle Automatic Segmentation with Deep Learning on
the EchoNet Dynamic Dataset".
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from tqdm import tqdm

from echoseg.datasets.recording import Dataset
from echoseg.datasets.store import Store
from echoseg.geometry.contour import ORDERINGS, order_contour
from echoseg.metrics.overlap import dice
from echoseg.ops import fill_polygons

_ORDERINGS = tuple(name for name in ORDERINGS if name != "given")


def masks_by_ordering(dataset: Dataset, store: Store) -> dict[str, np.ndarray]:
    """Compute the mask of each image in a store by each ordering.

    Args:
        dataset: A data set with tracings of chords.
        store: The store made from it.

    Returns:
        Masks by name of the ordering, (N, H, W) uint8, 0 or 1, in the order of the store.
    """
    tracings = {(video.name, tracing.frame): tracing for video in dataset.recordings for tracing in video.tracings}
    keys = list(zip(store.samples["video"], store.samples["frame"], strict=True))
    crops = [store.crop(index) for index in range(len(store))]
    masks = {}
    for name in tqdm(_ORDERINGS, desc="orderings", disable=None):
        contours = [
            crop.points(order_contour(tracings[key].coordinates, name)) for crop, key in zip(crops, keys, strict=True)
        ]
        offsets = np.cumsum([0, *map(len, contours)], dtype=np.int64)
        masks[name] = fill_polygons(np.concatenate(contours), store.size, offsets=offsets)
    return masks


def compare_orderings(masks: dict[str, np.ndarray]) -> pd.DataFrame:
    """Compute the foreground Dice between the masks of each ordering and those of the ordering "chords".

    Args:
        masks: The result of `masks_by_ordering`.

    Returns:
        A table with a row per ordering: mean, min, and below_0.95, the share of images with a smaller Dice.
    """
    scores = {name: dice(mask, masks["chords"]) for name, mask in masks.items()}
    return pd.DataFrame(
        {
            "ordering": list(scores),
            "mean": [score.mean() for score in scores.values()],
            "min": [score.min() for score in scores.values()],
            "below_0.95": [(score < 0.95).mean() for score in scores.values()],
        }
    )
