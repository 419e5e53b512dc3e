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
from echoseg.evaluation.experiments import WriteRun, run_experiment, study_data
from echoseg.evaluation.rodriguez import training_images
from echoseg.inference.predictor import Predictor
from echoseg.models.codec import scheme_for
from echoseg.training.config import DECODERS, OUTLINES, Config
from echoseg.training.presets import PRESETS

# landmarks as in Rodríguez Valencia et al.; network, optimizer and number of steps as in the other rows
_RODRIGUEZ = {
    name: PRESETS["rodriguez"]["landmark"][name]
    for name in (
        *("landmarks", "scheme", "outline", "decode", "loss"),
        *("sigma", "radius", "band_kernel", "band_iterations"),
    )
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
    write: WriteRun | None = None,
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
        write: Writes the results of each run into its folder; see `echoseg.evaluation.experiments.run_experiment`.
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
        predictor, evaluations = run_experiment(config, store, run, splits=("test",), write=write)
        rows.append({"change": name, "seed": seed, **_scores(evaluations["test"].summary)})
        if name == "defaults":
            for decode, outline in itertools.product(DECODERS, OUTLINES):
                scores = _scores_of_codec(predictor, store, method=decode, outline=outline)
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
    store, of_data = study_data(data, out, images)
    return run_ablation(store, out, images=images, **{"epochs": _EPOCHS, **settings, **of_data})


def _scores_of_codec(predictor: Predictor, store: Store, **changes: Any) -> dict[str, float]:
    """The measures of a network on the test split, with a codec that differs from that of its run."""
    codec = predictor.codec
    predictor.codec = dataclasses.replace(codec, **changes)  # type: ignore[type-var]
    scores = _scores(evaluate(predictor, store, "test").summary)
    predictor.codec = codec
    return scores


def _scores(summary: Mapping[str, Any]) -> dict[str, float]:
    return {name: summary.get(name, float("nan")) for name in ("dice", "hd95_px", "landmark_error_px")}
