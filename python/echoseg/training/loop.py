"""The training loop: set up, train an epoch, validate, save."""

from __future__ import annotations

import dataclasses
import math
import shlex
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from echoseg.datasets.statement import NOTICE
from echoseg.datasets.store import Store
from echoseg.errors import DataError
from echoseg.models.normalize import NetworkFactory
from echoseg.training import checkpoint
from echoseg.training.augment import AugmentFunction
from echoseg.training.batches import Batch, Batches
from echoseg.training.config import Config
from echoseg.training.custom import Callback, Custom, LossFunction
from echoseg.training.devices import (
    autocast,
    choose_device,
    determinism,
    place,
    random_state,
    set_random_state,
    sum_dtype,
)
from echoseg.training.distributed import Ranks
from echoseg.training.initial_weights import load_initial_weights
from echoseg.training.interrupts import Interrupts, noted_interrupts
from echoseg.training.logs import TrainingEvent, logger, shows_progress_bar
from echoseg.training.optimization import MovingAverage, learning_rate, load_optimizer, make_loss, make_optimizer
from echoseg.training.plan import PLAN, make_plan
from echoseg.training.progress_bar import ProgressBar
from echoseg.training.resuming import check_state
from echoseg.training.run_files import LOG_COLUMNS, PARTS, complete_row, save_environment, save_log
from echoseg.training.saver import Saver, Snapshot
from echoseg.training.splits import LEAK, describe_splits
from echoseg.training.step import SEARCHED_STEPS, TrainStep, make_recorder
from echoseg.training.stopwatch import Stopwatch
from echoseg.training.tensorboard import TensorBoardLog
from echoseg.training.training_sets import add_rehearsed, fingerprint, training_and_validation
from echoseg.training.validation import Scores, Validation, batch_dice
from echoseg.utils.files import TEMPORARY_FOLDERS, new_folder, remove_abandoned

_STEPS_BETWEEN_AGREEMENTS = 20  # of several ranks
_SECONDS_BETWEEN_SAVES = 5.0  # of epochs whose weights are not the best of several
_DECODED_BATCHES = 4  # of an epoch, for the training Dice; decoding takes time


def train(
    config: Config,
    store: Store,
    run: Path,
    *,
    resume: bool = False,
    ranks: Ranks | None = None,
    rehearsed: Store | None = None,
    network: NetworkFactory | None = None,
    loss: LossFunction | None = None,
    augment: AugmentFunction | None = None,
    on_epoch: Callback | None = None,
    on_step: Callback | None = None,
) -> Config:
    """Train on a store's training split and keep the weights that ``config.validation`` names.

    After Ctrl-C or SIGTERM, training ends at the next step, when its state is saved. A run that was trained with a
    ``network``, ``loss`` or ``augment`` of the user needs the same ones when it is resumed; ``environment.json`` holds
    their names.

    Args:
        config: All settings; ``training.plan`` chooses those that are left open.
        store: Frames and contours; ``config.size`` is the size of its frames.
        run: Folder to write. It must not exist, unless ``resume``.
        resume: Go on from where ``run`` was last saved. On the CPU, the result is that of an uninterrupted run, bit
            for bit.
        ranks: This process and those that train together with it.
        rehearsed: Earlier data, whose training images are mixed in; see ``training_sets.add_rehearsed``.
        network: Makes the network for a number of output channels, in place of the U-Net. It maps (N, 1, H, W) float32
            frames, each with mean 0 and standard deviation 1, to (N, channels, H, W) logits. The settings of the U-Net
            have no effect, but both sides of ``config.size`` stay multiples of 2**``config.depth``.
        loss: Computes a scalar, a mean over the images, from (N, channels, H, W) float32 logits and targets: masks of
            0 and 1, or heatmaps in [0, 1]. It takes the place of ``config.loss``, its region and ``coordinate_weight``.
        augment: Takes (N, H, W) uint8 frames, (N, P, 2) float32 points in pixels and a ``numpy.random.Generator``, and
            returns frames in [0, 255] and points of the same shapes, both moved alike. It runs on the CPU, in worker
            processes if a GPU trains or ``config.workers`` is not 0, so that it must be picklable where processes are
            not forked, as on Windows. It takes the place of echoseg's augmentation.
        on_epoch: Is called after each epoch, when everything is saved; on rank 0 only.
        on_step: Is called after each step, on rank 0 only. It makes a GPU wait for the step's loss.

    Returns:
        The configuration with all settings chosen, as saved in the run.

    Raises:
        DataError: There is no image to train or to validate on, the device is unknown, TensorBoard is not installed,
            or the run cannot be resumed.
        FileExistsError: ``run`` exists already.
        ValueError: ``network`` or ``augment`` returns arrays of another shape.
        KeyboardInterrupt: Ctrl-C stopped the training.
        SystemExit: SIGTERM stopped the training; the exit code is 143.
    """
    custom = Custom(network, loss, augment, on_epoch, on_step)
    with noted_interrupts() as interrupts, determinism(config.deterministic):
        trainer = _Trainer(config, store, run, ranks or Ranks(), interrupts, custom, rehearsed)
        trainer.resume() if resume else trainer.begin()
        with trainer.bar, trainer.saver, autocast(trainer.device, "float32"):
            while not trainer.is_done():
                trainer.train_epoch()
                trainer.end_epoch()
            trainer.finish()
    if interrupts.caught:  # after the last step
        trainer.explain_stop()
        interrupts.obey()
    return trainer.config


