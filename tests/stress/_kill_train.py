"""Trains a small network, and saves the state after each step, or in a thread after each epoch."""

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
from echoseg.training.config import Config
from echoseg.training.config_file import load_config
from stress._killing import Workload

SETTINGS = {"width": 2, "depth": 2, "batch_size": 4, "epochs": 6, "device": "cpu", "precision": "float32"}


class Training(Workload):
    name = "train"
    checkpoint_minutes = 1e-9

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.run_folder, self.expected = self.work / "run", folder / "expected"
        self.store = write_phantom_store(folder / "store", patients=16, workers=1)
        self.config = Config(**SETTINGS, checkpoint_minutes=self.checkpoint_minutes)

    def run(self) -> None:
        step = loop._Trainer._step

        def counted_step(trainer: loop._Trainer, *arguments: object) -> torch.Tensor:
            loss = step(trainer, *arguments)
            self.counter[1] = trainer.progress.epoch * len(trainer.batches) + trainer.progress.step + 1
            return loss

        loop._Trainer._step = counted_step
        config = load_config(self.run_folder / checkpoint.CONFIG) if self.run_folder.exists() else self.config
        loop.train(config, self.store, self.run_folder, resume=self.run_folder.exists())

    def check_killed(self) -> list[str]:
        if not self.run_folder.exists():
            return []
        found: list[str] = []
        with _collect_errors(found):
            config = load_config(self.run_folder / checkpoint.CONFIG)
            if config != load_config(self.expected / checkpoint.CONFIG):
                found.append("config.yaml: differs from what was written")
            for name in (checkpoint.BEST, checkpoint.LAST):
                if (self.run_folder / name).exists():
                    checkpoint.load_weights(self.run_folder / name, checkpoint.build(config)[0])
        with _collect_errors(found):
            warning = checkpoint.load_state(self.run_folder)[1] if checkpoint.has_state(self.run_folder) else None
            if warning and "missing" not in warning:
                found.append(warning)
        return found

    def lost_steps(self) -> int:
        saved = 0
        if self.run_folder.exists() and checkpoint.has_state(self.run_folder):
            progress = checkpoint.load_state(self.run_folder)[0]["progress"]
            training = int((self.config.splits(self.store.samples) == "train").sum())
            saved = progress["epoch"] * -(-training // self.config.batch_size) + progress["step"]
        return int(self.counter[1]) - saved

    def check_finished(self) -> list[str]:
        self.counter[1] = 0
        if not self.expected.exists():
            self.run_folder.rename(self.expected)
            return []
        found = [
            f"{name}: differs from an uninterrupted run"
            for name in (checkpoint.BEST, checkpoint.LAST)
            if (self.run_folder / name).read_bytes() != (self.expected / name).read_bytes()
        ]
        logs = [
            np.genfromtxt(folder / "log.csv", delimiter=",", skip_header=1)[:, :4]
            for folder in (self.run_folder, self.expected)
        ]
        if not np.array_equal(*logs):
            found.append("log.csv: differs from an uninterrupted run")
        found += [f"temporary file: {path.name}" for path in self.work.rglob("*.part")]
        shutil.rmtree(self.run_folder)
        return found


class TrainingByEpochs(Training):
    """Within the ten minutes, the state is written while the next epoch trains."""

    name = "train by epochs"
    checkpoint_minutes = 10.0

    def lost_steps(self) -> int:
        return 0  # steps of ten minutes may be lost


@contextlib.contextmanager
def _collect_errors(found: list[str]) -> Iterator[None]:
    try:
        yield
    except (DataError, OSError) as error:
        found.append(str(error))
