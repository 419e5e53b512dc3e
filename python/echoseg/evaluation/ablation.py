"""Ablation study of the landmark approach: one setting is changed at a time from the defaults; and the mask approach.

Interactions of settings are not measured, since a full factorial design would need thousands of trainings. Decoding
method and outline need no training: all their combinations are applied to the networks with the default settings.
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

# landmarks as in Rodríguez Valencia et al.; network, optimizer and number of steps as in the other rows
_RODRIGUEZ = {
    name: PRESETS["rodriguez"]["landmark"][name]
    for name in ("landmarks", "scheme", "outline", "decode", "loss", "sigma")
}
_EPOCHS = 10
CHANGES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "mask": {"approach": "mask"},
    "Rodríguez Valencia et al.": _RODRIGUEZ,
    "scheme angle": {"scheme": "angle"},
    "scheme extremes, K = 6": {"scheme": "extremes", "landmarks": 6},
    "scheme anatomical": {"scheme": "anatomical"},
    "scheme arc": {"scheme": "arc"},
    **{f"K = {count}": {"landmarks": count} for count in (5, 13, 21)},  # the scheme "anatomical" needs odd numbers
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
    """Train and evaluate a network for each change of the settings.

    Changes that leave the defaults as they are, and changes that need chords if the store has none, are skipped.

    Args:
        store: The data to train and test on, split by patient.
        out: The folder for the runs and tables, which must not exist.
        images: The number of training images; None takes all.
        seeds: The number of trainings per change.
        changes: The changed settings by name of the change.
        **settings: Fields of `Config` for all trainings.

    Returns:
        Two tables. The first has a row per training: change, seed, and dice, hd95_px and landmark_error_px on the test
        split, where the landmark error is nan for masks. The second has a row per decoding method, outline and seed of
        the default settings: decode, outline, seed, and the same measures.

    Raises:
        DataError: A split is empty.
        FileExistsError: `out` exists.
    """
    out.mkdir(parents=True)
    rows, decoding_rows = [], []
    cases = [(seed, name) for seed in range(seeds) for name in changes]
    for seed, name in tqdm(cases, desc="experiments", disable=None):
        change = changes[name]
        defaults = {"images": images, "seed": seed, "scheme": scheme_for(store, None), **settings}
        config = Config(**{**defaults, **change})
        unchanged = change and config == Config(**defaults)
        if unchanged or (config.scheme == "anatomical" and not store.has_chords):
            continue
        run = out / f"{name.replace(' ', '-')}-{seed}"
        train(config, store, run)
        rows.append({"change": name, "seed": seed, **_scores(run, store, config.device)})
        if name == "defaults":
            for decode, outline in itertools.product(DECODERS, OUTLINES):
                scores = _scores(run, store, config.device, method=decode, outline=outline)
                decoding_rows.append({"decode": decode, "outline": outline, "seed": seed, **scores})
    trainings, decodings = pd.DataFrame(rows), pd.DataFrame(decoding_rows)
    trainings.to_csv(out / "trainings.csv", index=False)
    decodings.to_csv(out / "decodings.csv", index=False)
    return trainings, decodings


def compare_landmark_settings(
    data: str | Path | None, out: Path, *, scale: float = 1.0, **settings: Any
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Prepare a data set and run the ablation study on it.

    Args:
        data: The folder of a data set, or a store; None uses a phantom data set of sufficient size.
        out: The folder for the runs, `trainings.csv` and `decodings.csv`, which must not exist.
        scale: The number of training images, as a share of the largest experiment of Rodríguez Valencia et al.
        **settings: Further arguments of `run_ablation`. The default of `epochs` is 10.

    Returns:
        The two tables of `run_ablation`.

    Raises:
        DataError: The data cannot be used, or a split is empty.
        FileExistsError: `out` exists.
    """
    images = training_images(scale)
    store = study_store(data, out, images)
    return run_ablation(store, out, images=images, **{"epochs": _EPOCHS, **settings})


def _scores(run: Path, store: Store, device: str, **codec_changes: Any) -> dict[str, float]:
    """The measures of a run on the test split, with a codec that may differ from that of the run."""
    predictor = load(run, device=device)
    if codec_changes:
        predictor.codec = dataclasses.replace(predictor.codec, **codec_changes)  # type: ignore[type-var]
    summary = evaluate(predictor, store, "test").summary
    return {name: summary.get(name, float("nan")) for name in ("dice", "hd95_px", "landmark_error_px")}