@dataclass
class _Progress:
    """Where a run stands; saved with the training state."""

    epoch: int = 0
    step: int = 0  # in the epoch
    loss: float = 0.0  # sum over the epoch's images so far
    dice: float = 0.0  # likewise, of the pixels of masks
    images: int = 0
    decoded: int = 0  # images that were decoded, as in validation
    decoded_dice: float = 0.0  # sum over these images
    minutes: float = 0.0  # of training, over all resumptions
    best_dice: float = -1.0
    best_epoch: int = 0
    log: list[list[float]] = field(default_factory=list)


class _Trainer:
    """Everything that a run consists of; the methods stand in the order in which they are called."""

    def __init__(
        self,
        config: Config,
        store: Store,
        run: Path,
        ranks: Ranks,
        interrupts: Interrupts,
        custom: Custom,
        rehearsed: Store | None = None,
    ) -> None:
        self.run, self.store, self.ranks, self.interrupts, self.custom = run, store, ranks, interrupts, custom
        self.device = device = choose_device(ranks.device or config.device)
        if custom.network is not None and config.init is None:
            config = dataclasses.replace(config, init="none")  # the weights that ship are those of the U-Net
        self.plan = make_plan(config, store, device, ranks)
        self.config = config = self.plan.config
        split = config.splits(store.samples)
        training, validation = training_and_validation(store, split, config)
        self.data = fingerprint(store, split)
        together, added, self.rehearsed = store, None, ""
        if rehearsed is not None:
            together, added = add_rehearsed(store, rehearsed, config)
            self.rehearsed = fingerprint(rehearsed, rehearsed.samples["split"].to_numpy())

        torch.manual_seed(config.seed)
        self.model: nn.Module
        self.model, self.codec = checkpoint.build(config, custom.network)
        if config.init not in (None, "none") and not checkpoint.has_state(run):
            load_initial_weights(self.model, str(config.init), config.approach)
        self.custom_names = custom.names(self.model)
        if ranks.count > 1 and device.type == "cuda":
            self.model = nn.SyncBatchNorm.convert_sync_batchnorm(self.model)
        place(self.model, device)
        self.average = MovingAverage(self.model, config.ema) if config.ema else None
        self.network: nn.Module = DistributedDataParallel(self.model) if ranks.count > 1 else self.model
        if config.compile:
            mode = "reduce-overhead" if device.type == "cuda" else None
            self.network = torch.compile(self.network, mode=mode)  # type: ignore[assignment]
        self.optimizer = make_optimizer(self.model, config)
        self.batches = Batches(together, training, self.codec, config, device, ranks, custom.augment, added)
        self.loss_of = make_loss(config, store.size, device, custom.loss)
        self.validation = Validation(
            self.codec, self.loss_of, store, validation, config, device, ranks, self.batches.frames
        )
        assert config.epochs is not None
        self.steps = config.epochs * len(self.batches)
        self.step = TrainStep(
            self.network,
            self.model,
            self.optimizer,
            self.average,
            self.loss_of,
            config,
            recorder=make_recorder(config, device, ranks, custom),
            search=not config.deterministic and self.steps >= SEARCHED_STEPS,
        )
        self.steps_between_scores = math.ceil(len(self.batches) / _DECODED_BATCHES)
        self.progress = _Progress()
        self.out_of_time = False
        self.started = time.monotonic()
        self.saver = Saver()
        self.bar = ProgressBar(self.steps, config.approach, shown=ranks.index == 0 and shows_progress_bar())
        self.board = TensorBoardLog(run) if config.tensorboard and ranks.index == 0 else None

    @property
    def best(self) -> nn.Module:
        """The network that is validated and kept: the moving average where there is one."""
        return self.model if self.average is None else self.average.module

    @property
    def _identity(self) -> dict[str, Any]:
        """What must be the same when the run is resumed, beside the settings."""
        names = {"data": self.data, "rehearsed": self.rehearsed, "custom": self.custom_names}
        return {**names, "ranks": self.ranks.count}

    @property
    def steps_done(self) -> int:
        return self.progress.epoch * len(self.batches) + self.progress.step

    @property
    def minutes(self) -> float:
        """Minutes of training, over all resumptions."""
        return self.progress.minutes + (time.monotonic() - self.started) / 60

    def begin(self) -> None:
        self.ranks.wait()  # each has seen that the run does not exist yet
        if self.ranks.index == 0:
            with new_folder(self.run) as folder:  # a run that is killed here does not exist, instead of being half one
                self.config.save(folder / checkpoint.CONFIG)
                self.plan.save(folder / PLAN)
                save_environment(folder / "environment.json", self.device, self.custom_names)
            for line in [describe_splits(self.config, self.store.samples), *self.plan.lines()]:
                logger.log(NOTICE, "%s", line)
            if self.config.split_by == "image":
                logger.warning("%s", LEAK)
        self.session = time.monotonic(), 0

    def resume(self) -> None:
        self.session = time.monotonic(), 0
        if self.ranks.index == 0:
            remove_abandoned(self.run.glob(TEMPORARY_FOLDERS))
        if not checkpoint.has_state(self.run):
            return
        state, complaint = checkpoint.load_state(self.run)
        notes = [f"{complaint}; going on from the state before it"] if complaint else []
        notes += check_state(self.run, state, self.config, self._identity)
        for note in notes if self.ranks.index == 0 else ():
            logger.warning("%s", note)
        checkpoint.fill(self.model, state["model"], self.run / checkpoint.STATE)
        load_optimizer(self.optimizer, state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        torch.set_rng_state(state["random"])
        if (random := state.get(f"random_{self.device.type}")) is not None:  # not if another kind of device saved it
            set_random_state(random, self.device)
        self.progress = _Progress(**state["progress"])
        self.progress.log = [complete_row(row) for row in self.progress.log]
        limit = self.config.max_minutes
        self.out_of_time = limit is not None and self.progress.step == 0 and self.progress.minutes >= limit
        self.session = time.monotonic(), self.steps_done
        self.bar.update(self.steps_done)

    def is_done(self) -> bool:
        progress, config = self.progress, self.config
        out_of_patience = config.patience is not None and progress.epoch - progress.best_epoch >= config.patience
        return progress.epoch == config.epochs or out_of_patience or self.out_of_time

    def train_epoch(self) -> None:
        progress, config = self.progress, self.config
        self.watch = Stopwatch(self.device)
        if self.batches.workers:
            self.saver.wait()  # a process is not forked while a thread works
        self.model.train()
        sums = torch.tensor([progress.loss, progress.dice], dtype=sum_dtype(self.device), device=self.device)
        for batch in self.batches.epoch(progress.epoch, first=progress.step, watch=self.watch):
            with self.watch.measure("network"):
                means = self._step(batch)
            sums += means * len(batch.frames)
            progress.images += len(batch.frames)
            progress.step += 1
            self.bar.step(sums, progress.images)
            if self.custom.on_step is not None and self.ranks.index == 0:
                loss, dice = means.tolist()
                self.custom.on_step(self._event(loss, dice if config.approach == "mask" else None))
            interrupted, self.out_of_time = self._agree_to_stop()
            interval = 60 * config.checkpoint_minutes
            if interrupted or time.monotonic() - self.saver.submitted > interval:
                progress.loss, progress.dice = sums.tolist()
                self._save()
                self.saver.wait()
            self.saver.check(interval)
            if interrupted:
                self.explain_stop()
                self.interrupts.obey()
            if self.out_of_time:
                break
        progress.loss, progress.dice = sums.tolist()

    def _step(self, batch: Batch) -> Tensor:
        """Learn from a batch. Returns (2,) its loss and the Dice of its masks' pixels, 0 in the landmark approach."""
        means, logits = self.step.run(batch, learning_rate(self.steps_done, self.steps, self.config))
        if self.progress.step % self.steps_between_scores == self.steps_between_scores // 2:
            self.progress.decoded += len(batch.frames)
            self.progress.decoded_dice += float(batch_dice(self.codec, logits, batch.contours).cpu().numpy().sum())
        return means

    def _agree_to_stop(self) -> tuple[bool, bool]:
        """Whether a signal came, and whether time is up. Ranks ask one another only now and then: a GPU must wait."""
        late = self.config.max_minutes is not None and self.minutes >= self.config.max_minutes
        reasons = [self.interrupts.caught != 0, late]
        if self.ranks.count > 1:
            if self.steps_done % _STEPS_BETWEEN_AGREEMENTS:
                return False, False
            of_any = self.ranks.sum(torch.tensor(reasons, dtype=torch.float32, device=self.device))
            reasons = (of_any > 0).tolist()
        return reasons[0], reasons[1]

    def explain_stop(self) -> None:
        """Log which signal stopped the training, where, and how to continue it."""
        if self.ranks.index == 0:
            epoch, step = self.progress.epoch, self.progress.step
            where = f"in epoch {epoch + 1} of {self.config.epochs} after step {step} of {len(self.batches)}"
            whole = self.run if self.config.split_start is None else self.run.parent  # the cross-validation of a fold
            command = f"echoseg train --resume --out {shlex.quote(str(whole))}"
            logger.warning(
                "stopped by %s %s; the state is saved, go on with %s",
                self.interrupts.name,
                where if step else f"after epoch {epoch}, the last one",
                "resume=True and the same functions" if self.custom_names else command,
            )

    def end_epoch(self) -> None:
        """Validate, keep the best weights, save, report."""
        progress = self.progress
        sums = [progress.loss, progress.images, progress.decoded_dice, progress.decoded]
        loss, images, dice, decoded = self.ranks.sum(
            torch.tensor(sums, dtype=sum_dtype(self.device), device=self.device)
        ).tolist()
        train = Scores(loss / images, dice / decoded if decoded else math.nan)
        if not math.isfinite(train.loss):
            raise DataError(
                f"{self.run}: the loss of epoch {progress.epoch + 1} is {train.loss}; train again with a smaller"
                " --learning-rate or with --clip"
            )
        seconds = self.watch.seconds()
        started = time.perf_counter()
        val = None
        if len(self.validation):
            val = self.validation.score(self.best)
        parts = [seconds.get(part, 0.0) for part in PARTS]
        shown = [*train, *(val or (math.nan, math.nan))]
        row = [progress.epoch + 1, self._last_rate(), *shown, *parts, time.perf_counter() - started]
        row.append(60 * self.minutes - sum(earlier[-1] for earlier in progress.log))
        progress.log.append(row)
        self.bar.show(*train, val_dice=shown[-1])
        event = self._event(train.loss, train.dice if decoded else None, val)
        progress.epoch, progress.step, progress.images, progress.decoded = progress.epoch + 1, 0, 0, 0
        progress.loss = progress.dice = progress.decoded_dice = 0.0
        better = val is None or val.dice > progress.best_dice
        if better:
            progress.best_dice, progress.best_epoch = shown[-1], progress.epoch
        keep = better or self.config.validation == "last"
        interval = min(_SECONDS_BETWEEN_SAVES, 60 * self.config.checkpoint_minutes)
        is_recent = time.monotonic() - self.saver.submitted < interval
        can_wait = (val is None or not keep) and self.custom.on_epoch is None
        if not (is_recent and can_wait) or self.is_done():
            self._save(weights=self.best if keep else None, log=list(progress.log))
        if self.ranks.index == 0:
            if self.board is not None:
                self.board.add(LOG_COLUMNS, row)
            logger.info("%s", event, extra={"event": event})
            if self.custom.on_epoch is not None:
                self.saver.wait()
                self.custom.on_epoch(event)

    def finish(self) -> None:
        self.saver.wait()
        if self.ranks.index == 0:
            checkpoint.save_weights(self.run / checkpoint.LAST, self.best, self.config)

    def _event(self, loss: float, dice: float | None, val: Scores | None = None) -> TrainingEvent:
        assert self.config.epochs is not None
        started, first = self.session
        seconds_left = (time.monotonic() - started) / max(1, self.steps_done - first) * (self.steps - self.steps_done)
        if self.config.max_minutes is not None:
            seconds_left = max(0.0, min(seconds_left, 60 * (self.config.max_minutes - self.minutes)))
        return TrainingEvent(
            epoch=self.progress.epoch + 1,
            epochs=self.config.epochs,
            step=self.steps_done,
            steps=self.steps,
            device=str(self.device),
            learning_rate=self._last_rate(),
            loss=loss,
            dice=dice,
            val_loss=None if val is None else val.loss,
            val_dice=None if val is None else val.dice,
            seconds_left=seconds_left,
        )

    def _last_rate(self) -> float:
        """The learning rate of the last step."""
        return learning_rate(max(0, self.steps_done - 1), self.steps, self.config)

    def _save(self, weights: nn.Module | None = None, log: list[list[float]] | None = None) -> None:
        """Save the state, and before it the weights and the log that belong to it, while the training goes on."""
        self.progress.minutes, self.started = self.minutes, time.monotonic()
        if self.ranks.index != 0:
            self.saver.submit(lambda: None)
            return
        state: dict[str, Any] = {
            **self._identity,
            "settings": self.config.values(),
            "progress": dataclasses.asdict(self.progress),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
        }
        if self.average is not None:
            state["average"] = self.average.state_dict()
        if self.device.type != "cpu":
            state[f"random_{self.device.type}"] = random_state(self.device)
        best = None if weights is None else weights.state_dict()
        snapshot, run, metadata = Snapshot((state, best)), self.run, checkpoint.weights_metadata(self.best, self.config)

        def write() -> None:
            state, best = snapshot.on_cpu()
            if best is not None:
                checkpoint.write_weights(run / checkpoint.BEST, best, metadata)
            if log is not None:
                save_log(run / "log.csv", log)
            checkpoint.save_state(run, state)

        self.saver.submit(write)
