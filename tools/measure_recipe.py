"""Measure what single changes of the training's settings gain, each with the same patients and several seeds.

    python tools/measure_recipe.py WORK [--variants NAME ...] [--seeds 0 1 2]    # run again to continue

The data are 400 phantom patients of a seed that is used for nothing else, divided as by default; results are those of
the validation split, so that the test split of other data can judge what was chosen here. They are also those of 100
other phantom patients, whose images are changed to those of a scanner that the networks do not know (see
measure_init.py). A training takes five minutes on two cores. Prints the Dice of each variant and the difference from
the default settings, paired over the patients; WORK gets the runs and recipe.csv, a row per image. With many variants,
some intervals exclude 0 by chance.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
from measure_init import phantoms

from echoseg.datasets.store import Store, is_store, open_store
from echoseg.evaluation.evaluate import evaluate
from echoseg.inference.predictor import load
from echoseg.metrics.bootstrap import mean_interval
from echoseg.phantom import write_phantom_store
from echoseg.training.config import Config
from echoseg.training.loop import train

PATIENTS, SEED = 400, 733_002
OTHER_PATIENTS, OTHER_SEED = 100, 733_003
SAME, OTHER = "same scanner", "other scanner"
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


def measure(store: Store, other: Store, variant: str, seed: int, work: Path) -> pd.DataFrame:
    """Train, and measure on the validation split of `store` and on all of `other`: a row per image."""
    run = work / f"{variant}-{seed}"
    tables: list[pd.DataFrame] = []
    for scanner, tested, split in ((SAME, store, "val"), (OTHER, other, "all")):
        table = work / f"{variant}-{seed}-{scanner.replace(' ', '-')}.csv"
        if not table.exists():
            if not tables:
                settings = {"epochs": EPOCHS, "init": "none", **VARIANTS[variant], "seed": seed}
                train(Config(data=str(store.path), **settings), store, run, resume=run.exists())
            images = evaluate(load(run), tested, split).images
            images = images[["video", "frame", "patient", "dice", "hd95_px", "landmark_error_px"]]
            images.assign(variant=variant, seed=seed, scanner=scanner).to_csv(table, index=False)
        tables.append(pd.read_csv(table))
    return pd.concat(tables)


def report(images: pd.DataFrame) -> str:
    """A line per scanner and variant."""
    lines = ["scanner | variant | seeds | Dice | difference (95 %) | HD95, px | landmark error, px"]
    for (scanner, variant), group in images.groupby(["scanner", "variant"], sort=False):
        seeds = group["seed"].unique()
        default = images[(images["variant"] == DEFAULT) & (images["scanner"] == scanner) & images["seed"].isin(seeds)]
        gains = (group.groupby("patient")["dice"].mean() - default.groupby("patient")["dice"].mean()).dropna()
        low, high = mean_interval(gains.to_numpy(), gains.index.tolist())
        means = group[["dice", "hd95_px", "landmark_error_px"]].mean()
        difference = "" if variant == DEFAULT else f"{gains.mean():+.4f} ({low:+.4f} to {high:+.4f})"
        lines.append(
            f"{scanner} | {variant} | {len(seeds)} | {means['dice']:.4f} | {difference} | {means['hd95_px']:.2f} | "
            f"{means['landmark_error_px']:.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, metavar="WORK", help="folder for the runs")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    path = arguments.work / "phantoms"
    store = open_store(path) if is_store(path) else write_phantom_store(path, patients=PATIENTS, seed=SEED)
    other = phantoms(arguments.work / "other", OTHER_PATIENTS, OTHER_SEED)
    tables = []
    for seed in arguments.seeds:
        for variant in dict.fromkeys([DEFAULT, *arguments.variants]):
            tables.append(measure(store, other, variant, seed, arguments.work))
            images = pd.concat(tables, ignore_index=True)
            images.to_csv(arguments.work / "recipe.csv", index=False)
            print(report(images), flush=True)


if __name__ == "__main__":
    main()
