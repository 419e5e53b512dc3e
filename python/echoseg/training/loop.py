"""The trainer, top to bottom: set up, train an epoch, validate, save."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import platform
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from tqdm import tqdm

from echoseg.assess.overlap import dice
from echoseg.data.files import replace_file
from echoseg.data.store import Store
from echoseg.errors import DataError
from echoseg.geometry.ragged import pad_contours
from echoseg.models.codec import Codec
from echoseg.models.losses import LOSSES
from echoseg.models.unet import UNet
from echoseg.ops import build_info, fill_polygons
from echoseg.training import checkpoint
from echoseg.training.batch import Batches
from echoseg.training.config import Config

LOG_COLUMNS = ("epoch", "learning_rate", "train_loss", "val_dice", "train_seconds", "val_seconds")
_LOSS_OF = {"mask": "dice_bce", "landmark": "spatial_ce"}
_LEAST_EPOCHS, _IMAGES = 10, 6_400


def train(config: Config, store: Store, run: Path, *, resume: bool = False) -> Config:
    """Train on a store's training split, keep the weights that are best on its validation split (if there is one).

    Args:
        config: ``config.epochs`` None is resolved here.
        store: frames and contours; ``config.size`` is its frames' size.
        run: folder to write; must not exist, unless ``resume``.
        resume: go on after the last finished epoch of ``run``; on the CPU the result is that of an uninterrupted run,
            bit for bit.

    Returns:
        The resolved configuration, as saved in the run.

    Raises:
        DataError: no image to train or to validate on, an unknown device, or a run that cannot be resumed.
        FileExistsError: ``run`` exists already.
    """
    device = choose_device(config.device)
    split = config.splits(store.samples)
    training, validation = _training_and_validation(store, split, config)
    if config.epochs is None:
        config = dataclasses.replace(config, epochs=max(_LEAST_EPOCHS, math.ceil(_IMAGES / len(training))))
    assert config.epochs is not None

    torch.manual_seed(config.seed)
    model, codec = checkpoint.build(config)
    model = model.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    loss_of = LOSSES[_LOSS_OF[config.approach]]
    batches = Batches(store, training, codec, config, device)

    state: dict[str, Any] = {"data": _fingerprint(store, split), "epoch": 0, "best_dice": -1.0, "log": []}
    if not resume:
        run.mkdir(parents=True)
        config.save(run / checkpoint.CONFIG)
        _save_environment(run / "environment.json", device)
    elif (run / checkpoint.STATE).exists():
        state = _resume(run, model, optimizer, state["data"])

    with tqdm(total=config.epochs * len(batches), initial=state["epoch"] * len(batches), disable=None) as bar:
        for epoch in range(state["epoch"], config.epochs):
            started = time.perf_counter()
            rate = learning_rate(epoch * len(batches), config.epochs * len(batches), config.learning_rate)
            train_loss = _train_epoch(model, optimizer, loss_of, batches, epoch, config, bar)
            trained = time.perf_counter()
            val_dice = math.nan
            if len(validation):
                val_dice = validate(model, codec, store, validation, config.batch_size, device)
            ended = time.perf_counter()

            state["log"].append([epoch + 1, rate, train_loss, val_dice, trained - started, ended - trained])
            state["epoch"] = epoch + 1
            bar.set_postfix(loss=f"{train_loss:.4f}", val_dice=f"{val_dice:.4f}")
            if not val_dice <= state["best_dice"]:  # without validation, the last
                state["best_dice"] = val_dice
                checkpoint.save_weights(run / checkpoint.BEST, model)
            checkpoint.save_weights(run / checkpoint.LAST, model)
            learned = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            checkpoint.save_state(run / checkpoint.STATE, {**state, **learned})
            _save_log(run / "log.csv", state["log"])
    return config


def _training_and_validation(store: Store, split: np.ndarray, config: Config) -> tuple[np.ndarray, np.ndarray]:
    sets = {name: np.flatnonzero(split == name) for name in ("train", "val", "test")}
    for name, indices in sets.items():
        if not len(indices) and not (name == "val" and config.validation == "none"):
            raise DataError(f"{store.path}: no image in split {name!r}; check the Split column")
    return sets["train"], sets["val"]


def choose_device(name: str) -> torch.device:
    """``auto`` is the first CUDA device if there is one, else the CPU; else ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        DataError: no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda"):
            raise RuntimeError("expected cpu or cuda")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DataError(f"device {name!r} cannot be used ({str(error).splitlines()[0]}); try --device cpu") from None
    return device


def learning_rate(step: int, steps: int, largest: float) -> float:
    """A linear warm-up over the first tenth of the steps, then a cosine down to zero."""
    warm_up = max(1, steps // 10)
    if step < warm_up:
        return largest * (step + 1) / warm_up
    return largest * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def _train_epoch(model, optimizer, loss_of, batches: Batches, epoch: int, config: Config, bar: tqdm) -> float:
    """One pass over the training images; returns the mean loss an image."""
    assert config.epochs is not None
    model.train()
    steps = config.epochs * len(batches)
    total, images = torch.zeros((), device=batches.device), 0
    for step, (frames, targets) in enumerate(batches.epoch(epoch), start=epoch * len(batches)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, config.learning_rate)
        loss = loss_of(model(frames), targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(frames)
        images += len(frames)
        bar.update()
    return (total / images).item()


@torch.inference_mode()
def validate(
    model: torch.nn.Module, codec: Codec, store: Store, indices: np.ndarray, batch_size: int, device: torch.device
) -> float:
    """Mean foreground Dice of the decoded masks against the tracings' masks."""
    model.eval()
    contours = pad_contours(store.points, store.offsets)
    scores = []
    for start in range(0, len(indices), batch_size):
        chosen = indices[start : start + batch_size]
        logits = model(torch.from_numpy(store.frames[chosen]).to(device))
        scores.append(dice(codec.decode(logits, store.size).masks, fill_polygons(contours[chosen], store.size)))
    return float(np.concatenate(scores).mean())


def _fingerprint(store: Store, split: np.ndarray) -> str:
    """What a run must not change under way: frames, contours, and who is in which set."""
    return hashlib.sha256(repr((sorted(store.manifest["sha256"].items()), split.tolist())).encode()).hexdigest()


def _resume(run: Path, model: UNet, optimizer: torch.optim.Optimizer, data: str) -> dict[str, Any]:
    state = checkpoint.load_state(run / checkpoint.STATE)
    if state.get("data") != data:
        raise DataError(f"{run}: the data are not those that the run began with; bring them back or train anew")
    model.load_state_dict(state.pop("model"))
    optimizer.load_state_dict(state.pop("optimizer"))
    return state


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
