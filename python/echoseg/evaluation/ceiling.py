"""Accuracy of masks that are computed from the true landmarks: an upper bound for each scheme, number and outline."""

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
    """Compare masks that are computed from the true landmarks with the masks of the tracings.

    Args:
        store: The store.
        counts: The numbers of landmarks.

    Returns:
        A table with a row for each combination of scheme, number and outline that the data set allows: scheme,
        landmarks, outline, the means of dice and hd95_px, min_dice, and area_error_percent, the mean absolute error of
        the area. Blank slices are left out.
    """
    offsets = store.offsets[np.append(True, ~store.blank)]
    true = fill_polygons(pad_contours(store.points, offsets), store.size)
    area = true.sum(axis=(1, 2), dtype=np.int64)
    rows = []
    cases = [(scheme, count) for scheme in SCHEMES for count in counts if store.has_chords or scheme != "anatomical"]
    for scheme, count in tqdm(cases, desc="landmarks", disable=None):
        try:
            landmarks = choose_landmarks(store.points, count, scheme=scheme, offsets=offsets)
        except DataError:
            continue  # the scheme does not support this number
        for outline in OUTLINES:
            masks = fill_polygons(join_landmarks(landmarks, scheme=scheme, outline=outline), store.size)
            scores = dice(masks, true)
            error = np.abs(masks.sum(axis=(1, 2), dtype=np.int64) - area) / np.maximum(area, 1)
            rows.append(
                {
                    "scheme": scheme,
                    "landmarks": count,
                    "outline": outline,
                    "dice": np.nanmean(scores),
                    "min_dice": np.nanmin(scores),
                    "hd95_px": np.nanmean(surface_distances(masks, true)[0]),
                    "area_error_percent": 100 * error.mean(),
                }
            )
    return pd.DataFrame(rows)
