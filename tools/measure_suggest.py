"""Measure how many labels `echoseg suggest` saves, in comparison with frames that are chosen at random.

    python tools/measure_suggest.py WORK    # run again to continue after an interruption

The pool are phantoms of a scanner that the networks that ship do not know, see measure_init.py, with twelve frames
each. The landmark network that ships is trained on 10, 20 and 40 labelled frames, and each network chooses the frames
that are added next. Prints the mean Dice on other patients for three seeds, with the paired difference.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import pandas as pd
from measure_init import phantoms

import echoseg
from echoseg.datasets.store import Store, write_store
from echoseg.evaluation.evaluate import evaluate
from echoseg.inference.predictor import Predictor, load
from echoseg.inference.suggest import choose, find_candidates
from echoseg.metrics.bootstrap import mean_interval
from echoseg.training.config import SHIPPED, Config
from echoseg.training.loop import train

PATIENTS, SEED, FRAMES, POOL = 400, 733_002, 12, 60
COUNTS, SEEDS = (10, 20, 40), (10, 11, 12)  # another choice of frames was tried with the seeds 0 and 1
IMAGES = 2400  # of each training


def suggested(predictor: Predictor, store: Store, pool: np.ndarray, labelled: list[int], count: int) -> list[int]:
    """The indices of `count` more frames."""
    patients = store.samples["patient"].to_numpy()
    tables, statistics = [], []
    for patient in sorted(set(patients[pool])):
        rows = pool[patients[pool] == patient]
        # as slices: frames at random times are no cine
        clip = echoseg.Clip(store.frames[rows], math.nan, (math.nan, math.nan), 1.0)
        table, features = find_candidates(predictor, clip)
        tables.append(table.assign(file=patient, row=rows[table["frame"]]))
        statistics.append(features)
    candidates = pd.concat(tables, ignore_index=True)
    known = candidates["file"].isin(patients[labelled]).to_numpy()
    chosen = choose(candidates[~known], np.concatenate(statistics)[~known], count)
    return candidates[~known]["row"].iloc[chosen].tolist()


def drawn(rng: np.random.Generator, store: Store, pool: np.ndarray, labelled: list[int], count: int) -> list[int]:
    """The indices of `count` more frames at random, of one patient each."""
    patients = store.samples["patient"].to_numpy()
    others = rng.permutation(sorted(set(patients[pool]) - set(patients[labelled])))[:count]
    return [int(rng.choice(pool[patients[pool] == patient])) for patient in others]


def trained(store: Store, labelled: list[int], seed: int, run: Path) -> Predictor:
    """The network that ships, trained on labelled frames and tested."""
    if not (run / "dice.csv").exists():
        splits = store.samples["split"].to_numpy()
        rows = np.concatenate([labelled, np.flatnonzero(splits != "TRAIN")])
        samples = store.samples.iloc[rows].reset_index(drop=True)
        samples["split"] = ["TRAIN"] * len(labelled) + ["TEST"] * (len(rows) - len(labelled))
        contours = [store.contour(index) for index in rows]
        part = write_store(run.with_name(f"{run.name}-store"), store.frames[rows], contours, samples, store.manifest)
        settings = {"landmarks": 13, "epochs": math.ceil(IMAGES / len(labelled)), "validation": "none", "seed": seed}
        settings["learning_rate"] = 3e-3  # that of the measurements in docs/correcting.md; the default is 1e-3
        train(Config(approach="landmark", data=str(part.path), init=SHIPPED, **settings), part, run)
        evaluate(load(run), part, "test").images[["patient", "dice"]].to_csv(run / "dice.csv", index=False)
    return load(run)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, metavar="WORK", help="folder for the runs")
    work = parser.parse_args().work
    work.mkdir(parents=True, exist_ok=True)
    store = phantoms(work, PATIENTS, SEED, FRAMES)
    splits, patients = store.samples["split"].to_numpy(), store.samples["patient"].to_numpy()
    rows = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        chosen_patients = rng.permutation(sorted(set(patients[splits == "TRAIN"])))[:POOL]
        pool = np.flatnonzero(np.isin(patients, chosen_patients))
        for way in ("suggested", "random"):
            predictor, labelled = load(), list[int]()
            for count in COUNTS:
                more = count - len(labelled)
                if way == "suggested":
                    labelled += suggested(predictor, store, pool, labelled, more)
                else:
                    labelled += drawn(rng, store, pool, labelled, more)
                run = work / f"{way}-{count}-seed-{seed}"
                predictor = trained(store, labelled, seed, run)
                rows.append(pd.read_csv(run / "dice.csv").assign(way=way, count=count, seed=seed))
        table = pd.concat(rows)
        for count, group in table.groupby("count"):
            by_patient = group.pivot_table(index="patient", columns="way", values="dice")
            gains = by_patient["suggested"] - by_patient["random"]
            low, high = mean_interval(gains.to_numpy(), gains.index.tolist())
            means = by_patient.mean()
            print(
                f"{count} frames, {group['seed'].nunique()} seeds: suggested {means['suggested']:.4f}, random "
                f"{means['random']:.4f}, difference {gains.mean():+.4f} ({low:+.4f} to {high:+.4f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
