"""Measure what single changes of the training's settings gain, each with the same patients and several seeds.

    python tools/measure_recipe.py WORK [--variants NAME ...] [--seeds 0 1 2] [--cine CINE]    # run again to continue

The data are 400 phantom patients of a seed that is used for nothing else, divided as by default; results are those of
the validation split, so that the test split of other data can judge what was chosen here. They are also those of 100
other phantom patients, whose images are changed to those of a scanner that the networks do not know (see
measure_init.py); and, with `--cine`, those of the cine that measure_weights.py describes. A training takes five minutes
on two cores. Prints the Dice of each variant and the difference from the default settings, paired over the patients;
WORK gets the runs and recipe.csv, a row per image. With many variants, some intervals exclude 0 by chance.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measure_init import phantoms
from measure_weights import OBSERVERS

import echoseg
from echoseg.datasets.store import Store, is_store, open_store
from echoseg.evaluation.evaluate import evaluate
from echoseg.inference.predictor import Predictor, load
from echoseg.metrics.bootstrap import mean_interval
from echoseg.metrics.overlap import dice
from echoseg.models.codec import fill_contours
from echoseg.phantom import write_phantom_store
from echoseg.training.config import Config
from echoseg.training.loop import train

PATIENTS, SEED = 400, 733_002
OTHER_PATIENTS, OTHER_SEED = 100, 733_003
SAME, OTHER, CINE = "same scanner", "other scanner", "real cine"
READERS = ("A", "B")
MEASURES = ["dice", "hd95_px", "landmark_error_px"]
_COLUMNS = ["video", "frame", "patient", *MEASURES]
DEFAULT = "default"
VARIANTS: dict[str, dict[str, Any]] = {
    DEFAULT: {},
    "average": {"ema": 0.99},
    "mirrored": {"flip": 0.5},
    "milder-greys": {"gain": 0.5, "shade": 0.75, "gamma": 0.25, "noise": 0.1},
    "harsher-greys": {"gain": 1.5, "shade": 2.25, "gamma": 0.75, "noise": 0.3},
    "more-shadows": {"attenuation": 1.0, "shadow": 1.5},
    "13-landmarks": {"landmarks": 13},
    "coordinate-loss": {"coordinate_weight": 0.1},
    "twice-as-long": {"epochs": 44},
    "resunet": {"network": "resunet"},
    "attention": {"attention": True},
}
EPOCHS = 22  # 12,800 images, as by default


def measure_cine(predictor: Predictor, cine: Path) -> pd.DataFrame:
    """The Dice with each reader in the frames of a cine that were traced: a row per frame and reader."""
    prediction = predictor(echoseg.read_clip(cine))
    rows = []
    for reader in READERS:
        tracings = json.loads(OBSERVERS.read_text(encoding="utf-8"))[reader]
        frames = [int(frame) for frame in tracings]
        true = fill_contours([np.array(points, np.float32) for points in tracings.values()], prediction.size)
        scores = dice(prediction.masks[frames], true)
        rows += [(cine.name, frame, cine.name, score) for frame, score in zip(frames, scores, strict=True)]
    return pd.DataFrame(rows, columns=["video", "frame", "patient", "dice"]).reindex(columns=_COLUMNS)


def measure(
    tests: Mapping[str, Callable[[Predictor], pd.DataFrame]], store: Store, variant: str, seed: int, work: Path
) -> pd.DataFrame:
    """Train, and measure on each of the tests: a row per image."""
    run = work / f"{variant}-{seed}"
    tables: list[pd.DataFrame] = []
    for images, test in tests.items():
        table = work / f"{variant}-{seed}-{images.replace(' ', '-')}.csv"
        if not table.exists():
            if not tables:
                settings = {"epochs": EPOCHS, "init": "none", **VARIANTS[variant], "seed": seed}
                train(Config(data=str(store.path), **settings), store, run, resume=run.exists())
            measured = test(load(run, smooth=False))[_COLUMNS]
            measured.assign(variant=variant, seed=seed, images=images).to_csv(table, index=False)
        tables.append(pd.read_csv(table))
    return pd.concat(tables)


def report(rows: pd.DataFrame) -> str:
    """A line for each variant on each kind of images."""
    lines = ["images | variant | seeds | Dice | difference (95 %) | HD95, px | landmark error, px"]
    for (images, variant), group in rows.groupby(["images", "variant"], sort=False):
        seeds = group["seed"].unique()
        default = rows[(rows["variant"] == DEFAULT) & (rows["images"] == images) & rows["seed"].isin(seeds)]
        gains = (group.groupby("patient")["dice"].mean() - default.groupby("patient")["dice"].mean()).dropna()
        difference = f"{gains.mean():+.4f}"
        if len(gains) > 1:
            low, high = mean_interval(gains.to_numpy(), gains.index.tolist())
            difference += f" ({low:+.4f} to {high:+.4f})"
        score, hd95, error = group[MEASURES].mean()
        difference = "" if variant == DEFAULT else difference
        lines.append(f"{images} | {variant} | {len(seeds)} | {score:.4f} | {difference} | {hd95:.2f} | {error:.2f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, metavar="WORK", help="folder for the runs")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N")
    parser.add_argument("--cine", type=Path, metavar="CINE", help="color3d_jpeg_baseline.dcm of pydicom-data")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    path = arguments.work / "phantoms"
    store = open_store(path) if is_store(path) else write_phantom_store(path, patients=PATIENTS, seed=SEED)
    other = phantoms(arguments.work / "other", OTHER_PATIENTS, OTHER_SEED)
    tests = {
        SAME: lambda predictor: evaluate(predictor, store, "val").images,
        OTHER: lambda predictor: evaluate(predictor, other, "all").images,
    }
    if arguments.cine is not None:
        tests[CINE] = lambda predictor: measure_cine(predictor, arguments.cine)
    tables = []
    for seed in arguments.seeds:
        for variant in dict.fromkeys([DEFAULT, *arguments.variants]):
            tables.append(measure(tests, store, variant, seed, arguments.work))
            images = pd.concat(tables, ignore_index=True)
            images.to_csv(arguments.work / "recipe.csv", index=False)
            print(report(images), flush=True)


if __name__ == "__main__":
    main()
