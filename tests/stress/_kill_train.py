"""A tiny run that saves its state after each step."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from echoseg.errors import DataError
from echoseg.phantom.dataset import write_phantom_store
from echoseg.training import checkpoint, loop
from echoseg.training.config import Config, load_config
from stress._killing import Victim

SETTINGS = {"width": 2, "depth": 2, "batch_size": 4, "epochs": 6, "device": "cpu", "precision": "float32"}


class Training(Victim):
    name = "train"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.run, self.whole = self.work / "run", folder / "whole"
        self.store = write_phantom_store(folder / "store", patients=16, workers=1)
        self.config = Config(**SETTINGS, checkpoint_minutes=1e-9)

    def act(self) -> None:
        step = loop._Trainer._step

        def counted_step(trainer: loop._Trainer, *arguments: object) -> torch.Tensor:
            loss = step(trainer, *arguments)
            self.counter[1] = trainer.progress.epoch * len(trainer.batches) + trainer.progress.step + 1
            return loss

        loop._Trainer._step = counted_step
        config = load_config(self.run / checkpoint.CONFIG) if self.run.exists() else self.config
        loop.train(config, self.store, self.run, resume=self.run.exists())

    def faults(self) -> list[str]:
        if not self.run.exists():
            return []
        found: list[str] = []
        with _noting(found):
            config = load_config(self.run / checkpoint.CONFIG)
            if config != load_config(self.whole / checkpoint.CONFIG):
                found.append("config.yaml: not what was written")
            for name in (checkpoint.BEST, checkpoint.LAST):
                if (self.run / name).exists():
                    checkpoint.load_weights(self.run / name, checkpoint.build(config)[0])
        with _noting(found):
            complaint = checkpoint.load_state(self.run)[1] if checkpoint.has_state(self.run) else None
            if complaint and "missing" not in complaint:
                found.append(complaint)
        return found

    def lost_steps(self) -> int:
        saved = 0
        if self.run.exists() and checkpoint.has_state(self.run):
            progress = checkpoint.load_state(self.run)[0]["progress"]
            training = int((self.config.splits(self.store.samples) == "train").sum())
            saved = progress["epoch"] * -(-training // self.config.batch_size) + progress["step"]
        return int(self.counter[1]) - saved

    def ended(self) -> list[str]:
        self.counter[1] = 0
        if not self.whole.exists():
            self.run.rename(self.whole)
            return []
        found = [
            f"{name}: not what an uninterrupted run leaves"
            for name in (checkpoint.BEST, checkpoint.LAST)
            if (self.run / name).read_bytes() != (self.whole / name).read_bytes()
        ]
        logs = [
            np.genfromtxt(folder / "log.csv", delimiter=",", skip_header=1)[:, :4] for folder in (self.run, self.whole)
        ]
        if not np.array_equal(*logs):
            found.append("log.csv: not what an uninterrupted run leaves")
        found += [f"left behind: {path.name}" for path in self.work.rglob("*.part")]
        shutil.rmtree(self.run)
        return found


@contextlib.contextmanager
def _noting(found: list[str]) -> Iterator[None]:
    try:
        yield
    except (DataError, OSError) as error:
        found.append(str(error))
