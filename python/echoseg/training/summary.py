"""A table of a network's layers: output shapes, parameters and multiply-adds."""

from __future__ import annotations

import pandas as pd
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from echoseg.models.ensemble import Ensemble


def summarise_network(model: nn.Module, size: tuple[int, int]) -> pd.DataFrame:
    """List the layers of a network in the order in which they are computed for one frame.

    Args:
        model: Maps (N, H, W) frames to logits, such as a `UNet`; of an `Ensemble`, the first network is taken. It is
            left in evaluation mode.
        size: (H, W) of the frame.

    Returns:
        A table with a row for each layer: name, kind (the class in torch), shape (the output's, without the batch),
        parameters, and multiply_adds of convolutions and matrix products, counted by torch. A layer that is used
        several times has several rows; its parameters stand in the first.
    """
    if isinstance(model, Ensemble):
        model = model.networks[0]
    rows: list[dict] = []
    counted: set[str] = set()
    names = {module: name for name, module in model.named_modules()}

    def note(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        before = sum(row["multiply_adds"] for row in rows)
        name = names[layer]
        parameters = 0 if name in counted else sum(parameter.numel() for parameter in layer.parameters())
        counted.add(name)
        rows.append(
            {
                "name": name,
                "kind": type(layer).__name__,
                "shape": tuple(output.shape[1:]),
                "parameters": parameters,
                "multiply_adds": counter.get_total_flops() // 2 - before,
            }
        )

    hooks = [layer.register_forward_hook(note) for layer in model.modules() if not list(layer.children())]
    device = next(model.parameters()).device
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model.eval()(torch.zeros((1, *size), dtype=torch.uint8, device=device))
    for hook in hooks:
        hook.remove()
    return pd.DataFrame(rows)
