"""What a run leaves on disk, written so that a reader never sees half a file.

``model.safetensors`` holds the best weights by validation Dice, ``last.safetensors`` those of the last epoch, and
``training_state.pt`` what else resuming needs. Nothing here can run code: safetensors, and ``weights_only=True``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from echoseg.errors import DataError
from echoseg.models.codec import Codec, LandmarkCodec, MaskCodec
from echoseg.models.unet import UNet
from echoseg.training.config import Config, load_config

BEST, LAST, STATE, CONFIG = "model.safetensors", "last.safetensors", "training_state.pt", "config.yaml"


def build(config: Config) -> tuple[UNet, Codec]:
    """The network and the codec that a configuration describes."""
    codec: Codec = MaskCodec()
    if config.approach == "landmark":
        codec = LandmarkCodec(
            count=config.landmarks,
            sigma=config.sigma,
            radius=config.radius,
            kernel_size=config.band_kernel,
            iterations=config.band_iterations,
        )
    return UNet(codec.channels, width=config.width, depth=config.depth), codec


def load_run(run: Path) -> tuple[Config, UNet, Codec]:
    """Rebuild a run's network with its best weights, in evaluation mode on the CPU.

    Raises:
        DataError: no run folder, or a damaged file in it.
    """
    if not (run / CONFIG).is_file():
        raise DataError(f"{run}: no run folder ({CONFIG} is missing); make one with 'echoseg train --out {run}'")
    config = load_config(run / CONFIG)
    model, codec = build(config)
    load_weights(run / BEST, model)
    return config, model.eval(), codec


def save_weights(path: Path, model: UNet, epoch: int) -> None:
    """Write weights and the epoch that they belong to."""
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    _replace(path, lambda temporary: save_file(tensors, temporary, metadata={"epoch": str(epoch)}))


def load_weights(path: Path, model: UNet) -> int:
    """Read weights into ``model``; returns the epoch that they belong to.

    Raises:
        DataError: missing, damaged, or of another network.
    """
    try:
        model.load_state_dict(load_file(path))
        with safe_open(path, "pt") as file:
            return int(file.metadata()["epoch"])
    except FileNotFoundError:
        raise DataError(f"{path}: no such checkpoint; was the run stopped in its first epoch?") from None
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: damaged, or weights of another network ({str(error).splitlines()[0]})") from error


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write what resuming needs besides the weights: plain numbers and tensors only."""
    _replace(path, lambda temporary: torch.save(state, temporary))


def load_state(path: Path) -> dict[str, Any]:
    """Read what ``save_state`` wrote.

    Raises:
        DataError: missing or damaged.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DataError(f"{path}: nothing to resume from; train anew with another --out") from None
    except Exception as error:  # torch.load fails in many ways on damaged bytes
        raise DataError(f"{path}: damaged ({str(error).splitlines()[0]}); train anew with another --out") from error


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    temporary = path.with_name(path.name + ".part")
    write(temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
