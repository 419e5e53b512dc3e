"""Training with the papers' data path and with echoseg's trainer: time per epoch, and time to a Dice of 0.85.

    python bench/paper_pipeline.py           # some minutes on two quiet cores

The papers' data path is a PNG file per frame, a Dataset that reads it and draws the target by OpenCV and skimage, and a
DataLoader, in float32 and without augmentation. It is compared with the trainer of `echoseg train`. Network, images,
landmarks, loss, optimizer, schedule, batch size and validation are the same. The last row also uses the other settings
of Rodríguez Valencia et al.: a softmax over the channels, Adam with a learning rate of 1e-4, no schedule.

Validation is left out of all times.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from skimage.filters import gaussian
from torch.utils.data import DataLoader, Dataset

from echoseg.datasets.store import Store, open_store
from echoseg.geometry.landmarks import choose_landmarks
from echoseg.phantom.cached import cached_phantom
from echoseg.training import checkpoint
from echoseg.training.batches import Batch
from echoseg.training.config import Config
from echoseg.training.devices import choose_device
from echoseg.training.loop import train
from echoseg.training.optimization import learning_rate, make_loss, make_optimizer
from echoseg.training.presets import PRESETS
from echoseg.training.run_files import PARTS
from echoseg.training.validation import Validation

GOAL = 0.85


class PaperDataset(Dataset):
    """Reads a frame's file, fills its polygon, cuts its band, and filters a unit pixel for each landmark."""

    def __init__(self, store: Store, indices: np.ndarray, config: Config, folder: Path) -> None:
        self.config, self.paths, self.contours = config, [], []
        for index in indices:
            self.paths.append(str(folder / f"{index}.png"))
            self.contours.append(store.contour(index))
            cv2.imwrite(self.paths[-1], store.frames[index])
        self.y, self.x = np.mgrid[: store.size[0], : store.size[1]]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        config = self.config
        frame = cv2.imread(self.paths[i], cv2.IMREAD_GRAYSCALE)
        mask = np.zeros(frame.shape, np.uint8)
        cv2.fillPoly(mask, [np.rint(self.contours[i]).astype(np.int32)], 1)
        kernel = np.ones((3, 3), np.uint8)
        band = cv2.dilate(mask, kernel, iterations=2) ^ cv2.erode(mask, kernel, iterations=2)
        heatmaps = np.empty((config.landmarks, *frame.shape), np.float32)
        for k, (x, y) in enumerate(choose_landmarks(self.contours[i][None], config.landmarks)[0]):
            unit = np.zeros(frame.shape)
            unit[round(float(y)), round(float(x))] = 1
            heatmap = gaussian(unit, sigma=config.sigma)
            disc = np.hypot(self.x - x, self.y - y) <= config.radius
            heatmaps[k] = heatmap / heatmap.max() * disc * band
        return torch.from_numpy(frame), torch.from_numpy(heatmaps)


def train_on_papers_path(config: Config, store: Store, folder: Path, workers: int, max_seconds: float) -> pd.DataFrame:
    """Train for `config.epochs`, or until an epoch ends after `max_seconds`.

    Returns:
        A table with a row per epoch: seconds and val_dice.
    """
    split = config.splits(store.samples)
    dataset = PaperDataset(store, np.flatnonzero(split == "train"), config, folder)
    loader = DataLoader(dataset, config.batch_size, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
    torch.manual_seed(config.seed)
    device = choose_device(config.device)
    model, codec = checkpoint.build(config)
    model.to(device)
    optimizer = make_optimizer(model, config)
    loss_of = make_loss(config, store.size, device)
    validation = Validation(codec, loss_of, store, np.flatnonzero(split == "val"), config, device)
    assert config.epochs is not None
    steps, rows = config.epochs * len(loader), []
    for epoch in range(config.epochs):
        started = time.perf_counter()
        model.train()
        for step, (frames, heatmaps) in enumerate(loader):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(epoch * len(loader) + step, steps, config)
            contours = torch.empty((0, 0, 2))  # for a training Dice, which is not computed here
            batch = Batch(frames.to(device, torch.float32), heatmaps.to(device), None, contours)
            loss = loss_of(model(batch.frames), batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            loss.item()  # the papers' code prints it
        seconds = time.perf_counter() - started
        val_dice = validation.score(model).dice
        rows.append({"seconds": seconds, "val_dice": val_dice})
        if sum(row["seconds"] for row in rows) > max_seconds:
            break
    return pd.DataFrame(rows)


def train_on_own_path(config: Config, store: Store, folder: Path) -> pd.DataFrame:
    """Train by echoseg's trainer, and return a table like that of `train_on_papers_path`."""
    train(config, store, folder / "run")
    log = pd.read_csv(folder / "run" / "log.csv")
    parts = log[[f"{part}_seconds" for part in PARTS]].sum(axis=1)
    return pd.DataFrame({"seconds": parts, "val_dice": log["val_dice"]})


def report(name: str, log: pd.DataFrame, ours: float | None = None) -> None:
    """Print a row; `ours` is the duration of an epoch of echoseg."""
    epoch = log["seconds"].median()
    reached = np.flatnonzero(log["val_dice"] >= GOAL)
    goal = f"{log['seconds'][: reached[0] + 1].sum():7.0f} s" if len(reached) else "  never"
    ratio = f"{epoch / ours:5.2f}" if ours else " 1.00"
    best = f"{log['val_dice'].max():.3f} in {log['seconds'].sum():.0f} s"
    print(f"{name:44s} {epoch:7.1f} s an epoch ({ratio}), {GOAL} after {goal}; best {best}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()
    store = open_store(cached_phantom())
    # Seven landmarks and the border band, as Rodríguez Valencia et al. draw them; landmarks are chosen by "arc" in all.
    common = {"epochs": arguments.epochs, "device": arguments.device, "scheme": "arc", "landmarks": 7}
    config = Config(**common, band_iterations=2, learning_rate=3e-3, batch_size=16)
    recipe = {**PRESETS["rodriguez"]["landmark"], "width": config.width, "batch_size": config.batch_size}
    of_paper = Config(**{**recipe, **common})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = train_on_own_path(config, store, folder)
        seconds = ours["seconds"].median()
        report("echoseg", ours)
        max_seconds = 4 * ours["seconds"].sum()
        in_float32 = dataclasses.replace(config, precision="float32")
        report("echoseg, float32", train_on_own_path(in_float32, store, folder / "float32"), seconds)
        for workers in (0, 2):
            log = train_on_papers_path(config, store, folder, workers, max_seconds)
            report(f"papers' data path, {workers} workers", log, seconds)
        log = train_on_papers_path(of_paper, store, folder, 0, max_seconds)
        report("papers' data path and settings, 0 workers", log, seconds)


if __name__ == "__main__":
    main()
