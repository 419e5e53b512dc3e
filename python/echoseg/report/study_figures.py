"""Figures of studies: learning curve, and histograms of Dice by approach."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

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
    figure = Figure(figsize=(4.2 * len(groups), 3.2), layout="constrained")
    axes = figure.subplots(1, len(groups), sharex=True, squeeze=False)[0]
    edges = np.arange(np.floor(table["dice"].min() / 0.02) * 0.02, 1.02, 0.02)
    for axis, (name, scores) in zip(axes, groups, strict=True):
        axis.hist(scores, bins=edges.tolist(), color="C0", edgecolor="white", linewidth=0.5)
        axis.axvline(scores.mean(), color="C1", label=f"mean {scores.mean():.4f}")
        axis.set(title=name, xlabel="foreground Dice", ylabel="number of images")
        axis.legend(frameon=False, loc="upper left")
    save_figure(figure, path)
