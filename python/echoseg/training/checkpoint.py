"""The weights and the training state of a run, written whole and checked when they are read.

``model.safetensors`` holds the weights with the best validation Dice, ``last.safetensors`` those at the end, and
``training_state.pt`` everything that resuming needs. The state before it is kept as ``training_state.previous.pt``.
Each file carries the SHA-256 of its content and the settings that it was made with: ``config.yaml`` may be edited, but
only in settings that change neither the network nor what it learns. Reading them cannot run code: safetensors, and
``weights_only=True``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from echoseg.errors import DataError
from echoseg.models.codec import Codec, LandmarkCodec, MaskCodec
from echoseg.models.ensemble import Ensemble
from echoseg.models.normalize import NetworkFactory, NormalizedNetwork
from echoseg.models.unet import UNet
from echoseg.training.config import EDITABLE, Config
from echoseg.training.config_file import load_config
from echoseg.training.saver import Snapshot
from echoseg.utils.checksum import add_checksum, verify_checksum
from echoseg.utils.files import replace_file

BEST, LAST, CONFIG = "model.safetensors", "last.safetensors", "config.yaml"
STATE, PREVIOUS_STATE = "training_state.pt", "training_state.previous.pt"
Network: TypeAlias = UNet | NormalizedNetwork | Ensemble
_CHECKSUM, _METADATA = b"echoseg-sha256:", "echoseg"


def build(config: Config, network: NetworkFactory | None = None) -> tuple[Network, Codec]:
    """Build the network and the codec of a configuration.

    Args:
        config: Settings of the codec and of the U-Net. With ``folds``, the network is an ensemble of so many.
        network: Makes another network in the U-Net's place.
    """
    if config.folds is not None:
        member = dataclasses.replace(config, folds=None)
        return Ensemble([build(member, network)[0] for _ in range(config.folds)]), build(member, network)[1]
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
    if network is not None:
        return NormalizedNetwork(network(codec.channels), codec.channels), codec
    model = UNet(
        codec.channels,
        width=config.width,
        depth=config.depth,
        norm=config.norm,
        dropout=config.dropout,
        attention=config.attention,
        skips=config.skips,
        bottleneck=config.bottleneck,
        residual=config.network == "resunet",
    )
    return model, codec


def load_run(run: Path, network: NetworkFactory | None = None) -> tuple[Config, Network, Codec]:
    """Load a run's network with its best weights, in evaluation mode on the CPU.

    Args:
        run: The run folder.
        network: The function that made the network, where ``train`` was given one.

    Raises:
        DataError: There is no such run, a file of it is damaged, its settings are not those that it was trained with,
            or ``network`` is missing or makes another network.
    """
    if not (run / CONFIG).is_file():
        cure = "give the folder of a run" if run.exists() else f"make one with 'echoseg train --out {run}'"
        raise DataError(f"{run}: no run folder ({CONFIG} is missing); {cure}")
    config = load_config(run / CONFIG)
    if config.folds is not None and not (run / BEST).exists():
        raise DataError(
            f"{run}: the cross-validation is not finished; go on with 'echoseg train --resume --out {run}', or use the "
            f"run of one fold, such as {run / fold_name(1)}"
        )
    tensors, metadata = read_weights(run / BEST)
    check_settings(run, config, metadata.get("settings", {}))
    trained = metadata.get("network")
    if trained is not None and network is None:
        raise DataError(
            f"{run / BEST}: weights of the network {trained}, which is not part of echoseg; give the function that "
            "makes it, from Python: echoseg.load(run, network=...)"
        )
    model, codec = build(config, network)
    if (given := network_name(model)) != trained:
        raise DataError(f"{run / BEST}: weights of {_described(trained)}, but the network given is {_described(given)}")
    fill(model, tensors, run / BEST)
    return config, model.eval(), codec


def fold_name(number: int) -> str:
    """Name the folder of a fold's run in that of its cross-validation; the first fold has number 1."""
    return f"fold-{number}"


def fold_folders(run: Path, config: Config) -> list[Path]:
    """The run folders of the folds of a cross-validation; none for another run."""
    return [run / fold_name(number) for number in range(1, (config.folds or 0) + 1)]


def network_name(model: nn.Module) -> str | None:
    """Return the class name of a network from outside echoseg, or of such members of an ensemble; None for U-Nets."""
    if isinstance(model, Ensemble):
        return network_name(model.networks[0])
    return type(model.network).__qualname__ if isinstance(model, NormalizedNetwork) else None


