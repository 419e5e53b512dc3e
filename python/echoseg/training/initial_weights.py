"""Starts a training from the weights of another run."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from echoseg.errors import DataError
from echoseg.models.weights import weights_folder
from echoseg.training.checkpoint import BEST, fold_name, read_weights
from echoseg.training.config import SHIPPED

_HEAD = "head."
"""The prefix of the last layer's weights, whose number of channels is that of the landmarks."""


def load_initial_weights(model: nn.Module, init: str, approach: str) -> None:
    """Copy the weights of a run into a network. A last layer with another number of channels keeps its own.

    Args:
        model: The network.
        init: "shipped" for the network that ships with echoseg, or a run folder.
        approach: The approach, "mask" or "landmark".

    Raises:
        DataError: There is no such run, it is a cross-validation, or its network has other layers.
    """
    path = (weights_folder(approach) if init == SHIPPED else Path(init)) / BEST
    (given, metadata), own = read_weights(path), model.state_dict()
    if metadata.get("settings", {}).get("folds") is not None:
        raise DataError(
            f"init {init}: is a cross-validation; give the run of one fold, such as {path.parent / fold_name(1)}"
        )
    for name in sorted(given.keys() | own.keys()):
        shapes = [_shape(tensors.get(name)) for tensors in (given, own)]
        if shapes[0] == shapes[1]:
            own[name].copy_(given[name])
        elif not name.startswith(_HEAD):
            raise DataError(
                f"init {init}: {path} is of another network ({name} is {shapes[0]}, needed {shapes[1]}); give width, "
                "depth, norm and network as that run has them, or init none"
            )


def _shape(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else f"({', '.join(map(str, tensor.shape))})"
