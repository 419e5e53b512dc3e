"""Measure what a training gains from starting with the weights that ship, by the number of patients.

    python tools/measure_init.py WORK                          # run again to continue after an interruption
    python tools/measure_init.py WORK --sunnybrook FOLDER

Trains networks on few and many patients, from random weights and from those that ship, with three seeds each, and
tests them on patients that none has seen. The data are phantoms whose images are changed to those of a scanner that
the networks that ship do not know; with `--sunnybrook`, MRI slices of which each patient is left out once. Prints a
table of Dice with the paired difference; WORK gets the runs and dice.csv, a row per image.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd

from echoseg.datasets.store import Store, is_store, open_store, prepare, write_store
from echoseg.evaluation.evaluate import evaluate
from echoseg.inference.predictor import load
from echoseg.metrics.bootstrap import mean_interval
from echoseg.models.weights import weights_folder
from echoseg.phantom import write_phantom_store
from echoseg.training.config import SHIPPED, Config
from echoseg.training.loop import train

PATIENTS, SEED = 400, 733_001
COUNTS, MRI_COUNTS, SEEDS = (2, 5, 10, 20, 100), (1, 2), (0, 1, 2)
IMAGES = 6400  # of each training: half of the default
UNTRAINED = "untrained"
STARTS = (UNTRAINED, "none", SHIPPED)
"""The network that ships as it is, and trainings from random weights and from those that ship."""


class Case(NamedTuple):
    """A training set: `count` patients of `data`, drawn with `seed`, to be tested on `tested`."""

    data: str
    count: int
    seed: int
    tested: str


def other_scanner(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change (N, H, W) uint8 frames: wider beams, coarse noise, and a steep grey curve that makes the cavity black."""
    changed = []
    for frame in frames:
        coarse = cv2.resize(rng.normal(0, 0.25, (28, 56)).astype(np.float32), frame.shape[::-1])
        grey = cv2.GaussianBlur(frame.astype(np.float32) / 255, (0, 0), sigmaX=2.0, sigmaY=0.6)
        changed.append(255 * np.clip(1.6 * (grey * (1 + coarse) - 0.12), 0, 1) ** 1.5)
    return np.array(changed).round().astype(np.uint8)


def phantoms(work: Path, patients: int, seed: int, frames: int | None = None) -> Store:
    """The phantoms of the other scanner; see `write_phantom_store`."""
    path = work / "other-scanner"
    if not is_store(path):
        store = write_phantom_store(work / "phantoms", patients=patients, seed=seed, frames=frames)
        changed = other_scanner(store.frames, np.random.default_rng(seed))
        contours = [store.contour(index) for index in range(len(store))]
        write_store(path, changed, contours, store.samples, store.manifest)
    return open_store(path)


def selected(store: Store, training: list[str], test: list[str], path: Path) -> Store:
    """A store with the images of some patients, for training and for testing."""
    splits = store.samples["patient"].map(dict.fromkeys(training, "TRAIN") | dict.fromkeys(test, "TEST"))
    rows = np.flatnonzero(splits.notna())
    samples = store.samples.iloc[rows].assign(split=splits.iloc[rows]).reset_index(drop=True)
    contours = [store.contour(index) for index in rows]
    return write_store(path, store.frames[rows], contours, samples, store.manifest)


def draw(store: Store, case: Case) -> tuple[list[str], list[str]]:
    """The patients of a case, for training and for testing."""
    patients, splits = store.samples["patient"], store.samples["split"].str.upper()
    test = sorted(set(patients[splits == "TEST"] if case.tested == "all" else [case.tested]))
    others = sorted(set(patients) - set(test))
    chosen = np.random.default_rng(case.seed).permutation(others)[: case.count]
    return chosen.tolist(), test


def measure(store: Store, case: Case, init: str, work: Path, **settings: Any) -> pd.DataFrame:
    """Train and test a network: a row per test image."""
    name = "-".join(str(part) for part in [*case, init, *settings.values()] if part is not None)
    table = work / f"{name}.csv"
    if not table.exists():
        path = work / f"{'-'.join(map(str, case))}-store"
        store = open_store(path) if is_store(path) else selected(store, *draw(store, case), path)
        run = weights_folder(settings["approach"]) if init == UNTRAINED else work / name
        if init != UNTRAINED:
            epochs = math.ceil(IMAGES / (store.samples["split"] == "TRAIN").sum())
            settings |= {"epochs": epochs, "validation": "none", "seed": case.seed}
            train(Config(data=str(path), init=init, **settings), store, run, resume=run.exists())
        images = evaluate(load(run), store, "test").images[["video", "frame", "patient", "dice"]]
        images.assign(**case._asdict(), init=init).to_csv(table, index=False)
    return pd.read_csv(table, dtype={"patient": str})


def summary(images: pd.DataFrame) -> Iterator[str]:
    """A line for each data set and number of patients."""
    for (data, count), group in images.groupby(["data", "count"]):
        by_patient = group.pivot_table(index="patient", columns="init", values="dice").dropna()
        if len(by_patient.columns) < len(STARTS):
            continue
        means = ", ".join(f"{init} {by_patient[init].mean():.4f}" for init in STARTS)
        yield f"{data}, {count} patients, {group['seed'].nunique()} seeds: {means}"
        for other in STARTS[:2]:
            gains = by_patient[SHIPPED] - by_patient[other]
            low, high = mean_interval(gains.to_numpy(), gains.index.tolist())
            yield f"    {SHIPPED} minus {other}: {gains.mean():+.4f} ({low:+.4f} to {high:+.4f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, metavar="WORK", help="folder for the runs")
    parser.add_argument("--sunnybrook", type=Path, metavar="FOLDER", help="Sunnybrook Cardiac Data, see docs/data.md")
    parser.add_argument("--approach", choices=("mask", "landmark"), default="landmark")
    parser.add_argument("--landmarks", type=int, default=13, help="13 are those of the network that ships")
    parser.add_argument("--learning-rate", type=float, help="highest learning rate (default: that of the plan)")
    arguments = parser.parse_args()
    names = ("approach", "landmarks", "learning_rate")
    settings = {name: value for name, value in vars(arguments).items() if name in names}
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.sunnybrook:
        store = prepare(arguments.sunnybrook)
        tested = sorted(set(store.samples["patient"]))
        cases = [Case("mri", count, seed, one) for seed in SEEDS for count in MRI_COUNTS for one in tested]
    else:
        store = phantoms(arguments.work, PATIENTS, SEED)
        cases = [Case("phantoms", count, seed, "all") for seed in SEEDS for count in COUNTS]
    tables = []
    for case in cases:
        tables += [measure(store, case, init, arguments.work, **settings) for init in STARTS]
        images = pd.concat(tables)
        images.to_csv(arguments.work / "dice.csv", index=False)
        print(f"after {case}:", *summary(images), sep="\n", flush=True)


if __name__ == "__main__":
    main()
