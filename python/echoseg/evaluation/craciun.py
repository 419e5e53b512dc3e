"""Reproduction of Tables 5.1 and 5.2, of the steps after the network and of the volumes of Craciun.

Source: Craciun, "Image Segmentation for Heart using Deep Learning", BSc thesis, University of Sheffield, 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from echoseg.datasets.store import Store, prepare
from echoseg.evaluation.evaluate import evaluate
from echoseg.evaluation.experiments import WriteRun, run_experiment, training_minutes
from echoseg.evaluation.postprocess_ablation import choose_step, postprocess_ladder
from echoseg.inference.postprocess import CRACIUN
from echoseg.inference.predictor import load
from echoseg.phantom.cached import cached_stacks
from echoseg.training.config import Config
from echoseg.training.presets import PRESETS

TABLES, TRAININGS, LADDER, VOLUMES = "Tables 5.1 and 5.2", "Trainings", "Steps", "Volumes"
"""Titles of the tables of `repeat_craciun`."""
SMALL_ROTATION = 10.0
"""Degrees; the thesis says "a small rotation"."""
SPLIT_SHARES = (0.85, 0.0, 0.15)
"""Shares of the patients for training, validation and test: 17 of 20 train, three test."""
LIMITS = (4.5 / 255, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3)
"""Candidates for the number of `reject_bright`; the first is that of the thesis, for its scans."""


@dataclass(frozen=True)
class Combination:
    """The trainings of the thesis with one combination of settings.

    Attributes:
        table: "5.1": with a small rotation, and a threshold as the only step after the network. "5.2": without the
            rotation, with all steps.
        batch_size: The batch size; the learning rate is always 1e-4.
        epochs: The number of epochs.
        seconds: The running time that the thesis reports, by training.
        dice: The Dice that the thesis reports, by training.
    """

    table: str
    batch_size: int
    epochs: int
    seconds: tuple[float, ...]
    dice: tuple[float, ...]


COMBINATIONS = (
    Combination("5.1", 5, 3, (345, 347, 350, 366), (0.836, 0.794, 0.582, 0.72)),
    Combination("5.1", 5, 5, (563, 564, 563), (0.813, 0.608, 0.534)),
    Combination("5.1", 5, 10, (3113, 2029), (0.709, 0.534)),
    Combination("5.2", 3, 3, (255,), (0.87,)),
    Combination("5.2", 5, 3, (634, 533, 547, 547, 551, 550, 550), (0.851, 0.853, 0.846, 0.861, 0.84, 0.865, 0.8797)),
    Combination("5.2", 5, 5, (865, 860), (0.851, 0.834)),
    Combination("5.2", 5, 10, (1768,), (0.846,)),
    Combination("5.2", 5, 20, (3379,), (0.79,)),
)


def repeat_craciun(
    data: str | Path | None,
    out: Path,
    *,
    scale: float = 1.0,
    device: str = "auto",
    combinations: Sequence[Combination] = COMBINATIONS,
    repeats: int | None = None,
    seed: int = 0,
    write: WriteRun | None = None,
    **settings: Any,
) -> dict[str, pd.DataFrame]:
    """Train with the preset "craciun" and the settings of Tables 5.1 and 5.2, and test.

    As in the thesis, the Dice is the mean over all slices, and two empty masks have a Dice of 1. The number of the step
    "reject_bright" is the one in `LIMITS` with the highest Dice on the training slices of each run: the number of the
    thesis is only valid for scans of the same field of view.

    Args:
        data: The folder of a data set of stacks, or a store; None uses synthetic stacks.
        out: The folder for the runs and the tables, which must not exist.
        scale: A factor for the number of training slices, larger than 0 and at most 1.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        combinations: The combinations of settings.
        repeats: The largest number of trainings of each combination; None trains as often as the thesis.
        seed: The random seed of the first training of each combination; the next ones have the next numbers.
        write: Writes the results of a run into its folder, as `echoseg.report.results.write_run` does.
        **settings: Fields of `Config` that override the preset.

    Returns:
        Four tables by title, which are also CSV files in `out`. `TABLES` has a row per combination: mean seconds, mean,
        lowest and highest Dice over the trainings, and the same in the thesis. `TRAININGS` has a row per training.
        `LADDER` is the result of `postprocess_ladder` on the test split, for the training of Table 5.2 with the highest
        Dice, and `VOLUMES` has the predicted and true volume of each stack of its test split.

    Raises:
        DataError: The data cannot be used, or a split is empty.
        FileExistsError: `out` exists.
    """
    if out.exists():
        raise FileExistsError(f"{out}: exists already; choose another name or remove it")
    folder = cached_stacks() if data is None else Path(data)
    base = {**PRESETS["craciun"]["mask"], "approach": "mask", "data": str(folder), "device": device, **settings}
    if not base.keys() & {"test_fold", "split_counts"}:
        base.setdefault("split_shares", SPLIT_SHARES)
    store = prepare(folder, **Config(**base).store_options)
    if scale < 1:
        splits = Config(**base).splits(store.samples)
        base["images"] = max(1, round(scale * int((splits == "train").sum())))
    out.mkdir(parents=True)
    rows = []
    for combination in combinations:
        for repeat in range(min(repeats or len(combination.dice), len(combination.dice))):
            changes = {
                "batch_size": combination.batch_size,
                "epochs": combination.epochs,
                "rotation": SMALL_ROTATION if combination.table == "5.1" else 0.0,
                "seed": seed + repeat,
            }
            name = f"{combination.table}-batch-{combination.batch_size}-epochs-{combination.epochs}-{repeat + 1}"
            row = _train_and_test(Config(**{**base, **changes}), store, out / name, combination.table, write)
            rows.append({"run": name, **row, "paper_dice": combination.dice[repeat]})
    trainings = pd.DataFrame(rows)
    tables = {TABLES: _summarise(trainings, combinations), TRAININGS: trainings}
    complete = trainings[trainings["table"] == "5.2"]
    if len(complete):
        best = complete.loc[complete["dice"].idxmax()]
        predictor, steps = load(out / best["run"], device=device), best["steps"].split()
        tables[LADDER] = postprocess_ladder(predictor, store, "test", steps)
        columns = ["patient", "video", "phase", "volume_ml", "true_volume_ml", "volume_dice"]
        stacks = evaluate(predictor, store, "test", steps=steps).stacks
        tables[VOLUMES] = stacks[columns]
    for title, table in tables.items():
        table.to_csv(out / f"{title.lower().replace(' ', '_')}.csv", index=False, float_format="%.5f")
    return tables


def _train_and_test(config: Config, store: Store, run: Path, table: str, write: WriteRun | None) -> dict[str, Any]:
    """The row of a training in the table `TRAININGS`."""
    predictor, _ = run_experiment(config, store, run, splits=("test",), write=write)
    steps = [CRACIUN[0]]
    if table == "5.2":
        candidates = [f"reject_bright={limit:.4g}" for limit in LIMITS]
        steps = [*CRACIUN[:2], choose_step(predictor, store, "train", candidates, before=CRACIUN[:2])]
    processed = evaluate(predictor, store, "test", steps=steps, blanks=True).summary
    return {
        "table": table,
        "learning_rate": config.learning_rate,
        "batch_size": config.batch_size,
        "epochs": config.epochs,
        "seconds": 60 * training_minutes(run),
        "steps": " ".join(steps),
        "dice": processed["dice"],
        "dice_traced": evaluate(predictor, store, "test", steps=steps).summary["dice"],
    }


def _summarise(trainings: pd.DataFrame, combinations: Sequence[Combination]) -> pd.DataFrame:
    """The table `TABLES`."""
    rows = []
    for combination in combinations:
        settings = {name: getattr(combination, name) for name in ("table", "batch_size", "epochs")}
        ours = trainings[(trainings[list(settings)] == list(settings.values())).all(axis=1)]
        rows.append(
            {
                "table": combination.table,
                "learning_rate": ours["learning_rate"].iloc[0],
                "batch_size": combination.batch_size,
                "epochs": combination.epochs,
                **_statistics("", ours["seconds"], ours["dice"]),
                **_statistics("paper_", combination.seconds, combination.dice),
            }
        )
    table = pd.DataFrame(rows)
    table.attrs["note"] = "Dice: the mean over all slices, where two empty masks have a Dice of 1."
    return table


def _statistics(prefix: str, seconds: Sequence[float] | pd.Series, dice: Sequence[float] | pd.Series) -> dict[str, Any]:
    values = {"trainings": len(dice), "seconds": np.mean(seconds), "dice": np.mean(dice)}
    values |= {"lowest": min(dice), "highest": max(dice)}
    return {f"{prefix}{name}": value for name, value in values.items()}
