"""A network from another library on echoseg's targets: MONAI's residual U-Net learns the heatmaps of landmarks.

    pip install monai
    python examples/foreign_network.py foreign-network-example

Writes the folder named, which must not exist: synthetic echocardiograms and the run. Prints a line after each epoch,
and the Dice of the test split.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from torch import nn

import echoseg
from echoseg.phantom import write_phantom


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


def main(out: Path, *, videos: int = 100, **settings: Any) -> None:
    try:
        import monai  # noqa: F401
    except ImportError:
        print("This example needs MONAI: pip install monai")
        return
    data = write_phantom(out / "data", videos=videos)
    settings = {"epochs": 10, **settings}
    run = echoseg.train(data, out=out / "run", network=make_network, on_epoch=print, **settings)
    print(f"foreground Dice of the test split: {run.metrics['test']['dice']:.3f}")

    clip = echoseg.read_clip(next((data / "Videos").iterdir()))
    prediction = echoseg.load(run, network=make_network)(clip)
    print(f"areas in a video: {prediction.areas.min():.0f} to {prediction.areas.max():.0f} square pixels")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
