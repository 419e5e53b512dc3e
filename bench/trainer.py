"""What the trainer costs beside the network: images a second of an epoch against those of the bare step.

    python bench/trainer.py            # some minutes on two cores; on a GPU name one by --device cuda

The bare step is forward, loss, backward and optimizer on one batch of random numbers of the same shape, again and
again. The epoch is ``echoseg train``'s own, checkpoint and log included, validation left out. Both alternate.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from echoseg.data.phantom.cached import cached_phantom
from echoseg.data.store import open_store
from echoseg.training import checkpoint, loop
from echoseg.training.batch import Batch
from echoseg.training.config import Config
from echoseg.training.optimization import make_optimizer

ROUNDS = 3


def bare_seconds(config: Config, images: int) -> float:
    device = loop.choose_device(config.device)
    model, codec = checkpoint.build(config)
    model.to(device).train()
    optimizer = make_optimizer(model, config)
    loss_of = loop._loss(config, config.size, device)
    shape = (config.batch_size, codec.channels, *config.size)
    batch = Batch(torch.rand(shape[0], *config.size, device=device) * 255, torch.rand(shape, device=device), None, 1.0)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            logits = model(batch.frames)
        loss = loss_of(logits.float(), batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    step()
    _wait(device)
    started = time.perf_counter()
    for _ in range(images // config.batch_size):
        step()
    _wait(device)
    return time.perf_counter() - started


def epoch_seconds(config: Config) -> tuple[float, float]:
    """Of an epoch without validation, as what two more epochs cost; and what its batches cost."""
    store = open_store(cached_phantom())
    whole, batches, validation = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for epochs in (1, 3):
            run = Path(folder) / str(epochs)
            started = time.perf_counter()
            loop.train(dataclasses.replace(config, epochs=epochs), store, run)
            whole.append(time.perf_counter() - started)
            log = pd.read_csv(run / "log.csv")
            validation.append(log["val_seconds"].sum())
            batches.append((log["data_seconds"] + log["drawing_seconds"]).mean())
    return (whole[1] - whole[0] - validation[1] + validation[0]) / 2, batches[1]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", type=int, default=320)
    arguments = parser.parse_args()
    for approach in ("mask", "landmark"):
        config = Config(approach=approach, images=arguments.images, device=arguments.device, precision="float32")
        bare, epoch, shares = [], [], []
        for _ in range(ROUNDS):
            bare.append(bare_seconds(config, arguments.images))
            seconds, batches = epoch_seconds(config)
            epoch.append(seconds)
            shares.append(batches / seconds)
        ratio = np.median(bare) / np.median(epoch)
        print(
            f"{approach:9s} bare step {arguments.images / np.median(bare):6.1f} images/s, epoch "
            f"{arguments.images / np.median(epoch):6.1f}: {ratio:.3f}; data and drawing {100 * np.median(shares):.1f}%"
        )


if __name__ == "__main__":
    main()
