"""What a run leaves on disk, written so that a reader never sees half a file, and never trusts a damaged one.

``model.safetensors`` holds the best weights by validation Dice, ``last.safetensors`` those at the end, and
``training_state.pt`` all that resuming needs, in one file; the state before it is kept as
``training_state.previous.pt``. Each carries the SHA-256 of its content and the settings that it was made with:
``config.yaml`` may be edited, but only where that changes neither what the network is nor what it learns. Nothing here
can run code: safetensors, and ``weights_only=True``.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from echoseg.errors import DataError
from echoseg.models.codec import Codec, LandmarkCodec, MaskCodec
from echoseg.models.unet import UNet
from echoseg.training.config import FREE, Config, load_config
from echoseg.utils.checksum import add_checksum, verify_checksum
from echoseg.utils.files import replace_file

BEST, LAST, CONFIG = "model.safetensors", "last.safetensors", "config.yaml"
STATE, PREVIOUS_STATE = "training_state.pt", "training_state.previous.pt"
_SEAL, _TOLD = b"echoseg-sha256:", "echoseg"


def build(config: Config) -> tuple[UNet, Codec]:
    """The network and the codec that a configuration describes."""
    codec: Codec = MaskCodec()
    if config.approach == "landmark":
        codec = LandmarkCodec(
            count=config.landmarks,
            scheme=config.scheme or "arc",
            outline=config.outline,
            heatmap=config.heatmap,
            sigma=config.sigma,
            radius=config.radius,
            kernel_size=config.band_kernel,
            iterations=config.band_iterations,
            method=config.decode,
        )
    model = UNet(
        codec.channels,
        width=config.width,
        depth=config.depth,
        norm=config.norm,
        dropout=config.dropout,
        attention=config.attention,
        skips=config.skips,
        bottleneck=config.bottleneck,
    )
    return model, codec


def load_run(run: Path) -> tuple[Config, UNet, Codec]:
    """Rebuild a run's network with its best weights, in evaluation mode on the CPU.

    Raises:
        DataError: no run folder, a damaged file in it, or settings that the weights were not trained with.
    """
    if not (run / CONFIG).is_file():
        raise DataError(f"{run}: no run folder ({CONFIG} is missing); make one with 'echoseg train --out {run}'")
    config = load_config(run / CONFIG)
    tensors, trained = _read_weights(run / BEST)
    check_settings(run, config, trained)
    model, codec = build(config)
    _fill(model, tensors, run / BEST)
    return config, model.eval(), codec


def check_settings(run: Path, config: Config, trained: dict[str, Any]) -> list[str]:
    """Refuse a ``config.yaml`` that is not the one that a run was trained with.

    Args:
        run: folder of the run.
        config: as read there.
        trained: ``Config.values`` at the time, or some of them.

    Returns:
        what was edited where it may be, in words.

    Raises:
        DataError: another setting differs.
    """
    now = config.values()
    edits = {name: f"{name} is {now[name]}, was {old}" for name, old in trained.items() if now.get(name, old) != old}
    if fixed := edits.keys() - FREE:
        raise DataError(f"{run / CONFIG}: {edits[min(fixed)]} when the run was trained; put that back")
    return [f"{run / CONFIG}: {edit} when the run's state was saved" for edit in edits.values()]


def save_weights(path: Path, model: torch.nn.Module, config: Config | None = None) -> None:
    """Write a network's weights, and the settings that it was trained with, if they are known: without ``FREE`` ones,
    which name folders."""
    tensors = {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}
    settings = {name: value for name, value in config.values().items() if name not in FREE} if config else {}
    told = add_checksum({"sha256": _hash(tensors), "settings": settings})
    content = save(tensors, metadata={_TOLD: json.dumps(told)})  # one entry: safetensors shuffles many
    replace_file(path, lambda temporary: temporary.write_bytes(content))


def load_weights(path: Path, model: UNet) -> None:
    """Read weights into ``model``.

    Raises:
        DataError: missing, damaged, or of another network.
    """
    _fill(model, _read_weights(path)[0], path)


def save_state(run: Path, state: dict[str, Any]) -> None:
    """Write what resuming needs, plain numbers and tensors only, and keep the state before."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            file.write(content)
            file.write(_SEAL + hashlib.sha256(content).hexdigest().encode())

    replace_file(run / STATE, write, keep=run / PREVIOUS_STATE)


def load_state(run: Path) -> tuple[dict[str, Any], str | None]:
    """Read what ``save_state`` wrote last, or, where that is damaged, what it wrote before.

    Returns:
        the state, and what was wrong with the last one, if something was.

    Raises:
        DataError: neither can be read.
    """
    complaint = None
    for path in (run / STATE, run / PREVIOUS_STATE):
        try:
            return _read_state(path), complaint
        except FileNotFoundError:
            fault = f"{path}: missing"
        except DataError as error:
            fault = str(error)
        complaint = complaint or fault
    raise DataError(f"{complaint}; nothing to resume from, train anew with another --out")


def has_state(run: Path) -> bool:
    """Whether there is anything to resume from."""
    return (run / STATE).exists() or (run / PREVIOUS_STATE).exists()


def _read_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights by name, and the settings that they were trained with, as far as they are known."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        told = verify_checksum(json.loads(metadata[_TOLD])) if _TOLD in metadata else metadata
        if told.get("sha256") != _hash(tensors):
            raise ValueError("its content is not what was written")
        return tensors, told.get("settings", {})
    except FileNotFoundError:
        raise DataError(f"{path}: no such checkpoint; was the run stopped in its first epoch?") from None
    except (SafetensorError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(f"{path}: damaged ({_said(error)})") from error


def _fill(model: UNet, tensors: dict[str, torch.Tensor], path: Path) -> None:
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise DataError(f"{path}: weights of another network ({_said(error)})") from error


def _read_state(path: Path) -> dict[str, Any]:
    whole = path.read_bytes()
    end = len(whole) - len(_SEAL) - 64
    content, seal = memoryview(whole)[: max(end, 0)], whole[max(end, 0) :]
    if end < 0 or seal != _SEAL + hashlib.sha256(content).hexdigest().encode():
        raise DataError(f"{path}: damaged (its content is not what was written)")
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load fails in many ways
        raise DataError(f"{path}: damaged ({_said(error)})") from error


def _said(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _hash(tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
