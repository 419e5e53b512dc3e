"""Measure what rehearsal changes: a network that ships learns a new scanner from a few patients.

    python tools/measure_rehearsal.py WORK    # run again to continue after an interruption

The new data are phantoms whose images are changed to those of a scanner that the networks that ship do not know, the
earlier data those that `--rehearse phantom` mixes in. Prints the Dice of test patients of both before the training,
after it, and after it with rehearsal, with paired differences; WORK gets the runs and rehearsal.csv, a row per image.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import pandas as pd
from measure_init import PATIENTS, SEED, Case, draw, phantoms, selected

from echoseg.datasets.store import Store, is_store, open_store
from echoseg.evaluation.evaluate import evaluate
from echoseg.inference.predictor import load
from echoseg.metrics.bootstrap import mean_interval
from echoseg.models.weights import weights_folder
from echoseg.phantom.cached import cached_phantom
from echoseg.training.config import PHANTOM, SHIPPED, Config
from echoseg.training.loop import train

COUNT, SEEDS, IMAGES = 5, (0, 1, 2), 2400
LEARNED, REHEARSED, BEFORE = "learned", "rehearsed", "before"


def tested(run: Path, stores: dict[str, Store], **columns: object) -> pd.DataFrame:
    """A row for each test image of each store."""
    predictor = load(run)
    tables = [
        evaluate(predictor, store, "test").images[["video", "frame", "patient", "dice"]].assign(data=name, **columns)
        for name, store in stores.items()
    ]
    return pd.concat(tables)


def measure(seed: int, network: str, stores: dict[str, Store], work: Path) -> pd.DataFrame:
    """Train on a few patients of the new data, and test on both."""
    table = work / f"{network}-{seed}.csv"
    if not table.exists():
        path = work / f"store-{seed}"
        few = draw(stores["new"], Case("new", COUNT, seed, "all"))
        store = open_store(path) if is_store(path) else selected(stores["new"], *few, path)
        epochs = math.ceil(IMAGES / (store.samples["split"] == "TRAIN").sum())
        settings = {"landmarks": 13, "epochs": epochs, "validation": "none", "seed": seed}
        settings |= {"rehearse": PHANTOM} if network == REHEARSED else {}
        earlier = stores["earlier"] if network == REHEARSED else None
        run = work / f"{network}-{seed}"
        train(Config(data=str(path), init=SHIPPED, **settings), store, run, resume=run.exists(), rehearsed=earlier)
        tested(run, stores, network=network, seed=seed).to_csv(table, index=False)
    return pd.read_csv(table, dtype={"patient": str})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, metavar="WORK", help="folder for the runs")
    work = parser.parse_args().work
    work.mkdir(parents=True, exist_ok=True)
    stores = {"new": phantoms(work, PATIENTS, SEED), "earlier": open_store(cached_phantom())}
    before = tested(weights_folder("landmark"), stores, network=BEFORE, seed=0)
    rows = [before]
    for seed in SEEDS:
        rows += [measure(seed, network, stores, work) for network in (LEARNED, REHEARSED)]
        images = pd.concat(rows)
        images.to_csv(work / "rehearsal.csv", index=False)
        print(f"{seed + 1} seeds")
        for data, group in images.groupby("data"):
            by_patient = group.pivot_table(index="patient", columns="network", values="dice")
            gains = by_patient[REHEARSED] - by_patient[LEARNED]
            low, high = mean_interval(gains.to_numpy(), gains.index.tolist())
            means = ", ".join(f"{name} {by_patient[name].mean():.4f}" for name in (BEFORE, LEARNED, REHEARSED))
            print(f"{data}: {means}, difference {gains.mean():+.4f} ({low:+.4f} to {high:+.4f})", flush=True)


if __name__ == "__main__":
    main()
