"""What the ordering of a tracing's points does to its mask: the first seed paper's comparison, made again."""

from __future__ import annotations

import numpy as np
import pandas as pd
from tqdm import tqdm

from echoseg.datasets.recording import Dataset
from echoseg.datasets.store import Store
from echoseg.geometry.contour import ORDERINGS, order_contour
from echoseg.geometry.crop import Box, Crop, fov_box
from echoseg.metrics.overlap import dice
from echoseg.ops import fill_polygons

COMPARED = tuple(name for name in ORDERINGS if name != "given")


def masks_by_ordering(dataset: Dataset, store: Store) -> dict[str, np.ndarray]:
    """Fill the tracing of each image of a store once by each ordering.

    Args:
        dataset: chord tracings.
        store: made from them.

    Returns:
        By ordering, (N, H, W) uint8, in the order of the store.
    """
    traced = {(video.name, tracing.frame): tracing for video in dataset.recordings for tracing in video.tracings}
    spacings = {video.name: video.spacing for video in dataset.recordings}
    samples = list(store.samples.itertuples())
    masks = {}
    for name in tqdm(COMPARED, desc="orderings", disable=None):
        contours = []
        for sample in samples:
            contour = order_contour(traced[sample.video, sample.frame].coordinates, name)
            frame = Box(0, 0, sample.height, sample.width)
            box = fov_box(frame, spacings[sample.video], store.manifest["fov_mm"])
            contours.append(Crop(box, store.size).points(contour))
        offsets = np.cumsum([0, *map(len, contours)], dtype=np.int64)
        masks[name] = fill_polygons(np.concatenate(contours), store.size, offsets=offsets)
    return masks


def compare_orderings(masks: dict[str, np.ndarray]) -> pd.DataFrame:
    """Foreground Dice of each ordering's masks against those of ``chords``.

    Returns:
        A row an ordering: mean, min, and the share of masks below 0.95.
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
