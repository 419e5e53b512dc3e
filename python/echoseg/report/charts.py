"""The page's charts, as SVG in data addresses: sharp on paper, and each with its own names inside."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

BLUE, AMBER, GREY = "#0072b2", "#e69f00", "#6b7280"  # told apart by colour-blind eyes
_BIN = 0.02  # of Dice


def dice_histogram(dice: pd.Series) -> str:
    """How many images have which Dice, and the mean."""
    figure, axis = _chart()
    low = np.floor(dice.min() / _BIN) * _BIN
    axis.hist(
        dice, bins=np.arange(min(low, 1 - 10 * _BIN), 1 + _BIN, _BIN).tolist(), color=BLUE, edgecolor="white", lw=0.5
    )
    axis.axvline(dice.mean(), color=AMBER, label=f"mean {dice.mean():.3f}")
    axis.set(xlabel="foreground Dice", ylabel="images")
    axis.legend(frameon=False, loc="upper left")
    return _address(figure)


def landmark_boxes(errors: pd.DataFrame) -> str:
    """Median, quartiles, and 5 and 95% of each landmark's error: a column a landmark, pixels."""
    figure, axis = _chart()
    looks = {"color": BLUE}
    axis.boxplot(
        errors.to_numpy(),
        positions=np.arange(errors.shape[1]),
        manage_ticks=False,
        whis=(5, 95),
        showfliers=False,
        boxprops=looks,
        whiskerprops=looks,
        capprops=looks,
        medianprops={"color": AMBER, "lw": 2},
    )
    every = 1 + errors.shape[1] // 20
    axis.set_xticks(np.arange(errors.shape[1])[::every])
    axis.set(xlabel="landmark", ylabel="error, px", ylim=(0, None))
    return _address(figure)


def curve(epochs: pd.Series, values: pd.Series, label: str) -> str:
    """What became of something from epoch to epoch."""
    figure, axis = _chart()
    axis.plot(epochs, values, color=BLUE)
    axis.set(xlabel="epoch", ylabel=label)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _address(figure)


def calibration(shares: dict[str, dict[str, float]]) -> str:
    """How often the truth lay in its interval, over how often it should.

    Args:
        shares: by what is predicted, share by level in percent.
    """
    figure, axis = _chart()
    axis.plot([0, 100], [0, 100], color=GREY, lw=1, ls=":")
    for (name, of), marker in zip(shares.items(), "os^Dvx", strict=False):
        axis.plot(
            [float(level) for level in of],
            [100 * share for share in of.values()],
            marker,
            ls="-",
            lw=0.8,
            label={"ef": "EF"}.get(name, name),
        )
    axis.set(xlabel="interval, %", ylabel="truth inside, %", xlim=(40, 100), ylim=(0, 100))
    axis.legend(frameon=False, loc="lower right")
    return _address(figure)


def png_address(path: Path) -> str:
    """A PNG file as data address."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _chart() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.2, 2.8), layout="constrained")
    axis = figure.subplots()
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis


def _address(figure: Figure) -> str:
    FigureCanvasSVG(figure)
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "echoseg"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
