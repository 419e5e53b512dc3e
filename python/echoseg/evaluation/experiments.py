"""What the repetitions of papers and the ablation studies share: their data, a run that is whole, and their tables."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from echoseg.datasets.store import Store, is_store, prepare
from echoseg.evaluation.evaluate import Evaluation, evaluate, split_indices
from echoseg.inference.predictor import Predictor, load
from echoseg.phantom.cached import PATIENTS, cached_phantom
from echoseg.training.checkpoint import load_run
from echoseg.training.config import Config
from echoseg.training.config_file import load_config
from echoseg.training.devices import choose_device, place
from echoseg.training.loop import train
from echoseg.training.optimization import make_loss
from echoseg.training.validation import Validation

WriteRun = Callable[[Path, Store, Predictor, Mapping[str, Evaluation]], None]
"""Writes the results of a run into its folder, as `echoseg.report.results.write_run` does."""


@dataclass(frozen=True)
class Experiment:
    """One experiment of a paper, or a variant of it.

    Attributes:
        name: The number and a description.
        approach: "mask" or "landmark".
        images: The number of training images, at scale 1.
        changes: Settings that differ from the preset of the paper.
        paper: What the paper reports, by the name of the value; empty for a variant that is not in the paper.
    """

    name: str
    approach: str
    images: int
    changes: dict[str, Any] = field(default_factory=dict)
    paper: dict[str, float | str] = field(default_factory=dict)


def run_experiment(
    config: Config,
    store: Store,
    run: Path,
    *,
    splits: Sequence[str] = ("train", "test"),
    write: WriteRun | None = None,
) -> tuple[Predictor, dict[str, Evaluation]]:
    """Train a network and evaluate it.

    The run has neither a calibration nor a shape model: the contours are those of the network, as in the papers.

    Args:
        config: The settings.
        store: The data to train and test on.
        run: The run folder to write; it must not exist.
        splits: The splits to evaluate.
        write: Writes the results into the run folder; None leaves them out.

    Returns:
        The predictor of the run, and its evaluations by split, whose summary has the loss of the training as `loss`.

    Raises:
        DataError: A split has no image.
        FileExistsError: `run` exists.
    """
    train(config, store, run)
    predictor = load(run, device=config.device)
    evaluations = {split: evaluate(predictor, store, split) for split in splits}
    for split, evaluation in evaluations.items():
        evaluation.summary["loss"] = split_loss(run, store, split_indices(predictor, store, split), config.device)
    if write is not None:
        write(run, store, predictor, evaluations)
    return predictor, evaluations


def split_loss(run: Path, store: Store, indices: np.ndarray, device: str) -> float:
    """Compute the mean loss of a run on images, without augmentation.

    Args:
        run: The run folder.
        store: The store with the images.
        indices: (N,) int, indices of images in the store.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
    """
    config, model, codec = load_run(run)
    chosen = choose_device(device)
    loss_of = make_loss(config, store.size, chosen)
    return Validation(codec, loss_of, store, indices, config, chosen).score(place(model, chosen)).loss


def run_experiments(
    experiments: Sequence[Experiment],
    store: Store,
    out: Path,
    *,
    preset: str,
    max_images: int,
    write: WriteRun | None = None,
    **settings: Any,
) -> tuple[pd.DataFrame, dict[str, Predictor]]:
    """Train and evaluate the experiments of a paper.

    Args:
        experiments: The experiments.
        store: The data to train and test on.
        out: The folder of the runs.
        preset: The preset of the paper.
        max_images: The largest number of training images.
        write: See `run_experiment`.
        **settings: Fields of `Config` that override the preset.

    Returns:
        A table with a row per experiment: experiment, images, epochs, foreground Dice, all-pixel Dice and loss on the
        training and the test split, minutes of the training, and what the paper reports. And the predictors by
        experiment.

    Raises:
        DataError: A split has no image.
    """
    rows, predictors = [], {}
    for number, experiment in enumerate(experiments, start=1):
        changes = {"images": min(experiment.images, max_images), **experiment.changes, **settings}
        config = load_config(None, preset=preset, approach=experiment.approach, **changes)
        run = out / f"{number}-{experiment.approach}"
        predictor, evaluations = run_experiment(config, store, run, write=write)
        predictors[experiment.name] = predictor
        metrics = {split: evaluation.summary for split, evaluation in evaluations.items()}
        measures = ("dice", "dice_all_pixels", "loss")
        rows.append(
            {
                "experiment": experiment.name,
                "images": metrics["train"]["images"],
                "epochs": predictor.config.epochs,
                **{f"{split}_{measure}": metrics[split][measure] for measure in measures for split in metrics},
                "minutes": training_minutes(run),
                **{f"paper_{name}": value for name, value in experiment.paper.items()},
            }
        )
    return pd.DataFrame(rows), predictors


def training_minutes(run: Path) -> float:
    """The minutes that the epochs of a run took, without validation."""
    log = pd.read_csv(run / "log.csv")
    return float(log[["data_seconds", "drawing_seconds", "network_seconds"]].to_numpy().sum()) / 60


def study_data(
    data: str | Path | None, out: Path, images: int, *, size: tuple[int, int] = (112, 112), ordering: str | None = None
) -> tuple[Store, dict[str, Any]]:
    """Prepare the data that a study trains and tests on.

    Args:
        data: The folder of a data set, or a store; None uses a phantom data set.
        out: The folder that the study will write.
        images: The number of training images in the phantom data set.
        size: (H, W) of the frames.
        ordering: How the tracings are ordered into contours. A store keeps the ordering that it has.

    Returns:
        The store, and the settings of its runs with which `echoseg evaluate` finds the same data.

    Raises:
        DataError: The data cannot be used.
        FileExistsError: `out` exists.
    """
    if out.exists():  # checked before the data are prepared
        raise FileExistsError(f"{out}: exists already; choose another name or remove it")
    # a phantom patient has two images, and three in four patients are for training
    patients = max(PATIENTS, math.ceil(images / 1.5))
    folder = cached_phantom(patients, ordering=ordering) if data is None else Path(data)
    if data is not None and is_store(folder):
        ordering = None
    settings = {"data": str(folder), "size": tuple(size), "ordering": ordering}
    return prepare(folder, size=size, ordering=ordering), settings


def save_tables(tables: Mapping[str, pd.DataFrame], out: Path) -> None:
    """Write each table as CSV; the name of the file is the title in lower case, with underscores.

    Args:
        tables: The tables by title.
        out: The folder to write to.
    """
    for title, table in tables.items():
        table.to_csv(out / f"{re.sub(r'[^a-z0-9]+', '_', title.lower()).strip('_')}.csv", index=False)