def check_settings(run: Path, config: Config, trained: dict[str, Any]) -> list[str]:
    """Refuse a ``config.yaml`` that is not the one that a run was trained with.

    Args:
        run: The run folder.
        config: Settings as they stand there now.
        trained: ``Config.values`` at the time of the training, or some of them.

    Returns:
        A sentence for each setting that was edited where that is allowed.

    Raises:
        DataError: Another setting differs.
    """
    now = config.values()
    edits = {name: f"{name} is {now[name]}, was {old}" for name, old in trained.items() if now.get(name, old) != old}
    if fixed := edits.keys() - EDITABLE:
        raise DataError(f"{run / CONFIG}: {edits[min(fixed)]} when the run was trained; put that back")
    return [f"{run / CONFIG}: {edit} when the run's state was saved" for edit in edits.values()]


def save_weights(path: Path, model: nn.Module, config: Config | None = None) -> None:
    """Write a network's weights.

    Args:
        path: File to write.
        model: The network.
        config: The settings that it was trained with, where they are known; the ``EDITABLE`` ones, which name folders,
            are left out.
    """
    write_weights(path, Snapshot(model.state_dict()).on_cpu(), weights_metadata(model, config))


def weights_metadata(model: nn.Module, config: Config | None = None) -> dict[str, Any]:
    """Return what is written beside the weights of a network; see ``save_weights``."""
    settings = {name: value for name, value in config.values().items() if name not in EDITABLE} if config else {}
    name = network_name(model)
    return {"settings": settings} | ({} if name is None else {"network": name})


def write_weights(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
    """Write weights.

    Args:
        path: File to write.
        tensors: Weights by name, on the CPU. None share memory, which safetensors refuses.
        metadata: The result of ``weights_metadata``.
    """
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    content = {"sha256": _hash(tensors), **metadata}
    # One entry: safetensors writes several in any order.
    file = save(tensors, metadata={_METADATA: json.dumps(add_checksum(content))})
    replace_file(path, lambda temporary: temporary.write_bytes(file))


def load_weights(path: Path, model: nn.Module) -> None:
    """Read weights into a network.

    Args:
        path: File that ``save_weights`` wrote.
        model: The network.

    Raises:
        DataError: The file is missing, damaged, or of another network.
    """
    fill(model, read_weights(path)[0], path)


def read_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read weights by name, and the metadata that ``save_weights`` put beside them.

    Raises:
        DataError: The file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        values = verify_checksum(json.loads(metadata[_METADATA])) if _METADATA in metadata else metadata
        if values.get("sha256") != _hash(tensors):
            raise ValueError("its content is not what was written")
        return tensors, values
    except FileNotFoundError:
        cause = "was the run stopped in its first epoch?" if path.parent.is_dir() else "check the path of the run"
        raise DataError(f"{path}: no such checkpoint; {cause}") from None
    except (SafetensorError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(f"{path}: damaged ({_first_line(error)})") from error


def fill(model: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Set a network's weights.

    Args:
        model: The network.
        tensors: Weights by name.
        path: File that they come from, for the message.

    Raises:
        DataError: They are the weights of another network.
    """
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise DataError(f"{path}: weights of another network ({_first_line(error)})") from error


def save_state(run: Path, state: dict[str, Any]) -> None:
    """Write what resuming needs, and keep the state before it.

    Args:
        run: The run folder.
        state: Plain numbers, strings and tensors.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            file.write(content)
            file.write(_CHECKSUM + hashlib.sha256(content).hexdigest().encode())

    replace_file(run / STATE, write, keep=run / PREVIOUS_STATE)


def load_state(run: Path) -> tuple[dict[str, Any], str | None]:
    """Read what ``save_state`` wrote last, or, where that is damaged, what it wrote before.

    Returns:
        The state, and what is wrong with the last one, if something is.

    Raises:
        DataError: Neither can be read.
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
    raise DataError(f"{complaint}; nothing to resume from, train again with another --out")


def has_state(run: Path) -> bool:
    """Whether there is anything to resume from."""
    return (run / STATE).exists() or (run / PREVIOUS_STATE).exists()


def _read_state(path: Path) -> dict[str, Any]:
    whole = path.read_bytes()
    end = len(whole) - len(_CHECKSUM) - 64
    content, checksum = memoryview(whole)[: max(end, 0)], whole[max(end, 0) :]
    if end < 0 or checksum != _CHECKSUM + hashlib.sha256(content).hexdigest().encode():
        raise DataError(f"{path}: damaged (its content is not what was written)")
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load fails in many ways
        raise DataError(f"{path}: damaged ({_first_line(error)})") from error


def _described(network: str | None) -> str:
    return "echoseg's U-Net" if network is None else network


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _hash(tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().numpy().data)
    return digest.hexdigest()
