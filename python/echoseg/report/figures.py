"""Figures of a run, as PNG, drawn with matplotlib's object interface, which needs no display and no global state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from echoseg.evaluation.ejection import reference_ef
from echoseg.evaluation.evaluate import Evaluation
from echoseg.inference.predictor import Predictor
from echoseg.metrics.agreement import agreement
from echoseg.report.charts import draw_curves, training_curves
from echoseg.report.overlay import PREDICTED, TRUE, draw_overlay
from echoseg.utils.files import replace_file


def curves_figure(log: pd.DataFrame, path: Path) -> None:
    """Draw loss and foreground Dice by epoch, of the training and of the validation images.

    Args:
        log: The content of `log.csv`; columns that are missing or empty are left out.
        path: The PNG file to write.
    """
    figure = Figure(figsize=(8, 3), layout="constrained")
    for axis, (label, curves) in zip(figure.subplots(1, 2), training_curves(log).items(), strict=True):
        draw_curves(axis, log["epoch"], curves, label)
    save_figure(figure, path)


def overlay_figure(evaluation: Evaluation, frames: np.ndarray, true_contours: Sequence[np.ndarray], path: Path) -> None:
    """Draw the best, median and worst images of a split, four each, with predicted and true contours.

    Fewer than twelve images are all drawn, the best one first.

    The number of a case is its row in `images_SPLIT.csv`, so that the figure shows no name.

    Args:
        evaluation: The evaluation of the split.
        frames: The frames that were evaluated, (N, H, W) uint8.
        true_contours: Their true contours, N arrays (P, 2) float32, pixels.
        path: The PNG file to write.
    """
    scores = evaluation.images["dice"].to_numpy()
    order = np.argsort(-scores, kind="stable")
    columns = min(4, len(order))
    middle = (len(order) - columns) // 2
    if len(order) < 3 * columns or columns < 4:
        rows = [("", order[start : start + columns]) for start in range(0, len(order), columns)]
    else:
        starts = {"best: ": 0, "median: ": middle, "worst: ": len(order) - columns}
        rows = [(title, order[start : start + columns]) for title, start in starts.items()]

    figure = Figure(figsize=(2.3 * columns, 0.4 + 2.4 * len(rows)), layout="constrained")
    landmarks = evaluation.prediction.landmarks
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for row, (title, chosen) in zip(axes, rows, strict=True):
        for axis, i in zip(row, chosen, strict=False):
            image = draw_overlay(
                frames[i],
                predicted=evaluation.prediction.contours[i],
                true=true_contours[i],
                landmarks=None if landmarks is None else landmarks[i],
            )
            axis.imshow(image)
            axis.set_title(f"{title}case {i + 1}\nDice {scores[i]:.3f}", fontsize=9)
    for label, colour in (("true", TRUE), ("predicted", PREDICTED)):
        axes[0, 0].plot([], [], color=np.array(colour) / 255, label=label)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    save_figure(figure, path)


def bland_altman_figure(table: pd.DataFrame, path: Path) -> None:
    """Draw Bland–Altman plots of the EF, predicted and from the tracings, with bias and limits of agreement.

    Nothing is written if no EF has a reference.

    Args:
        table: A table of volumes from `evaluation.ejection`.
        path: The PNG file to write.
    """
    pairs = {
        "predicted": (table["ef"], reference_ef(table)),
        "from the tracings": (table["true_ef"], table["listed_ef"]),
    }
    panels = {
        name: (measured, reference, agreement(measured.to_numpy(), reference.to_numpy(), table["patient"].to_numpy()))
        for name, (measured, reference) in pairs.items()
    }
    panels = {name: panel for name, panel in panels.items() if panel[2]["videos"]}
    if not panels:
        return
    figure = Figure(figsize=(4.6 * len(panels), 4.2), layout="constrained")
    for axis, (name, (measured, reference, statistics)) in zip(
        figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0], panels.items(), strict=True
    ):
        axis.scatter((measured + reference) / 2, measured - reference, s=14, color="black", alpha=0.5, linewidths=0)
        axis.axhline(statistics["bias"], color="C0")
        text = f"{name}: {statistics['videos']} videos, bias {statistics['bias']:+.1f}"
        if statistics["limits"]:
            text += "\nlimits of agreement {:+.1f} to {:+.1f}".format(*statistics["limits"])
            for limit in statistics["limits"]:
                axis.axhline(limit, color="C0", linestyle="--")
        axis.set_title(text, fontsize=9)
        axis.set(xlabel="mean of EF and reference, %", ylabel="EF minus reference, percentage points")
        axis.label_outer()
        axis.grid(alpha=0.3)
    save_figure(figure, path)


def attention_figure(evaluation: Evaluation, frames: np.ndarray, predictor: Predictor, path: Path) -> None:
    """Draw the attention coefficients of each gate for the best, the median and the worst image of a split.

    Args:
        evaluation: The evaluation of the split.
        frames: The frames that were evaluated, (N, H, W) uint8, of the network's size.
        predictor: The predictor that was evaluated; its network has attention gates.
        path: The PNG file to write.
    """
    scores = evaluation.images["dice"].to_numpy()
    order = np.argsort(-scores, kind="stable")
    picks = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    chosen = frames[list(picks.values())]
    maps = predictor.attention(chosen)
    height, width = frames.shape[1:]
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)

    figure = Figure(figsize=(2.3 * (1 + len(maps)) + 0.6, 7.6), layout="constrained")
    axes = figure.subplots(len(picks), 1 + len(maps))
    for row, (name, i), frame, *gates in zip(axes, picks.items(), chosen, *maps, strict=True):
        for axis in row:
            axis.imshow(frame, cmap="gray", vmin=0, vmax=255, extent=extent)
            axis.set_axis_off()
        row[0].set_title(f"{name}: case {i + 1}\nDice {scores[i]:.3f}", fontsize=9)
        for axis, gate in zip(row[1:], gates, strict=True):
            coefficients = axis.imshow(gate, cmap="viridis", vmin=0, vmax=1, alpha=0.6, extent=extent)
            axis.set_title(f"gate at {gate.shape[1]}×{gate.shape[0]}\n{gate.min():.2f} to {gate.max():.2f}", fontsize=7)
    figure.colorbar(coefficients, ax=axes, shrink=0.5, label="attention coefficient")
    save_figure(figure, path)


def orderings_figure(frame: np.ndarray, masks: dict[str, np.ndarray], scores: dict[str, float], path: Path) -> None:
    """Draw the masks that the contour orderings give for one tracing.

    Args:
        frame: The traced frame, (H, W) uint8.
        masks: By the name of the ordering, the mask, (H, W) uint8.
        scores: By the name of the ordering, the mean Dice over the data set.
        path: The PNG file to write.
    """
    figure = Figure(figsize=(2.3 * len(masks), 2.8), layout="constrained")
    for axis, (name, mask) in zip(figure.subplots(1, len(masks)), masks.items(), strict=True):
        axis.imshow(frame, cmap="gray", vmin=0, vmax=255)
        axis.contour(mask, levels=[0.5], colors=[np.array(PREDICTED) / 255], linewidths=1.2)
        axis.set_axis_off()
        axis.set_title(f"{name}\nDice {scores[name]:.3f}", fontsize=9)
    save_figure(figure, path)


def ceiling_figure(table: pd.DataFrame, path: Path) -> None:
    """Draw Dice, HD95 and area error of masks that are computed from the true landmarks, by their number.

    The colour of a line stands for the scheme of the landmarks, its style for the way to join them.

    Args:
        table: The result of `evaluation.ceiling.landmark_ceiling`.
        path: The PNG file to write.
    """
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    metrics = {"dice": "foreground Dice", "hd95_px": "HD95, px", "area_error_percent": "area error, %"}
    colours = {scheme: f"C{i}" for i, scheme in enumerate(table["scheme"].unique())}
    styles = dict(zip(table["outline"].unique(), (("s", ":"), ("o", "-"), ("^", "--")), strict=False))
    for axis, (metric, label) in zip(figure.subplots(1, 3), metrics.items(), strict=True):
        for (scheme, outline), line in table.groupby(["scheme", "outline"], sort=False):
            marker, style = styles[outline]
            appearance = {"linestyle": style, "color": colours[scheme], "marker": marker if len(line) == 1 else ""}
            axis.plot(line["landmarks"], line[metric], fillstyle="none", label=f"{scheme}, {outline}", **appearance)
        axis.set(xlabel="number of landmarks", ylabel=label)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
    axes = figure.axes
    axes[0].set_ylim(0.85, 1)
    for axis in axes[1:]:
        axis.set_ylim(0, 10)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    save_figure(figure, path)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG file."""
    FigureCanvasAgg(figure)
    replace_file(path, lambda temporary: figure.savefig(temporary, format="png", dpi=110))
