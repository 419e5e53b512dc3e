"""The trainer, top to bottom: set up, train an epoch, validate, save."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from echoseg.datasets.store import Store
from echoseg.errors import DataError
from echoseg.geometry.ragged import pad_contours
from echoseg.metrics.overlap import dice
from echoseg.models.codec import Codec, scheme_for
from echoseg.models.losses import HEATMAP_LOSSES, MASK_LOSSES, coordinate_loss, region_weight
from echoseg.ops import build_info, fill_polygons
from echoseg.training import checkpoint
from echoseg.training.batch import Batch, Batches
from echoseg.training.config import Config
from echoseg.training.devices import choose_device
from echoseg.training.distributed import Ranks
from echoseg.training.interrupts import Interrupts, noted_interrupts
from echoseg.training.live import Board, ProgressBar, running_dice
from echoseg.training.optimization import faster_precision, learning_rate, make_average, make_optimizer
from echoseg.training.stopwatch import Stopwatch
from echoseg.utils.files import new_folder, replace_file

PARTS = ("data", "drawing", "network")
LOG_COLUMNS = (
    "epoch",
    "learning_rate",
    "train_loss",
    "val_dice",
    *(f"{part}_seconds" for part in PARTS),
    "val_seconds",
)
_LEAST_EPOCHS, _IMAGES = 10, 12_800
_STEPS_BETWEEN_AGREEMENTS = 20  # of many ranks


@dataclass
class _Progress:
    """Where a run stands; saved with the weights."""

    epoch: int = 0
    step: int = 0  # in the epoch
    loss: float = 0.0  # sum over the epoch's images so far
    dice: float = 0.0  # likewise, of masks, for the progress bar
    images: int = 0
    minutes: float = 0.0  # of training, over all resumptions
    best_dice: float = -1.0
    best_epoch: int = 0
    log: list[list[float]] = field(default_factory=list)


def train(config: Config, store: Store, run: Path, *, resume: bool = False, ranks: Ranks | None = None) -> Config:
    """Train on a store's training split, keep the weights that are best on its validation split (if there is one).

    A signal to stop (Ctrl-C, SIGTERM) is obeyed after the next step, when the state is saved.

    Args:
        config: what is left to choose in it (epochs, precision) is resolved here.
        store: frames and contours; ``config.size`` is its frames' size.
        run: folder to write; must not exist, unless ``resume``.
        resume: go on where ``run`` was last saved; on the CPU the result is that of an uninterrupted run, bit for bit.
        ranks: this process among those that train together.

    Returns:
        The resolved configuration, as saved in the run.

    Raises:
        DataError: no image to train or to validate on, an unknown device, or a run that cannot be resumed.
        FileExistsError: ``run`` exists already.
    """
    with noted_interrupts() as interrupts, _determinism(config):
        trainer = _Trainer(config, store, run, ranks or Ranks(), interrupts)
        trainer.resume() if resume else trainer.begin()
        with trainer.bar:
            while not trainer.is_done():
                trainer.train_epoch()
                trainer.end_epoch()
        trainer.finish()
    return trainer.config


class _Trainer:
    """All that a run consists of; the methods stand in the order in which they are called."""

    def __init__(self, config: Config, store: Store, run: Path, ranks: Ranks, interrupts: Interrupts) -> None:
        self.run, self.store, self.ranks, self.interrupts = run, store, ranks, interrupts
        self.device = device = choose_device(ranks.device or config.device)
        split = config.splits(store.samples)
        training, self.validation = _training_and_validation(store, split, config)
        if config.approach == "landmark":
            config = dataclasses.replace(config, scheme=scheme_for(store, config.scheme))
        self.config = config = _resolved(config, len(training), device, ranks)
        self.data = _fingerprint(store, split)

        torch.manual_seed(config.seed)
        self.model, self.codec = checkpoint.build(config)
        if ranks.count > 1 and device.type == "cuda":
            self.model = nn.SyncBatchNorm.convert_sync_batchnorm(self.model)
        self.model.to(device)
        self.average = make_average(self.model, config.ema)
        self.network: nn.Module = DistributedDataParallel(self.model) if ranks.count > 1 else self.model
        if config.compile:
            mode = "reduce-overhead" if device.type == "cuda" else None
            self.network = torch.compile(self.network, mode=mode)  # type: ignore[assignment]
        self.optimizer = make_optimizer(self.model, config)
        self.batches = Batches(store, training, self.codec, config, device, ranks)
        self.loss_of = _loss(config, store.size, device)
        self.progress = _Progress()
        self.out_of_time = False

        assert config.epochs is not None
        self.steps = config.epochs * len(self.batches)
        self.saved = self.started = time.monotonic()
        self.bar = ProgressBar(self.steps, config.approach, shown=ranks.index == 0)
        self.board = Board(run, wanted=config.tensorboard and ranks.index == 0)

    @property
    def best(self) -> nn.Module:
        """What is validated and kept: the moving average where there is one."""
        return self.model if self.average is None else self.average.module

    def begin(self) -> None:
        self.ranks.wait()  # each has seen that there is no such run yet
        if self.ranks.index == 0:
            with new_folder(self.run) as folder:  # killed here, there is no run rather than one without settings
                self.config.save(folder / checkpoint.CONFIG)
                _save_environment(folder / "environment.json", self.device)

    def resume(self) -> None:
        if not checkpoint.has_state(self.run):
            return
        state, complaint = checkpoint.load_state(self.run)
        notes = [f"{complaint}; going on from the state before it"] if complaint else []
        notes += checkpoint.check_settings(self.run, self.config, state.get("settings", {}))
        for note in notes if self.ranks.index == 0 else ():
            tqdm.write(f"echoseg: {note}", file=sys.stderr)
        if state.get("data") != self.data:
            raise DataError(
                f"{self.run}: the data are not those that the run began with; bring them back or train anew"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        torch.set_rng_state(state["random"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["random_cuda"], self.device)
        self.progress = _Progress(**state["progress"])
        self.bar.update(self.progress.epoch * len(self.batches) + self.progress.step)

    def is_done(self) -> bool:
        progress, config = self.progress, self.config
        tired = config.patience is not None and progress.epoch - progress.best_epoch >= config.patience
        return progress.epoch == config.epochs or tired or self.out_of_time

    def train_epoch(self) -> None:
        progress, config = self.progress, self.config
        self.watch = Stopwatch(self.device)
        self.model.train()
        sums = torch.tensor([progress.loss, progress.dice], dtype=torch.float64, device=self.device)
        for batch in self.batches.epoch(progress.epoch, first=progress.step, watch=self.watch):
            with self.watch.of("network"):
                rate = learning_rate(progress.epoch * len(self.batches) + progress.step, self.steps, config)
                scores = self._step(batch, rate)
            sums += scores * len(batch.frames)
            progress.images += len(batch.frames)
            progress.step += 1
            self.bar.step(sums, progress.images)
            interrupted, self.out_of_time = self._agreed_to_stop()
            if interrupted or time.monotonic() - self.saved > 60 * config.checkpoint_minutes:
                progress.loss, progress.dice = sums.tolist()
                self._save_state()
            if interrupted:
                self.interrupts.obey()
            if self.out_of_time:
                break
        progress.loss, progress.dice = sums.tolist()

    def _step(self, batch: Batch, rate: float) -> Tensor:
        """Learn from a batch. Gives its loss, and the Dice of its masks if someone watches."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            logits = self.network(batch.frames)
        loss = self.loss_of(logits.float(), batch)
        self.optimizer.zero_grad(set_to_none=True)
        (loss * batch.share).backward()
        if self.config.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        watched = self.config.approach == "mask" and not self.bar.disable
        score = running_dice(logits, batch.targets) if watched else torch.zeros_like(loss)
        return torch.stack([loss.detach(), score])

    def _agreed_to_stop(self) -> tuple[bool, bool]:
        """Whether a signal came, and whether time is up. Many ranks ask one another, but now and then only: asking
        makes a GPU wait."""
        late = self.config.max_minutes is not None and self._minutes() >= self.config.max_minutes
        reasons = [self.interrupts.caught != 0, late]
        if self.ranks.count > 1:
            if (self.progress.epoch * len(self.batches) + self.progress.step) % _STEPS_BETWEEN_AGREEMENTS:
                return False, False
            heard = torch.tensor(reasons, dtype=torch.float32, device=self.device)
            reasons = (self.ranks.sum(heard) > 0).tolist()
        return reasons[0], reasons[1]

    def _minutes(self) -> float:
        return self.progress.minutes + (time.monotonic() - self.started) / 60

    def end_epoch(self) -> None:
        """Validate, log, keep the best weights and the state."""
        progress = self.progress
        loss, images = self.ranks.sum(
            torch.tensor([progress.loss, progress.images], dtype=torch.float64, device=self.device)
        ).tolist()
        seconds = self.watch.seconds()
        started = time.perf_counter()
        val_dice = math.nan
        if len(self.validation):
            val_dice = validate(
                self.best, self.codec, self.store, self.validation, self.config, self.device, self.ranks
            )
        parts = [seconds.get(part, 0.0) for part in PARTS]
        rate = self.optimizer.param_groups[0]["lr"]
        row = [progress.epoch + 1, rate, loss / images, val_dice, *parts, time.perf_counter() - started]
        progress.log.append(row)
        self.bar.said["val_dice"] = val_dice
        self.bar.say(loss / images, progress.dice / progress.images)
        progress.epoch, progress.step, progress.images = progress.epoch + 1, 0, 0
        progress.loss = progress.dice = 0.0
        if better := not val_dice <= progress.best_dice:  # without validation, the last
            progress.best_dice, progress.best_epoch = val_dice, progress.epoch
        if self.ranks.index == 0:
            if better:
                checkpoint.save_weights(self.run / checkpoint.BEST, self.best, self.config)
            _save_log(self.run / "log.csv", progress.log)
            self.board.add(LOG_COLUMNS, row)
        self._save_state()

    def finish(self) -> None:
        if self.ranks.index == 0:
            checkpoint.save_weights(self.run / checkpoint.LAST, self.best, self.config)

    def _save_state(self) -> None:
        self.progress.minutes, self.started = self._minutes(), time.monotonic()
        self.saved = self.started
        if self.ranks.index != 0:
            return
        state: dict[str, Any] = {
            "data": self.data,
            "settings": self.config.values(),
            "progress": dataclasses.asdict(self.progress),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
        }
        if self.average is not None:
            state["average"] = self.average.state_dict()
        if self.device.type == "cuda":
            state["random_cuda"] = torch.cuda.get_rng_state(self.device)
        checkpoint.save_state(self.run, state)


