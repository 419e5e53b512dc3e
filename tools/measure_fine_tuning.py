"""Measure how a network that ships learns new images from a few patients, and what it forgets.

    python tools/measure_fine_tuning.py WORK                   # learning rates, on validation patients
    python tools/measure_fine_tuning.py WORK --split test --variants 0.001 rehearsed --seeds 0 1 2

The new images are phantoms of a scanner that the network does not know (see measure_init.py), or those in negative
(`--negative`), which look like nothing that it has seen. Five patients are learned from. Prints the Dice of 50 other
patients of the new images, and of the 50 test patients of the data that `--rehearse phantom` mixes in, before and after
the training. Run it again to continue after an interruption; WORK gets the runs and a table with a row per image.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measure_init import PATIENTS, SEED, phantoms, selected

from echoseg.datasets.store import Store, is_store, open_store
from echoseg.evaluation.evaluate import evaluate
from echoseg.inference.predictor import load
from echoseg.metrics.bootstrap import mean_interval
from echoseg.models.weights import weights_folder
from echoseg.phantom.cached import cached_phantom
from echoseg.training.config import PHANTOM, SHIPPED, Config
from echoseg.training.loop import train

COUNT, IMAGES = 5, 2400
DEFAULT, BEFORE = "0.001", "before"
VARIANTS: dict[str, dict[str, Any]] = {
    "0.003": {"learning_rate": 3e-3},
    DEFAULT: {"learning_rate": 1e-3},
    "0.0003": {"learning_rate": 3e-4},
    "rehearsed": {"learning_rate": 1e-3, "rehearse": PHANTOM},
}


def draw(store: Store, split: str, seed: int) -> tuple[list[str], list[str]]:
    """The patients to learn from, and those to measure on."""
    patients, splits = store.samples["patient"], store.samples["split"].str.lower()
    measured = set(patients[splits == split])
    others = set(patients[splits == "train"]) if split == "val" else set(patients) - measured
    return np.random.default_rng(seed).permutation(sorted(others))[:COUNT].tolist(), sorted(measured)


def tested(run: Path, stores: dict[str, Store], **columns: object) -> pd.DataFrame:
    """A row for each test image of each store."""
    predictor = load(run)
    tables = [
        evaluate(predictor, store, "test").images[["video", "frame", "patient", "dice"]].assign(images=name, **columns)
        for name, store in stores.items()
    ]
    return pd.concat(tables)


def measure(new: Store, earlier: Store, split: str, variant: str, seed: int, work: Path) -> pd.DataFrame:
    """Learn from a few patients of the new images: a row for each new and each earlier test image."""
    table = work / f"{variant}-{seed}.csv"
    if not table.exists():
        path = work / f"store-{seed}"
        store = open_store(path) if is_store(path) else selected(new, *draw(new, split, seed), path)
        run, stores = work / f"{variant}-{seed}", {"new": store, "earlier": earlier}
        if variant == BEFORE:
            run = weights_folder("landmark")
        else:
            settings = {"landmarks": 13, "validation": "none", "seed": seed, **VARIANTS[variant]}
            epochs = math.ceil(IMAGES / (store.samples["split"] == "TRAIN").sum())
            config = Config(data=str(path), init=SHIPPED, epochs=epochs, **settings)
            train(config, store, run, resume=run.exists(), rehearsed=None if config.rehearse is None else earlier)
        tested(run, stores, variant=variant, seed=seed).to_csv(table, index=False)
    return pd.read_csv(table, dtype={"patient": str, "variant": str})


def report(images: pd.DataFrame) -> str:
    """A line for each variant, with the differences from the default learning rate, paired over the patients."""
    lines = ["variant | seeds | Dice, new images | difference (95 %) | Dice, earlier images | difference (95 %)"]
    for variant, of_variant in images.groupby("variant", sort=False):
        cells = [str(variant), str(of_variant["seed"].nunique())]
        for name in ("new", "earlier"):
            by_patient = images[images["images"] == name].pivot_table(index="patient", columns="variant", values="dice")
            cells.append(f"{by_patient[variant].mean():.4f}")
            gains = (by_patient[variant] - by_patient[DEFAULT]).to_numpy()
            low, high = mean_interval(gains, by_patient.index.tolist())
            cells.append("" if variant == DEFAULT else f"{gains.mean():+.4f} ({low:+.4f} to {high:+.4f})")
        lines.append(" | ".join(cells))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, metavar="WORK", help="folder for the runs")
    parser.add_argument("--split", choices=("val", "test"), default="val", help="patients of the new images to test on")
    parser.add_argument("--negative", action="store_true", help="learn images in negative")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], metavar="N")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    new, earlier = phantoms(arguments.work, PATIENTS, SEED), open_store(cached_phantom())
    if arguments.negative:
        new = dataclasses.replace(new, frames=255 - np.asarray(new.frames))
    work = arguments.work / f"{arguments.split}{'-negative' if arguments.negative else ''}"
    work.mkdir(exist_ok=True)
    tables = []
    for seed in arguments.seeds:
        for variant in dict.fromkeys([DEFAULT, BEFORE, *arguments.variants]):
            tables.append(measure(new, earlier, arguments.split, variant, seed, work))
        images = pd.concat(tables, ignore_index=True)
        images.to_csv(work / "dice.csv", index=False)
        print(report(images), flush=True)


if __name__ == "__main__":
    main()
