"""The test Dice over the number of training images.

Source: Mendoza et al. name learning from few images as an aim; Rodríguez Valencia et al. compare two numbers of images.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from echoseg.datasets.store import Store, prepare
from echoseg.errors import DataError
from echoseg.evaluation.evaluate import evaluate
from echoseg.inference.predictor import load
from echoseg.phantom.cached import cached_phantom
from echoseg.training.config import Config
from echoseg.training.devices import choose_device
from echoseg.training.loop import train
from echoseg.training.plan import make_plan
from echoseg.training.training_sets import training_and_validation

_HALVINGS = 4
_MIN_IMAGES = 4


def learning_curve(
    data: str | Path | None,
    out: Path,
    *,
    counts: Sequence[int] | None = None,
    seeds: int = 3,
    device: str = "auto",
    **settings: Any,
) -> pd.DataFrame:
    """Train on a growing number of images, and test each network on the whole test split.

    With a seed, the images of a smaller number are among those of a larger one. The number of epochs is chosen for each
    number, unless it is given, so that all trainings have about the same number of steps.

    Args:
        data: The folder of a data set, or a store; None uses the phantom data set.
        out: The folder for the runs and `learning_curve.csv`, which must not exist.
        counts: The numbers of training images; None takes all images, a half, a quarter, an eighth and a sixteenth.
        seeds: The number of trainings of each number, with the seeds 0, 1, …
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        **settings: Fields of `Config` for all trainings. They start from random weights unless `init` is given.

    Returns:
        A table with a row per training: images, patients, seed, epochs, and dice, dice_low, dice_high (the 95 %
        interval over patients) and hd95_px on the test split.

    Raises:
        DataError: The data cannot be used, a split is empty, or there are fewer training images than in `counts`.
        FileExistsError: `out` exists.
    """
    if out.exists():
        raise FileExistsError(f"{out}: exists already; choose another name or remove it")
    settings = {"init": "none", **settings, "device": device}
    base = Config(**settings)
    folder = data or cached_phantom(size=base.size, ordering=base.ordering)
    store = prepare(folder, **base.store_options)
    settings["data"] = str(folder)
    base = make_plan(Config(**settings), store, choose_device(device)).config  # with the validation of the trainings
    available = len(_training_images(base, store))
    if counts is None:
        counts = sorted({max(_MIN_IMAGES, available >> halvings) for halvings in range(_HALVINGS + 1)})
    if max(counts) > available:
        raise DataError(f"{store.source}: has {available} training images, but {max(counts)} were asked for")
    out.mkdir(parents=True)
    rows = []
    cases = list(itertools.product(range(seeds), counts))
    for seed, count in tqdm(cases, desc="learning curve", disable=None):
        run = out / f"{count}-images-seed-{seed}"
        config = train(Config(**{**settings, "images": count, "seed": seed}), store, run)
        summary = evaluate(load(run, device=device), store, "test").summary
        low, high = summary["dice_ci95"]
        rows.append(
            {
                "images": count,
                "patients": store.samples["patient"].iloc[_training_images(config, store)].nunique(),
                "seed": seed,
                "epochs": config.epochs,
                "dice": summary["dice"],
                "dice_low": low,
                "dice_high": high,
                "hd95_px": summary["hd95_px"],
            }
        )
    table = pd.DataFrame(rows).sort_values(["images", "seed"], ignore_index=True)
    table.to_csv(out / "learning_curve.csv", index=False, float_format="%.5f")
    return table


def _training_images(config: Config, store: Store) -> np.ndarray:
    """The indices of the images that a training learns from: in the landmark approach without blank slices."""
    return training_and_validation(store, config.splits(store.samples), config)[0]
