"""Reproduction of the comparison of masks and landmarks by Mendoza et al.

Source: Mendoza et al., "EchoNet-Dynamic: U-Net for Cardiac Image Segmentation".
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pandas as pd

from echoseg.datasets.store import prepare
from echoseg.evaluation.experiments import Experiment, WriteRun, run_experiment, training_minutes
from echoseg.phantom.cached import PATIENTS, cached_phantom
from echoseg.training.config_file import load_config
from echoseg.training.copies import COPIES
from echoseg.training.training_sets import training_and_validation

DICE, IMAGES = "Dice of masks and landmarks", "Dice of each test image"
"""Titles of the tables of `repeat_mendoza`."""


TRAININGS = (
    Experiment("masks", "mask", 2400, paper={"val": 0.9156, "test": 0.9158}),
    Experiment("landmarks", "landmark", 4200, paper={"test": 0.9114}),
    Experiment("masks without copies", "mask", 2400, {"fixed_copies": 0.0}),
    Experiment("landmarks with our loss", "landmark", 4200, {"loss": "spatial_ce"}),
)


def repeat_mendoza(
    data: str | Path | None,
    out: Path,
    *,
    scale: float = 1.0,
    device: str = "auto",
    write: WriteRun | None = None,
    **settings: Any,
) -> dict[str, pd.DataFrame]:
    """Train both approaches with the preset "mendoza", and variants, and test them.

    Args:
        data: The folder of a data set; None uses a phantom data set of sufficient size. A store can only have one of
            the two sizes of frames that the paper uses; give `size` too.
        out: The folder for the runs and the tables, which must not exist.
        scale: A factor for the numbers of training images, larger than 0 and at most 1.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        write: A function of a run folder, its store, its predictor and its evaluations by split, which writes the
            evaluations into the folder.
        **settings: Fields of `Config` that override the preset.

    Returns:
        Two tables by title, which are also `dice.csv` and `dice_by_image.csv` in `out`. `DICE` has a row per training
        and split ("val", "test"): approach, split, images, training_images (copies included), epochs, minutes, dice,
        dice_low and dice_high (the 95 % interval over patients), and paper. `IMAGES` has a row per training and test
        image: approach, and dice.

    Raises:
        DataError: The data cannot be used, or a split is empty.
        FileExistsError: `out` exists.
    """
    if out.exists():
        raise FileExistsError(f"{out}: exists already; choose another name or remove it")
    # a phantom patient has two images, and three in four patients are for training
    patients = max(PATIENTS, math.ceil(max(training.images for training in TRAININGS) * scale / 1.5))
    rows, scores = [], []
    for training in TRAININGS:
        changes = {"images": max(1, round(training.images * scale)), "device": device, **training.changes, **settings}
        config = load_config(None, preset="mendoza", approach=training.approach, **changes)
        folder = data or cached_phantom(patients, size=config.size, ordering=config.ordering)
        config = dataclasses.replace(config, data=str(folder))
        store = prepare(folder, **config.store_options)
        out.mkdir(parents=True, exist_ok=True)
        run = out / training.name.replace(" ", "-")
        predictor, evaluations = run_experiment(config, store, run, splits=("val", "test"), write=write)
        trained, _ = training_and_validation(store, predictor.config.splits(store.samples), predictor.config)
        images = len(trained)
        for split, evaluation in evaluations.items():
            low, high = evaluation.summary["dice_ci95"]
            rows.append(
                {
                    "approach": training.name,
                    "split": split,
                    "images": evaluation.summary["images"],
                    "training_images": images + len(COPIES) * round(config.fixed_copies * images),
                    "epochs": predictor.config.epochs,
                    "minutes": training_minutes(run),
                    "dice": evaluation.summary["dice"],
                    "dice_low": low,
                    "dice_high": high,
                    "paper": training.paper.get(split, math.nan),
                }
            )
        scores.append(pd.DataFrame({"approach": training.name, "dice": evaluations["test"].images["dice"]}))
    tables = {DICE: pd.DataFrame(rows), IMAGES: pd.concat(scores, ignore_index=True)}
    for table, name in zip(tables.values(), ("dice", "dice_by_image"), strict=True):
        table.to_csv(out / f"{name}.csv", index=False, float_format="%.5f")
    return tables
