"""Repetition of the four experiments of Rodríguez Valencia et al. (Table 1), and of their test with noise.

Source: Rodríguez Valencia et al., "Left Ventricle Automatic Segmentation with Deep Learning on the EchoNet Dynamic
Dataset".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from echoseg.evaluation.experiments import Experiment, WriteRun, run_experiments, save_tables, study_data
from echoseg.evaluation.robustness import robustness
from echoseg.training.presets import PRESETS

TRAINING_IMAGES = 16038
"""Number of training images of the largest experiment, 80 % of the images in EchoNet-Dynamic."""
SHARES = (0.8, 0.1, 0.1)
"""Training, validation and test. The paper validates and tests on the same 20 %."""


def _reported(train_dice: float, test_dice: float, train_loss: float, test_loss: float, time: str) -> dict[str, Any]:
    return {
        "train_dice": train_dice,
        "test_dice": test_dice,
        "train_loss": train_loss,
        "test_loss": test_loss,
        "time": time,
    }


_SHORT: dict[str, Any] = {"epochs": 5}
_EXPERIMENT_4 = _reported(0.9909, 0.9796, 0.2008, 0.2148, "6:49")
EXPERIMENTS = (
    Experiment("1: masks", "mask", TRAINING_IMAGES, {"epochs": 20}, _reported(0.9946, 0.9862, 0.0136, 0.0465, "70:57")),
    Experiment("2: masks, fewer images", "mask", 1600, _SHORT, _reported(0.9848, 0.9828, 0.3118, 0.3111, "7:16")),
    Experiment("3: landmarks", "landmark", 800, _SHORT, _reported(0.0672, 0.2194, 0.0611, 0.0655, "21:34")),
    Experiment("3 with our loss", "landmark", 800, {**_SHORT, "loss": "spatial_ce"}),
    Experiment("4: masks, no skips", "mask", 1600, {**_SHORT, "skips": False}, _EXPERIMENT_4),
    Experiment("4: masks, no bottleneck", "mask", 1600, {**_SHORT, "bottleneck": False}, _EXPERIMENT_4),
)
_NOTE = """\
"Dice" in the paper is the share of pixels that are right, ventricle and background together; an all-black mask has 0.85
to 0.88. It is to be compared with our all-pixel Dice. For landmarks, the paper divides the value of the last batch by
the number of batches, after rows and columns of the points were exchanged. It splits the data by image, so that the two
frames of a patient can be in the training and in the test set; we split by patient, 80 % for training, 10 % for
validation and 10 % for test. "Without the layers that link the paths" may mean without the skip connections or without
the bottleneck: the table has both. Losses and Dice of the training images are those of the last weights."""
_NOISE_NOTE = (
    "Foreground Dice on the test images with speckle noise: standard deviation, as a share of a pixel's value."
)


def repeat_rodriguez(
    data: str | Path | None,
    out: Path,
    *,
    scale: float = 1.0,
    device: str = "auto",
    write: WriteRun | None = None,
    experiments: Sequence[Experiment] = EXPERIMENTS,
    **settings: Any,
) -> dict[str, pd.DataFrame]:
    """Run all experiments of the paper, and evaluate each network on test images with speckle noise.

    Args:
        data: The folder of a data set, or a store; None uses a phantom data set of sufficient size.
        out: The folder for the runs, `experiments.csv` and `robustness.csv`, which must not exist.
        scale: The largest number of training images, as a share of that of experiment 1; above 0 and at most 1.
            Experiments that need fewer images are as in the paper.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        write: Writes the results of each run into its folder; see `echoseg.evaluation.experiments.run_experiment`.
        experiments: The experiments to run.
        **settings: Fields of `Config` that override the preset "rodriguez".

    Returns:
        The tables "Experiments" and "Robustness".

    Raises:
        DataError: The data cannot be used, or a split is empty.
        FileExistsError: `out` exists.
    """
    images = training_images(scale)
    options = {"ordering": PRESETS["rodriguez"]["mask"]["ordering"], **_taken(settings, "size", "ordering")}
    store, of_data = study_data(data, out, images, **options)
    out.mkdir(parents=True)
    table, predictors = run_experiments(
        experiments,
        store,
        out,
        preset="rodriguez",
        max_images=images,
        write=write,
        **{"split_shares": SHARES, "device": device, **settings, **of_data},
    )
    noise = pd.DataFrame(
        {"experiment": name, **robustness(predictor, store).set_index("speckle")["dice"].to_dict()}
        for name, predictor in predictors.items()
    ).rename(columns=lambda column: column if isinstance(column, str) else f"speckle_{column:g}")
    table.attrs["note"], noise.attrs["note"] = _NOTE, _NOISE_NOTE
    tables = {"Experiments": table, "Robustness": noise}
    save_tables(tables, out)
    return tables


def training_images(scale: float) -> int:
    """The number of training images of the largest experiment."""
    return math.ceil(TRAINING_IMAGES * scale)


def _taken(settings: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: settings[name] for name in names if name in settings}
