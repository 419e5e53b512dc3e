"""A drawing of a run's network."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from echoseg.report.figures import save_figure
from echoseg.training.config import Config

_NAMES = {"unet": "U-Net", "resunet": "ResU-Net"}
_BLOCKS = {"unet": "two convolutions", "resunet": "residual block"}
_COLOURS = {"frame": "#6b7280", "down": "#0072b2", "pool": "#56b4e9", "join": "#e69f00", "head": "#009e73"}
Place = tuple[float, float]


def architecture_figure(layers: pd.DataFrame, config: Config, path: Path) -> None:
    """Draw the levels of a U-Net with the channels and the size of each, its skip connections and its totals.

    The height of a block stands for the size of its feature maps, the width for their number, both on a log scale.

    Args:
        layers: The result of `training.summary.summarise_network`.
        config: The settings of the run.
        path: The PNG file to write.
    """
    stage = layers["name"].str.extract(r"^(?P<part>[a-z]+)\.?(?P<number>\d*)")
    shapes = layers["shape"].groupby([stage["part"], stage["number"]]).last()
    depth = config.depth
    figure = Figure(figsize=(1.1 * (2 * depth + 3), 1.05 * (depth + 1.9)), layout="constrained")
    axis = figure.subplots()
    places: dict[str, Place] = {"frame": (-1, 0), "head": (2 * depth + 1, 0)}
    _draw_block(axis, places["frame"], (1, *config.size), "frame")
    for level in range(depth + config.bottleneck):
        places[f"down{level}"] = level, -level
        _draw_block(axis, (level, -level), shapes["down", str(level)], "down")
    if not config.bottleneck:
        places[f"down{depth}"] = depth, -depth
        _draw_block(axis, (depth, -depth), layers.loc[layers["name"] == "pool", "shape"].iloc[-1], "pool")
    for level in range(depth):
        places[f"join{level}"] = 2 * depth - level, -level
        _draw_block(axis, (2 * depth - level, -level), shapes["join", str(depth - 1 - level)], "join")
    _draw_block(axis, places["head"], shapes["head", ""], "head")

    steps = ["frame", *(f"down{level}" for level in range(depth + 1))]
    steps += [*(f"join{level}" for level in reversed(range(depth))), "head"]
    for start, end in itertools.pairwise(steps):
        _draw_arrow(axis, places[start], places[end])
    for level in range(depth) if config.skips else ():
        _draw_arrow(axis, places[f"down{level}"], places[f"join{level}"], style="--")
        if config.attention:
            axis.text(depth, -level, "attention gate", ha="center", va="bottom", fontsize=7)
    block = _BLOCKS[config.network]
    meanings = {
        "down": f"{block}; 2×2 pooling between levels",
        "join": f"transposed convolution, {block}",
        "head": "1×1 convolution",
    }
    for part, meaning in meanings.items():
        axis.plot([], [], "s", color=_COLOURS[part], label=meaning)
    axis.plot([], [], "--", color="black", lw=0.8, label="skip connection") if config.skips else None
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    parameters, multiply_adds = layers["parameters"].sum() / 1e6, layers["multiply_adds"].sum() / 1e9
    axis.set_title(
        f"{_NAMES[config.network]} for {config.approach}s: {parameters:.2f} million parameters, {multiply_adds:.2f}"
        " billion multiply-adds per frame",
        fontsize=10,
    )
    axis.set(xlim=(-1.6, 2 * depth + 1.6), ylim=(-depth - 0.75, 0.75))
    axis.set_axis_off()
    save_figure(figure, path)


def _draw_block(axis: Axes, place: Place, shape: tuple[int, int, int], part: str) -> None:
    channels, height, width = shape
    sides = 0.08 + 0.04 * math.log2(channels), 0.12 + 0.06 * math.log2(max(height, width))
    corner = place[0] - sides[0] / 2, place[1] - sides[1] / 2
    axis.add_patch(Rectangle(corner, *sides, facecolor=_COLOURS[part], edgecolor="none", zorder=2))
    axis.text(place[0], place[1] + sides[1] / 2 + 0.03, f"{channels}", ha="center", va="bottom", fontsize=8)
    axis.text(place[0], corner[1] - 0.03, f"{height}×{width}", ha="center", va="top", fontsize=7, color="#4b5563")


def _draw_arrow(axis: Axes, start: Place, end: Place, style: str = "-") -> None:
    properties = {"arrowstyle": "->", "lw": 0.8, "ls": style, "shrinkA": 16, "shrinkB": 16, "color": "black"}
    axis.annotate("", end, start, arrowprops=properties, zorder=1)
