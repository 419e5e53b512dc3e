"""How far observers differ from each other, beside how far the model differs from them, on the same images."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from echoseg.datasets.store import Store
from echoseg.evaluation.ejection import traced_volumes
from echoseg.evaluation.image_table import measure_images
from echoseg.geometry.discs import landmark_axes
from echoseg.geometry.landmarks import choose_landmarks
from echoseg.inference.predictor import Prediction
from echoseg.metrics.agreement import agreement
from echoseg.metrics.bootstrap import mean_interval

MODEL = "model"
"""What the model is called beside the observers."""
MEASURES = ("dice", "nsd_2px", "nsd_2mm", "hd95_px", "hd95_mm", "landmark_error_px")
"""The measures of two observers; both are treated alike. Landmarks are compared if both observers have placed them."""


def observer_agreement(store: Store, indices: NDArray[np.int64], prediction: Prediction) -> dict[str, Any]:
    """Compute the entry "observers" of `metrics.json`.

    Args:
        store: The store that was evaluated.
        indices: (N,) int64, indices of images in the store.
        prediction: The prediction for these images.

    Returns:
        Without images that several observers traced, nothing. Else "observers", a list with an entry for each pair of
        the model and an observer, and of two observers, on the images that both traced, of those that several observers
        traced: `first` and `second`, their names; `images` and `patients`, the numbers; the means of the `MEASURES` and
        `ci95`, their 95 % intervals, by name of the measure; and `ef`, if there are videos with ED and ES: the
        agreement of the EF of the first with that of the second, see `echoseg.metrics.agreement.agreement`.
    """
    contours = {name: dict(of_image) for name, of_image in store.observers.items()}
    several = {index for of_image in contours.values() for index in of_image}
    places = {MODEL: [place for place, index in enumerate(indices) if index in several]}
    places |= {name: [place for place in places[MODEL] if indices[place] in contours[name]] for name in contours}
    entries = []
    for first, second in itertools.combinations(places, 2):
        both = np.array(sorted({*places[first]} & {*places[second]}), dtype=np.int64)
        if not len(both):
            continue
        by = [
            prediction.take(both) if name == MODEL else _as_prediction(store, indices[both], contours[name])
            for name in (first, second)
        ]
        entries.append({"first": first, "second": second, **_compare(store, indices[both], *by)})
    return {"observers": entries} if entries else {}


def _as_prediction(store: Store, indices: NDArray[np.int64], contours: Mapping[int, NDArray[np.float32]]) -> Prediction:
    """The tracings of an observer; with chords, the long axis is theirs, as for the true contours."""
    traced = [contours[index] for index in indices]
    axes = None
    if store.has_chords:
        landmarks = [choose_landmarks(contour[None], 3, scheme="anatomical") for contour in traced]
        axes = landmark_axes(np.concatenate(landmarks), "anatomical")
    empty = np.broadcast_to(np.float32(0), (len(traced), *store.size))  # probabilities, which tracings do not have
    return Prediction(traced, np.ones(len(traced), dtype=np.int64), empty, axes=axes)


def _compare(store: Store, indices: NDArray[np.int64], first: Prediction, second: Prediction) -> dict[str, Any]:
    entry = summarise_pair(measure_images(first, second.masks, store.samples.iloc[indices]))
    volumes, others = (traced_volumes(store, indices, one) for one in (first, second))
    if len(volumes):
        ef = others.set_index("video")["ef"].reindex(volumes["video"]).to_numpy(np.float64)
        entry["ef"] = agreement(volumes["ef"].to_numpy(np.float64), ef, volumes["patient"].to_numpy())
    return entry


def summarise_pair(images: pd.DataFrame) -> dict[str, Any]:
    """Summarise how far two observers differ in the images that both traced.

    Args:
        images: A row for each image, with its patient, by `measure_images` of one observer and the masks of the other.

    Returns:
        The entries `images`, `patients`, the means of the `MEASURES` and `ci95` of `observer_agreement`.
    """
    known = [name for name in MEASURES if name in images and images[name].notna().any()]
    patients = images["patient"].to_numpy()
    entry: dict[str, Any] = {"images": len(images), "patients": len(np.unique(patients))}
    entry |= {name: float(images[name].mean()) for name in known}
    entry["ci95"] = {name: list(mean_interval(images[name].to_numpy(), patients)) for name in known}
    return entry
