"""Figures of studies: learning curve, and histograms of Dice by approach."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from echoseg.report.charts import dice_bins
from echoseg.report.figures import save_figure


def learning_curve_figure(table: pd.DataFrame, path: Path) -> None:
    """Draw the test Dice over the number of training images: a point for each training, and the mean over the seeds.

    Args:
        table: The result of `evaluation.learning_curve.learning_curve`.
        path: The PNG file to write.
    """
    figure = Figure(figsize=(5, 3.6), layout="constrained")
    axis = figure.subplots()
    means = table.groupby("images")["dice"].mean()
    axis.plot(table["images"], table["dice"], "o", ms=4, color="C0", alpha=0.5, label="one training")
    axis.plot(means.index, means, color="black", label="mean over seeds")
    axis.set_xscale("log")
    axis.set_xticks(means.index, [str(count) for count in means.index])
    axis.minorticks_off()
    axis.set(xlabel="number of training images", ylabel="foreground Dice, test split")
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
    save_figure(figure, path)


def dice_histograms_figure(table: pd.DataFrame, path: Path) -> None:
    """Draw a histogram of the Dice of images for each approach, with their mean.

    Args:
        table: A row per image: approach and dice.
        path: The PNG file to write.
    """
    groups = list(table.groupby("approach", sort=False)["dice"])
    columns = min(2, len(groups))
    rows = -(-len(groups) // columns)
    figure = Figure(figsize=(4.2 * columns, 2.7 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, squeeze=False)
    edges = dice_bins(table["dice"].min())
    for axis in axes.flat[len(groups) :]:
        axis.set_axis_off()
    for axis, (name, scores) in zip(axes.flat, groups, strict=False):
        axis.hist(scores, bins=edges, color="C0", edgecolor="white", linewidth=0.5)
        axis.axvline(scores.mean(), color="C1")
        axis.set_title(f"{name}: mean {scores.mean():.4f}", fontsize=10)
        axis.set(xlabel="foreground Dice", ylabel="number of images")
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    save_figure(figure, path)
