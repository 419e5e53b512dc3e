"""What a run leaves on disk, written so that a reader never sees half a file.

``model.safetensors`` holds the best weights by validation Dice, ``last.safetensors`` those of the last epoch, and
``training_state.pt`` all that resuming needs, in one file. Nothing here can run code: safetensors, and
``weights_only=True``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from echoseg.data.files import replace_file
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


def save_weights(path: Path, model: torch.nn.Module) -> None:
    """Write a network's weights."""
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    replace_file(path, lambda temporary: save_file(tensors, temporary))


def load_weights(path: Path, model: UNet) -> None:
    """Read weights into ``model``.

    Raises:
        DataError: missing, damaged, or of another network.
    """
    try:
        model.load_state_dict(load_file(path))
    except FileNotFoundError:
        raise DataError(f"{path}: no such checkpoint; was the run stopped in its first epoch?") from None
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: damaged, or weights of another network ({str(error).splitlines()[0]})") from error


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write what resuming needs: plain numbers and tensors only."""
    replace_file(path, lambda temporary: torch.save(state, temporary))


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
