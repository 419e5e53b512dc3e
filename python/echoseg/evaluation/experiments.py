"""Reproduction of the four experiments of Rodríguez Valencia et al. (Table 1).

Source: Rodríguez Valencia et al., "Left Ventricle Automatic Segmentation with Deep Learning on the EchoNet Dynamic
Dataset".
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from echoseg.datasets.store import Store, prepare
from echoseg.evaluation.evaluate import evaluate
from echoseg.inference.predictor import load
from echoseg.phantom.cached import PATIENTS, cached_phantom
from echoseg.training.config import Config
from echoseg.training.loop import train
from echoseg.training.presets import PRESETS

TRAINING_IMAGES = 16038
"""Number of training images of the largest experiment, at scale 1."""
NOISE_LEVELS = (0.0, 0.2, 0.4, 0.8)
"""Standard deviations of the speckle noise, as shares of the pixel values."""
PAPER_WIDTH = 64
"""Number of channels of the paper's U-Net at its first level."""


@dataclass(frozen=True)
class Experiment:
    """One experiment of the paper, or a variant of it.

    Attributes:
        name: The number and a description.
        approach: "mask" or "landmark".
        images: The number of training images, at scale 1.
        epochs: The number of epochs.
        changes: Settings that differ from the preset "rodriguez".
        paper: Dice on the training and the test set and duration, as reported in the paper; None for a variant that is
            not in the paper.
    """

    name: str
    approach: str
    images: int
    epochs: int
    changes: dict[str, Any] = field(default_factory=dict)
    paper: tuple[float, float, str] | None = None


EXPERIMENTS = (
    Experiment("1: masks", "mask", TRAINING_IMAGES, 20, paper=(0.9946, 0.9862, "70:57")),
    Experiment("2: masks, fewer images", "mask", 1600, 5, paper=(0.9848, 0.9828, "7:16")),
    Experiment("3: landmarks", "landmark", 800, 5, paper=(0.0672, 0.2194, "21:34")),
    Experiment("3 with our loss", "landmark", 800, 5, {"loss": "spatial_ce"}),
    Experiment("4: masks, no skips", "mask", 1600, 5, {"skips": False}, paper=(0.9909, 0.9796, "6:49")),
    Experiment("4: masks, no bottleneck", "mask", 1600, 5, {"bottleneck": False}, paper=(0.9909, 0.9796, "6:49")),
)


def run_experiments(
    store: Store, out: Path, *, scale: float = 1.0, experiments: Iterable[Experiment] = EXPERIMENTS, **settings: Any
) -> pd.DataFrame:
    """Train and evaluate each experiment.

    Args:
        store: The data to train and test on, split by patient.
        out: The folder for the runs and the table, which must not exist.
        scale: A factor for the numbers of training images.
        experiments: The experiments.
        **settings: Fields of `Config` that override the preset "rodriguez".

    Returns:
        A table with a row per experiment: experiment, images, epochs, foreground and all-pixel Dice on the training and
        the test set, the training loss of the last epoch, minutes, and the values of the paper.

    Raises:
        DataError: A split is empty.
        FileExistsError: `out` exists.
    """
    out.mkdir(parents=True)
    rows = []
    for number, experiment in enumerate(experiments):
        preset = PRESETS["rodriguez"][experiment.approach]
        config = Config(
            **{
                **preset,
                "approach": experiment.approach,
                "images": max(1, round(experiment.images * scale)),
                "epochs": experiment.epochs,
                **experiment.changes,
                **settings,
            }
        )
        run = out / f"{number + 1}-{experiment.approach}"
        started = time.monotonic()
        train(config, store, run)
        minutes = (time.monotonic() - started) / 60
        predictor = load(run, device=config.device)
        summaries = {split: evaluate(predictor, store, split).summary for split in ("train", "test")}
        paper = experiment.paper or (np.nan, np.nan, "")
        rows.append(
            {
                "experiment": experiment.name,
                "images": summaries["train"]["images"],
                "epochs": experiment.epochs,
                **{f"{split}_dice": summary["dice"] for split, summary in summaries.items()},
                **{f"{split}_dice_all_pixels": summary["dice_all_pixels"] for split, summary in summaries.items()},
                "loss": float(pd.read_csv(run / "log.csv")["train_loss"].iloc[-1]),
                "minutes": minutes,
                "paper_train": paper[0],
                "paper_test": paper[1],
                "paper_time": paper[2],
            }
        )
    table = pd.DataFrame(rows)
    table.to_csv(out / "experiments.csv", index=False)
    return table


def robustness(run: Path, store: Store, *, device: str = "auto") -> pd.DataFrame:
    """Evaluate a run on copies of the test set with speckle noise.

    Rodríguez Valencia et al. name robustness to noise as an aim.

    Args:
        run: The run folder.
        store: The store that the run was trained on.
        device: "auto", "cpu", "cuda" or "cuda:N".

    Returns:
        A table with a row per noise level in `NOISE_LEVELS`: speckle, dice and hd95_px.
    """
    predictor = load(run, device=device)
    test_indices = np.flatnonzero(predictor.config.splits(store.samples) == "test")
    random = np.random.default_rng(0)
    frames = np.array(store.frames)
    rows = []
    for level in NOISE_LEVELS:
        noise = random.standard_normal((len(test_indices), *store.size), dtype=np.float32)
        frames[test_indices] = np.rint(np.clip(store.frames[test_indices] * (1 + level * noise), 0, 255)).astype(
            np.uint8
        )
        summary = evaluate(predictor, dataclasses.replace(store, frames=frames), "test").summary
        rows.append({"speckle": level, "dice": summary["dice"], "hd95_px": summary["hd95_px"]})
    return pd.DataFrame(rows)


def repeat_paper(
    data: str | Path | None, out: Path, *, scale: float = 1.0, device: str = "auto", **settings: Any
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run all experiments of the paper, and evaluate the network of the first one on images with speckle noise.

    Args:
        data: The folder of a data set, or a store; None uses a phantom data set of sufficient size.
        out: The folder for the runs, `experiments.csv` and `robustness.csv`, which must not exist.
        scale: A factor for the numbers of training images, larger than 0 and at most 1.
        device: "auto", "cpu", "cuda" or "cuda:N".
        **settings: Further arguments of `run_experiments`. The default of `width` is that of the paper.

    Returns:
        The tables of `run_experiments` and of `robustness`.

    Raises:
        DataError: The data cannot be used, or a split is empty.
        FileExistsError: `out` exists.
    """
    store = study_store(data, out, training_images(scale))
    table = run_experiments(store, out, scale=scale, device=device, **{"width": PAPER_WIDTH, **settings})
    noise_table = robustness(out / "1-mask", store, device=device)
    noise_table.to_csv(out / "robustness.csv", index=False)
    return table, noise_table


def training_images(scale: float) -> int:
    """The number of training images of the largest experiment."""
    return math.ceil(TRAINING_IMAGES * scale)


def study_store(data: str | Path | None, out: Path, images: int) -> Store:
    """Prepare the data that a study trains and tests on.

    Args:
        data: The folder of a data set, or a store; None uses a phantom data set.
        out: The folder that the study will write.
        images: The number of training images in the phantom data set.

    Returns:
        The store.

    Raises:
        DataError: The data cannot be used.
        FileExistsError: `out` exists.
    """
    if out.exists():  # checked before the data are prepared
        raise FileExistsError(f"{out}: exists already; choose another name or remove it")
    # a phantom patient has two images, and three in four patients are for training
    patients = max(PATIENTS, math.ceil(images / 1.5))
    return prepare(data or cached_phantom(patients), size=(112, 112))