def _resolved(config: Config, training: int, device: torch.device, ranks: Ranks) -> Config:
    """The configuration with what was left to choose."""
    if config.epochs is None:
        config = dataclasses.replace(config, epochs=max(_LEAST_EPOCHS, math.ceil(_IMAGES / training)))
    if config.precision == "auto":
        wishes = ranks.sum(torch.tensor(float(faster_precision(device) == "bfloat16"), device=device)).item()
        config = dataclasses.replace(config, precision="bfloat16" if wishes == ranks.count else "float32")
    return config


def _training_and_validation(store: Store, split: np.ndarray, config: Config) -> tuple[np.ndarray, np.ndarray]:
    sets = {name: np.flatnonzero(split == name) for name in ("train", "val", "test")}
    for name, indices in sets.items():
        if not len(indices) and not (name == "val" and config.validation == "none"):
            raise DataError(f"{store.path}: no image in split {name!r}; check the Split column")
    return sets["train"], sets["val"]


@contextlib.contextmanager
def _determinism(config: Config) -> Iterator[None]:
    """The same bits from the same seed on a GPU too, if asked for; else whatever is fastest."""
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(config.deterministic)
    torch.backends.cudnn.benchmark = not config.deterministic
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


def _loss(config: Config, size: tuple[int, int], device: torch.device) -> Callable[[Tensor, Batch], Tensor]:
    assert config.loss is not None
    pixel_loss = (MASK_LOSSES if config.approach == "mask" else HEATMAP_LOSSES)[config.loss]
    weight = region_weight(size, config.region, config.region_weight).to(device)

    def loss_of(logits: Tensor, batch: Batch) -> Tensor:
        loss = pixel_loss(logits, batch.targets, weight)
        if config.coordinate_weight and batch.landmarks is not None:
            loss = loss + config.coordinate_weight * coordinate_loss(logits, batch.landmarks)
        return loss

    return loss_of


