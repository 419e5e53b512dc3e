"""A network from another library on echoseg's targets: MONAI's residual U-Net learns the heatmaps of landmarks.

    pip install monai
    python examples/foreign_network.py foreign-network-example

Writes the folder named, which must not exist: synthetic echocardiograms and the run. Prints a line after each epoch,
and the Dice of the test split before and after the training.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from echoseg.phantom import write_phantom_store
from echoseg.training import checkpoint
from echoseg.training.config import Config
from echoseg.training.loop import train
from echoseg.training.validation import validate


def make_network(channels: int) -> nn.Module:
    """Maps (N, 1, H, W) float32 frames of mean 0 and standard deviation 1 to (N, channels, H, W) logits."""
    from monai.networks.nets import UNet

    return UNet(
        spatial_dims=2,
        in_channels=1,
        out_channels=channels,
        channels=(16, 32, 64, 128),
        strides=(2, 2, 2),
        num_res_units=2,
        norm="batch",
    )


def main(out: Path, *, patients: int = 100, **settings: Any) -> tuple[float, float] | None:
    try:
        import monai  # noqa: F401
    except ImportError:
        print("This example needs MONAI: pip install monai")
        return None
    store = write_phantom_store(out / "store", patients=patients)
    config = Config(**{"approach": "landmark", "size": store.size, "epochs": 10, **settings})
    config = train(config, store, out / "run", network=make_network, on_epoch=print)

    test = np.flatnonzero(config.splits(store.samples) == "test")
    torch.manual_seed(config.seed)
    untrained, codec = checkpoint.build(config, make_network)
    trained = checkpoint.load_run(out / "run", make_network)[1]
    before, after = (validate(model, codec, store, test, config, torch.device("cpu")) for model in (untrained, trained))
    print(f"foreground Dice of the test split: {before:.3f} before the training, {after:.3f} after it")
    return before, after


if __name__ == "__main__":
    main(Path(sys.argv[1]))
