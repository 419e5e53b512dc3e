"""What perfect landmarks would give: so that their scheme, number and outline are chosen by evidence."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from tqdm import tqdm

from echoseg.datasets.store import Store
from echoseg.errors import DataError
from echoseg.geometry.landmarks import SCHEMES, choose_landmarks
from echoseg.geometry.ragged import pad_contours
from echoseg.geometry.spline import OUTLINES, join_landmarks
from echoseg.metrics.overlap import dice
from echoseg.metrics.surface import surface_distances
from echoseg.ops import fill_polygons

COUNTS = range(3, 21)


def landmark_ceiling(store: Store, *, counts: Iterable[int] = COUNTS) -> pd.DataFrame:
    """Measure the masks of the true landmarks' outlines against the masks of the tracings.

    Args:
        store: with or without chords.
        counts: numbers of landmarks to try.

    Returns:
        a row for each scheme, count and outline that this data set allows: scheme, landmarks, outline, the means of
        dice and hd95_px, the least dice, and area_error_percent, the mean size of the area's error.
    """
    true = fill_polygons(pad_contours(store.points, store.offsets), store.size)
    area = true.sum(axis=(1, 2), dtype=np.int64)
    rows = []
    cases = [(scheme, count) for scheme in SCHEMES for count in counts if store.has_chords or scheme != "anatomical"]
    for scheme, count in tqdm(cases, desc="landmarks", disable=None):
        try:
            landmarks = choose_landmarks(store.points, count, scheme=scheme, offsets=store.offsets)
        except DataError:
            continue  # not with so many
        for outline in OUTLINES:
            masks = fill_polygons(join_landmarks(landmarks, scheme=scheme, outline=outline), store.size)
            scores = dice(masks, true)
            error = np.abs(masks.sum(axis=(1, 2), dtype=np.int64) - area) / np.maximum(area, 1)
            rows.append(
                {
                    "scheme": scheme,
                    "landmarks": count,
                    "outline": outline,
                    "dice": scores.mean(),
                    "least_dice": scores.min(),
                    "hd95_px": surface_distances(masks, true)[0].mean(),
                    "area_error_percent": 100 * error.mean(),
                }
            )
    return pd.DataFrame(rows)