@torch.inference_mode()
def validate(
    model: nn.Module,
    codec: Codec,
    store: Store,
    indices: np.ndarray,
    config: Config,
    device: torch.device,
    ranks: Ranks | None = None,
) -> float:
    """Mean foreground Dice of the decoded masks against the tracings' masks."""
    ranks = ranks or Ranks()
    model.eval()
    contours = pad_contours(store.points, store.offsets)
    mine = indices[ranks.part(len(indices))]
    total = 0.0
    for start in range(0, len(mine), config.batch_size):
        chosen = mine[start : start + config.batch_size]
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            logits = model(torch.from_numpy(store.frames[chosen]).to(device))
        total += dice(codec.decode(logits, store.size).masks, fill_polygons(contours[chosen], store.size)).sum()
    return ranks.sum(torch.tensor(total, dtype=torch.float64, device=device)).item() / len(indices)


def _fingerprint(store: Store, split: np.ndarray) -> str:
    """What a run must not change under way: frames, contours, and who is in which set."""
    arrays = sorted((name, value) for name, value in store.manifest["sha256"].items() if name.endswith(".npy"))
    return hashlib.sha256(repr((arrays, split.tolist())).encode()).hexdigest()


def _save_log(path: Path, rows: list[list[float]]) -> None:
    lines = [",".join([str(epoch), *(f"{value:.6g}" for value in values)]) for epoch, *values in rows]
    text = "\n".join([",".join(LOG_COLUMNS), *lines, ""])
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _save_environment(path: Path, device: torch.device) -> None:
    environment = {
        "echoseg": build_info(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "cpu",
        "threads": torch.get_num_threads(),
        "command": sys.argv,
    }
    path.write_text(json.dumps(environment, indent=2) + "\n", encoding="utf-8")
