"""The charts of the report page, as SVG in data URLs: sharp at any size, and part of the page itself."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

BLUE, AMBER, GREY = "#0072b2", "#e69f00", "#6b7280"  # distinguishable with colour blindness
_BINS = 50  # of Dice, from 0 to 1


def dice_bins(lowest: float) -> list[float]:
    """The edges of a histogram of Dice: at least ten bins, the last of which ends at 1."""
    first = min(math.floor(lowest * _BINS), _BINS - 10)
    return [number / _BINS for number in range(first, _BINS + 1)]


def dice_histogram(dice: pd.Series) -> str:
    """Draw a histogram of the Dice of images, with their mean.

    Args:
        dice: The foreground Dice of each image.

    Returns:
        The chart as a data URL.
    """
    figure, axis = _chart()
    axis.hist(dice, bins=dice_bins(dice.min()), color=BLUE, rwidth=0.92)
    axis.axvline(dice.mean(), color=AMBER, label=f"mean {dice.mean():.3f}")
    axis.set(xlabel="foreground Dice", ylabel="number of images")
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(frameon=False, loc="outside upper right")
    return _data_url(figure)


def landmark_boxes(errors: pd.DataFrame) -> str:
    """Draw a box plot of landmark errors: median, quartiles, and 5th and 95th percentile.

    Args:
        errors: The errors in pixels; a row an image, a column a landmark.

    Returns:
        The chart as a data URL.
    """
    figure, axis = _chart()
    lines = {"color": BLUE}
    axis.boxplot(
        errors.to_numpy(),
        positions=np.arange(errors.shape[1]),
        manage_ticks=False,
        whis=(5, 95),
        showfliers=False,
        boxprops=lines,
        whiskerprops=lines,
        capprops=lines,
        medianprops={"color": AMBER, "lw": 2},
    )
    step = 1 + errors.shape[1] // 20
    axis.set_xticks(np.arange(errors.shape[1])[::step])
    axis.set(xlabel="number of the landmark", ylabel="error, px", ylim=(0, None))
    return _data_url(figure)


def training_curves(log: pd.DataFrame) -> dict[str, dict[str, pd.Series]]:
    """Select the curves of a training.

    Args:
        log: The content of `log.csv`.

    Returns:
        For the loss and for the foreground Dice, the values after each epoch by the name of the split. Values that the
        log does not have are left out.
    """
    splits = {"training": "train", "validation": "val"}
    return {
        label: {
            split: log[column]
            for split, prefix in splits.items()
            if (column := f"{prefix}_{measure}") in log and log[column].notna().any()
        }
        for label, measure in {"loss": "loss", "foreground Dice": "dice"}.items()
    }


def draw_curves(axis: Axes, epochs: pd.Series, curves: dict[str, pd.Series], label: str) -> None:
    """Draw values by epoch.

    Args:
        axis: The axes to draw into.
        epochs: The epochs.
        curves: The values after each epoch, by the name of the split.
        label: What the values are.
    """
    marker = "o" if len(epochs) == 1 else ""  # a line needs two points
    for (split, values), (colour, style) in zip(curves.items(), ((BLUE, "-"), (AMBER, "--")), strict=False):
        axis.plot(epochs, values, color=colour, linestyle=style, marker=marker, label=split)
    axis.set(xlabel="epoch", ylabel=label)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    if label != "loss":
        axis.set_ylim(0, 1)
    if curves:
        axis.legend(frameon=False)


def curves_chart(epochs: pd.Series, curves: dict[str, pd.Series], label: str) -> str:
    """Draw values by epoch; see `draw_curves`.

    Returns:
        The chart as a data URL.
    """
    figure, axis = _chart()
    draw_curves(axis, epochs, curves, label)
    return _data_url(figure)


def calibration_curve(coverage: dict[str, dict[str, float]]) -> str:
    """Draw how often the truth lies in its predicted interval, against the level of the interval.

    Args:
        coverage: By quantity, the share of cases in the interval, by the level of the interval in percent.

    Returns:
        The chart as a data URL.
    """
    figure, axis = _chart()
    axis.plot([0, 100], [0, 100], color=GREY, lw=1, ls=":")
    for (name, shares), marker in zip(coverage.items(), "os^Dvx", strict=False):
        axis.plot(
            [float(level) for level in shares],
            [100 * share for share in shares.values()],
            marker,
            ls="-",
            lw=0.8,
            label={"ef": "EF"}.get(name, name),
        )
    axis.set(xlabel="level of the interval, %", ylabel="truth in the interval, %", xlim=(40, 100), ylim=(0, 100))
    axis.legend(frameon=False, loc="lower right")
    return _data_url(figure)


def png_data_url(path: Path) -> str:
    """The content of a PNG file as a data URL."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _chart() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.2, 2.8), layout="constrained")
    axis = figure.subplots()
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis


def _data_url(figure: Figure) -> str:
    FigureCanvasSVG(figure)
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "echoseg"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
