"""What a training reports while it goes on: events, and their lines in the log of the logger "echoseg"."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import sys
from dataclasses import dataclass
from datetime import datetime, timezone

LOG_KINDS = ("auto", "text", "json", "none")
logger = logging.getLogger("echoseg")


@dataclass(frozen=True)
class TrainingEvent:
    """Where a training stands after a step or an epoch.

    Attributes:
        epoch: Number of the epoch, from 1.
        epochs: Number of epochs of the whole training.
        step: Number of steps done since the training began, over all epochs.
        steps: Number of steps of the whole training.
        device: Name of the device that trains, such as "cpu" or "cuda:0".
        learning_rate: Learning rate of the last step.
        loss: After a step, the loss of its batch; after an epoch, the mean over its images.
        dice: Foreground Dice of training images. After a step, that of the pixels of its batch; None in the landmark
            approach. After an epoch, the mean over a few of its batches, decoded as in validation.
        val_loss: Loss of the validation images; None after a step, and without validation.
        val_dice: Foreground Dice of the validation images, likewise.
        seconds_left: Estimated time until the last epoch ends.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    device: str
    learning_rate: float
    loss: float
    dice: float | None
    val_loss: float | None
    val_dice: float | None
    seconds_left: float

    def __str__(self) -> str:
        scores = {"training Dice": self.dice, "validation Dice": self.val_dice}
        parts = [f"{name} {score:.4f}" for name, score in scores.items() if score is not None]
        loss = f"epoch {self.epoch}/{self.epochs} on {self.device}: loss {self.loss:.4f}"
        return ", ".join([loss, *parts, f"{self.seconds_left:.0f} s left"])


def configure_logging(kind: str = "auto") -> None:
    """Choose what a training prints to stderr. Without this call, only warnings and a terminal's progress bar appear.

    Args:
        kind: "text": a line for each epoch, and warnings. "json": the same as one JSON object a line, for machines.
            "none": nothing. "auto": a progress bar and warnings where stderr is a terminal, else "text".

    Raises:
        ValueError: The kind is unknown.
    """
    if kind not in LOG_KINDS:
        raise ValueError(f"unknown kind of log {kind!r}; known: {', '.join(LOG_KINDS)}")
    levels = {"auto": logging.WARNING if sys.stderr.isatty() else logging.INFO, "none": logging.CRITICAL}
    handler = _StderrHandler()
    handler.setFormatter(_JsonFormatter() if kind == "json" else _TextFormatter())
    for old in [old for old in logger.handlers if isinstance(old, _StderrHandler)]:
        logger.removeHandler(old)
    logger.addHandler(handler)
    logger.setLevel(levels.get(kind, logging.INFO))


def shows_progress_bar() -> bool:
    """Whether a terminal gets a progress bar: neither lines for each epoch nor silence were asked for."""
    return logger.getEffectiveLevel() == logging.WARNING


class _StderrHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        try:
            tqdm.write(self.format(record), file=sys.stderr)  # leaves a progress bar intact
            sys.stderr.flush()
        except Exception:
            self.handleError(record)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message = super().format(record)
        return message if record.levelno < logging.WARNING else f"echoseg: {message}"


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        message = super().format(record)
        values: dict[str, object] = {"time": time, "level": record.levelname.lower(), "message": message}
        event = getattr(record, "event", None)
        if isinstance(event, TrainingEvent):
            values |= {name: _finite(value) for name, value in dataclasses.asdict(event).items()}
        return json.dumps(values)


def _finite(value: object) -> object:
    """JSON has no numbers that are not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
