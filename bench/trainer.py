"""Overhead of the trainer: images per second of an epoch, compared with those of the bare training step.

    python bench/trainer.py            # some minutes on two cores; for a GPU add --device cuda

The bare step is forward, loss, backward and optimizer, repeated on one batch of random numbers of the same shape; on a
GPU it is a CUDA graph, as the step of a training is. The epoch is that of `echoseg train` without validation: it
includes loading, augmentation and drawing of every batch, and writing of weights, state and log. Both take turns of a
few steps, so that other load of the machine slows them equally.
Ratios are also given by processor time, which excludes waiting for the disk and is reliable on a busy machine (with
OMP_NUM_THREADS=1, since waiting threads use processor time). On a CUDA device, one more epoch runs under PyTorch's
profiler, which counts the kernel launches of a step and the time that the device works on it.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from echoseg.datasets.store import Store, open_store
from echoseg.phantom.cached import PATIENTS, cached_phantom
from echoseg.training import checkpoint, loop
from echoseg.training.batches import Batch
from echoseg.training.config import Config
from echoseg.training.custom import Custom
from echoseg.training.distributed import Ranks
from echoseg.training.interrupts import Interrupts
from echoseg.training.optimization import make_loss, make_optimizer
from echoseg.training.step import Learned, make_recorder
from echoseg.training.task_settings import APPROACHES

TURN = 5  # steps
LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch")


def bare_step(config: Config, device: torch.device) -> Callable[[], object]:
    model, codec = checkpoint.build(config)
    model.to(device).train()
    optimizer = make_optimizer(model, config)
    loss_of = make_loss(config, config.size, device)
    shape = (config.batch_size, codec.channels, *config.size)
    frames = torch.rand(shape[0], *config.size, device=device) * 255
    batch = Batch(frames, torch.rand(shape, device=device), None, torch.empty((0, 0, 2)))

    def step() -> Learned:
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            logits = model(batch.frames)
        loss = loss_of(logits.float(), batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return Learned(loss.detach(), logits.detach())

    recorder = make_recorder(dataclasses.replace(config, cuda_graph=True), device, Ranks(), Custom())
    if recorder is None:
        return step
    for _ in range(3):
        with recorder.prepared():
            step()
    recorder.record(step)
    return recorder.replay


class TakingTurns(loop._Trainer):
    """A trainer that runs a few bare steps before every few steps of its own."""

    def __init__(self, config: Config, store: Store, run: Path) -> None:
        super().__init__(config, store, run, Ranks(), Interrupts(), Custom())
        self.bare_step, self.bare_seconds = bare_step(self.config, self.device), np.zeros(2)

    def _step(self, batch: Batch) -> torch.Tensor:
        if self.progress.step % TURN == 0:
            wait(self.device)
            started = clocks()
            for _ in range(min(TURN, len(self.batches) - self.progress.step)):
                self.bare_step()
            wait(self.device)
            self.bare_seconds += clocks() - started
        return super()._step(batch)


def measure(config: Config, store: Store) -> tuple[np.ndarray, str]:
    """Times of each epoch but the first, seconds, and the precision.

    Columns: bare steps and epoch, by wall and by processor time each, and data and drawing.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        trainer = TakingTurns(config, store, Path(folder) / "run")
        trainer.begin()
        with trainer.bar, trainer.saver:
            while not trainer.is_done():
                trainer.bare_seconds, started = np.zeros(2), clocks()
                trainer.train_epoch()
                trainer.end_epoch()
                wait(trainer.device)
                whole = clocks() - started
                parts = trainer.watch.seconds()
                inputs = parts["data"] + parts["drawing"]
                rows.append((*trainer.bare_seconds, *(whole - trainer.bare_seconds), inputs))
    return np.array(rows[1:]), trainer.config.precision


def profile_step(config: Config, store: Store) -> str:
    """The launches of a step on a CUDA device and its time there, without bare steps in between."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = loop._Trainer(config, store, Path(folder) / "run", Ranks(), Interrupts(), Custom())
        trainer.begin()
        with trainer.bar, trainer.saver:
            trainer.train_epoch()  # records the graph
            trainer.end_epoch()
            with torch.profiler.profile() as profiler:
                trainer.train_epoch()
                wait(trainer.device)
    events, steps = profiler.key_averages(), len(trainer.batches)
    launches = sum(event.count for event in events if event.key.startswith(LAUNCHES))
    device = sum(event.self_device_time_total for event in events)  # microseconds
    return f"{launches / steps:.1f} launches a step, {device / 1e3 / steps:.2f} ms on the device"


def clocks() -> np.ndarray:
    """(2,) float64, seconds: wall time, and processor time of this process."""
    return np.array([time.perf_counter(), time.process_time()])


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", type=int, default=1920, help="an epoch; whole batches (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=1, help="measured after one to warm up (default: %(default)s)")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--approach", choices=APPROACHES, nargs="*", default=APPROACHES)
    parser.add_argument("--width", type=int, default=Config.width)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--cuda-graph", action=argparse.BooleanOptionalAction, default=True, help="on a GPU")
    arguments = parser.parse_args()
    if arguments.images < 1 or arguments.images % arguments.batch_size:
        parser.error(f"--images is {arguments.images}; give a multiple of {arguments.batch_size}")
    store = open_store(cached_phantom(max(PATIENTS, math.ceil(arguments.images / 1.7))))  # 1.75 images a patient train
    for approach in arguments.approach:
        config = Config(
            approach=approach,
            images=arguments.images,
            device=arguments.device,
            precision=arguments.precision,
            width=arguments.width,
            batch_size=arguments.batch_size,
            cuda_graph=arguments.cuda_graph,
            epochs=arguments.epochs + 1,
            validation="none",
        )
        seconds, precision = measure(config, store)
        bare, bare_work, epoch, epoch_work, inputs = seconds.T
        ratios = ", ".join(f"{ratio:.3f}" for ratio in bare / epoch)
        print(
            f"{approach:9s}{precision:9s} bare step {arguments.images / np.median(bare):6.1f} images/s, epoch "
            f"{arguments.images / np.median(epoch):6.1f}: {np.median(bare / epoch):.3f} ({ratios}), "
            f"by processor time {np.median(bare_work / epoch_work):.3f}; "
            f"data and drawing {100 * np.median(inputs / epoch):.1f}%"
        )
        if torch.device(arguments.device).type == "cuda":
            print(profile_step(config, store))
    if hasattr(os, "getloadavg"):
        print(f"{os.cpu_count()} processors, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
