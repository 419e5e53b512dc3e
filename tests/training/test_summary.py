"""The table of a network's layers."""

from __future__ import annotations

import pytest
import torch

from echoseg.models.unet import UNet
from echoseg.training.summary import summarise_network


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("attention", [False, True])
def test_totals_by_hand(residual, attention):
    """Against the parameters of torch, and multiply-adds from the shapes of the weights."""
    model = UNet(3, width=4, depth=2, attention=attention, residual=residual)
    layers = summarise_network(model, (16, 32))
    assert layers["parameters"].sum() == sum(parameter.numel() for parameter in model.parameters())
    assert layers["shape"].iloc[-1] == (3, 16, 32)
    assert not layers["name"].duplicated(keep=False)[layers["kind"] != "MaxPool2d"].any()
    weights = dict(model.named_parameters())
    for layer in layers.itertuples():
        expected = 0
        if "Conv" in layer.kind:
            weight, (_, height, width) = weights[f"{layer.name}.weight"], layer.shape
            per_pixel = weight.numel() / (4 if layer.kind == "ConvTranspose2d" else 1)  # stride 2: one of 2×2 weights
            expected = per_pixel * height * width
        assert layer.multiply_adds == expected, layer


def test_the_size_counts():
    small, large = (summarise_network(UNet(1, width=4, depth=2), size) for size in ((16, 16), (32, 32)))
    assert large["multiply_adds"].sum() == 4 * small["multiply_adds"].sum()
    assert small["parameters"].equals(large["parameters"])


def test_hooks_are_removed():
    model = UNet(1, width=4, depth=2)
    summarise_network(model, (16, 16))
    assert not any(layer._forward_hooks for layer in model.modules())
    assert not model.training
    assert torch.isfinite(model(torch.zeros(1, 16, 16))).all()
