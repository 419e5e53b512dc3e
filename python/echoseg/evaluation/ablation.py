"""What each choice of the landmark approach is worth: one changed at a time, from the defaults; and the mask network.

A star, not a grid: interactions are not seen, but each row can be read by itself, and a full factorial design of these
choices would take thousands of trainings. What happens after the network (decoding, joining) is varied on the networks
that are there, which costs nothing.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from echoseg.datasets.store import Store
from echoseg.evaluation.evaluate import evaluate
from echoseg.evaluation.experiments import study_store, training_images
from echoseg.inference.predictor import load
from echoseg.models.codec import scheme_for
from echoseg.training.config import DECODERS, OUTLINES, Config
from echoseg.training.loop import train
from echoseg.training.presets import PRESETS

# the first seed's way of landmarks; network, optimizer and budget as in the other rows
_SEED = {
    name: PRESETS["rodriguez"]["landmark"][name]
    for name in ("landmarks", "scheme", "outline", "decode", "loss", "sigma")
}
_EPOCHS = 10
CHANGES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "mask": {"approach": "mask"},
    "first seed's landmarks": _SEED,
    "scheme angle": {"scheme": "angle"},
    "scheme extremes, K = 6": {"scheme": "extremes", "landmarks": 6},
    "scheme anatomical": {"scheme": "anatomical"},
    "scheme arc": {"scheme": "arc"},
    **{f"K = {count}": {"landmarks": count} for count in (5, 13, 21)},  # anatomical takes odd numbers
    **{f"loss {loss}": {"loss": loss} for loss in ("bce", "mse", "channel_ce")},
    "coordinates in the loss": {"coordinate_weight": 0.1},
    "euclidean heatmaps": {"heatmap": "euclidean"},
    "sigma 1.5": {"sigma": 1.5},
    "sigma 4": {"sigma": 4.0, "radius": 16.0},
    "radius 5": {"radius": 5.0},
    "band, 2 iterations": {"band_iterations": 2},
}


def run_ablation(
    store: Store,
    out: Path,
    *,
    images: int | None = None,
    seeds: int = 3,
    changes: Mapping[str, dict[str, Any]] = CHANGES,
    **settings: Any,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train and measure each row of ``changes`` that differs from the defaults, and that the data set allows.

    Args:
        store: what to train and test on, split by patient.
        out: folder for the runs; must not exist.
        images: to train on; None takes all.
        seeds: trainings of each row.
        changes: what to try, by name; the rows' settings.
        settings: of ``Config``, for all rows.

    Returns:
        a row a training: change, seed, and the test split's dice, hd95_px and landmark_error_px (nan for masks); and a
        row for each way to decode and to join what the default networks say: decode, outline, seed, and the same.

    Raises:
        DataError: an empty split.
        FileExistsError: ``out`` exists.
    """
    out.mkdir(parents=True)
    rows, after = [], []
    cases = [(seed, name) for seed in range(seeds) for name in changes]
    for seed, name in tqdm(cases, desc="experiments", disable=None):
        change = changes[name]
        common = {"images": images, "seed": seed, "scheme": scheme_for(store, None), **settings}
        config = Config(**{**common, **change})
        the_same = change and config == Config(**common)
        if the_same or (config.scheme == "anatomical" and not store.has_chords):
            continue
        run = out / f"{name.replace(' ', '-')}-{seed}"
        train(config, store, run)
        rows.append({"change": name, "seed": seed, **_scores(run, store, config.device)})
        if name == "defaults":
            for decode, outline in itertools.product(DECODERS, OUTLINES):
                scores = _scores(run, store, config.device, method=decode, outline=outline)
                after.append({"decode": decode, "outline": outline, "seed": seed, **scores})
    trainings, readings = pd.DataFrame(rows), pd.DataFrame(after)
    trainings.to_csv(out / "trainings.csv", index=False)
    readings.to_csv(out / "readings.csv", index=False)
    return trainings, readings


def compare_landmark_settings(
    data: str | Path | None, out: Path, *, scale: float = 1.0, **settings: Any
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train with each of ``CHANGES``.

    Args:
        data: folder of a data set, or a store; None takes a phantom that is large enough.
        out: folder for the runs, ``trainings.csv`` and ``readings.csv``; must not exist.
        scale: share of the images that the largest experiment of the paper is trained on.
        settings: further arguments of ``run_ablation``; 10 epochs unless others are given.

    Returns:
        The two tables of ``run_ablation``.

    Raises:
        DataError: data that cannot be used, or an empty split.
        FileExistsError: ``out`` exists.
    """
    images = training_images(scale)
    store = study_store(data, out, images)
    return run_ablation(store, out, images=images, **{"epochs": _EPOCHS, **settings})


def _scores(run: Path, store: Store, device: str, **reading: Any) -> dict[str, float]:
    """Of the test split; ``reading`` changes the codec with which the network's heatmaps are read."""
    predictor = load(run, device=device)
    if reading:
        predictor.codec = dataclasses.replace(predictor.codec, **reading)  # type: ignore[type-var]
    summary = evaluate(predictor, store, "test").summary
    return {name: summary.get(name, float("nan")) for name in ("dice", "hd95_px", "landmark_error_px")}
