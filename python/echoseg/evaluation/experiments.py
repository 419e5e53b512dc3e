"""The first seed's four experiments, made again: its Table 1 beside ours."""

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

TRAINING_IMAGES = 16038  # of the largest experiment, at scale 1
NOISE_LEVELS = (0.0, 0.2, 0.4, 0.8)
PAPER_WIDTH = 64  # channels of the paper's U-Net at its first level


@dataclass(frozen=True)
class Experiment:
    """One row of the table.

    Attributes:
        name: as the paper counts.
        approach: mask or landmark.
        images: to train on, at scale 1.
        epochs: as in the paper.
        changes: of the preset "rodriguez".
        paper: its train and test "Dice" and its time; None for what it did not try.
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
    """Train and measure each experiment.

    Args:
        store: what to train and test on, split by patient.
        out: folder for the runs; must not exist.
        scale: of the numbers of training images.
        experiments: which.
        settings: of ``Config``, on top of the preset "rodriguez".

    Returns:
        a row an experiment: experiment, images, epochs, train and test foreground Dice, all-pixel Dice, the last
        epoch's loss, minutes, and the paper's figures.

    Raises:
        DataError: an empty split.
        FileExistsError: ``out`` exists.
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
    """A trained network on noisier copies of the test set: the first seed's stated aim.

    Args:
        run: a run folder.
        store: the data that it was trained on.
        device: where to predict.

    Returns:
        a row a level of speckle, the standard deviation as a share of each pixel's value: speckle, dice, hd95_px.
    """
    predictor = load(run, device=device)
    tested = np.flatnonzero(predictor.config.splits(store.samples) == "test")
    random = np.random.default_rng(0)
    frames = np.array(store.frames)
    rows = []
    for level in NOISE_LEVELS:
        noise = random.standard_normal((len(tested), *store.size), dtype=np.float32)
        frames[tested] = np.rint(np.clip(store.frames[tested] * (1 + level * noise), 0, 255)).astype(np.uint8)
        summary = evaluate(predictor, dataclasses.replace(store, frames=frames), "test").summary
        rows.append({"speckle": level, "dice": summary["dice"], "hd95_px": summary["hd95_px"]})
    return pd.DataFrame(rows)


def repeat_paper(
    data: str | Path | None, out: Path, *, scale: float = 1.0, device: str = "auto", **settings: Any
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Repeat all experiments of the paper, and test the first one's network on noisier images.

    Args:
        data: folder of a data set, or a store; None takes a phantom that is large enough.
        out: folder for the runs, ``experiments.csv`` and ``robustness.csv``; must not exist.
        scale: share of the paper's numbers of training images, more than 0 and at most 1.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        settings: further arguments of ``run_experiments``; the width is the paper's unless it is given.

    Returns:
        The table of ``run_experiments``, and that of ``robustness``.

    Raises:
        DataError: data that cannot be used, or an empty split.
        FileExistsError: ``out`` exists.
    """
    store = study_store(data, out, training_images(scale))
    table = run_experiments(store, out, scale=scale, device=device, **{"width": PAPER_WIDTH, **settings})
    noisier = robustness(out / "1-mask", store, device=device)
    noisier.to_csv(out / "robustness.csv", index=False)
    return table, noisier


def training_images(scale: float) -> int:
    """Number of training images of the largest experiment."""
    return math.ceil(TRAINING_IMAGES * scale)


def study_store(data: str | Path | None, out: Path, images: int) -> Store:
    """The data that a study trains and tests on.

    Args:
        data: folder of a data set, or a store; None takes a phantom that is large enough.
        out: folder that the study is going to write.
        images: number of training images of a phantom.

    Raises:
        DataError: data that cannot be used.
        FileExistsError: ``out`` exists.
    """
    if out.exists():  # now rather than after the work
        raise FileExistsError(f"{out}: exists already; choose another name or remove it")
    # a phantom patient has two images, and three in four patients are for training
    patients = max(PATIENTS, math.ceil(images / 1.5))
    return prepare(data or cached_phantom(patients), size=(112, 112))
