"""What a run folder holds beside weights and settings: ``log.csv`` and ``environment.json``."""

from __future__ import annotations

import csv
import json
import math
import platform
import sys
from pathlib import Path

import cv2
import numpy as np
import torch

from echoseg.ops import build_info
from echoseg.training.devices import device_name
from echoseg.utils.files import replace_file

PARTS = ("data", "drawing", "network")  # of an epoch's time
LOG_COLUMNS = (
    "epoch",
    "learning_rate",
    "train_loss",
    "train_dice",
    "val_loss",
    "val_dice",
    *(f"{part}_seconds" for part in PARTS),
    "val_seconds",
    "epoch_seconds",
)
"""The columns of ``log.csv``. The last one is the time from the end of the epoch before, saving included."""


def complete_row(row: list[float]) -> list[float]:
    """Return a row of the log with all columns; rows of earlier versions lack ``train_dice`` and ``val_loss``."""
    return row if len(row) == len(LOG_COLUMNS) else [*row[:3], math.nan, math.nan, *row[3:]]


def save_log(path: Path, rows: list[list[float]]) -> None:
    """Write ``log.csv``: one row of ``LOG_COLUMNS`` for each epoch."""
    lines = [",".join([str(epoch), *(f"{value:.6g}" for value in values)]) for epoch, *values in rows]
    text = "\n".join([",".join(LOG_COLUMNS), *lines, ""])
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def training_seconds(run: Path) -> dict[str, float]:
    """The seconds of the whole training and the mean of an epoch, from ``log.csv``; empty without such a log."""
    path = run / "log.csv"
    if not path.exists():
        return {}
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    if not rows or "epoch_seconds" not in rows[0]:
        return {}
    total = sum(float(row["epoch_seconds"]) for row in rows)
    return {"training": total, "epoch": total / len(rows)}


def save_environment(path: Path, device: torch.device, custom: dict[str, str]) -> None:
    """Write ``environment.json``: versions, device, command, and what ``config.yaml`` cannot hold.

    Args:
        path: File to write.
        device: Device that trains.
        custom: Names of the user's own network, loss and augmentation, where there are any.
    """
    environment = {
        "echoseg": build_info(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "command": sys.argv,
        "custom": custom,
    }
    path.write_text(json.dumps(environment, indent=2) + "\n", encoding="utf-8")
