"""The figures of a paper as PDF files, with text that stays text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from echoseg.evaluation.ejection import reference_values
from echoseg.manuscript.facts import SPLIT_TITLES, RunFacts
from echoseg.manuscript.measures import minus
from echoseg.metrics.agreement import agreement
from echoseg.report.charts import AMBER, BLUE, GREY, dice_bins, draw_curves, training_curves
from echoseg.report.run_summary import PRIVATE_DATA
from echoseg.utils.words import counted

_PHASES = {"ED": (BLUE, "-"), "ES": (AMBER, "--")}
_AXES = {"ef": ("EF", "%", "percentage points"), "edv": ("EDV", "ml", "ml"), "esv": ("ESV", "ml", "ml")}
"""Quantity → its name, its unit, and the unit of a difference."""
_REASONS = 8  # in the flow chart
_ARROW = {"arrowstyle": "-|>", "color": "black", "lw": 0.8, "shrinkA": 0, "shrinkB": 0}


def dice_figure(images: pd.DataFrame, path: Path) -> None:
    """Draw the distribution of the Dice of images: a histogram, and the share of images below each Dice, by phase.

    Args:
        images: The table of images of a split.
        path: The PDF file to write.
    """
    figure = Figure(figsize=(6.8, 2.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    scores = images["dice"].dropna()
    edges = dice_bins(scores.min())
    left.hist(scores, bins=edges, color=BLUE, edgecolor="white", lw=0.5)
    left.axvline(scores.mean(), color=AMBER, label=f"mean {scores.mean():.3f}")
    left.axvline(scores.median(), color=GREY, ls="--", label=f"median {scores.median():.3f}")
    left.set(xlabel="foreground Dice", ylabel="number of images")
    left.yaxis.set_major_locator(MaxNLocator(integer=True))
    left.legend(frameon=False, loc="upper left")
    parts = {phase: images.loc[images["phase"] == phase, "dice"] for phase in _PHASES} if "phase" in images else {}
    parts = {phase: part for phase, part in parts.items() if len(part)} or {"all images": scores}
    for phase, part in parts.items():
        colour, style = _PHASES.get(phase, (BLUE, "-"))
        right.ecdf(part, color=colour, ls=style, label=f"{phase} (n = {len(part)})")
    right.set(xlabel="foreground Dice", ylabel="cumulative share of images", xlim=(edges[0], 1), ylim=(0, 1))
    right.legend(frameon=False, loc="upper left")
    _save(figure, path)


def bland_altman_pdf(table: pd.DataFrame, path: Path) -> bool:
    """Draw Bland–Altman plots of EF, EDV and ESV, predicted minus reference, with bias and limits of agreement.

    Args:
        table: A table of volumes of `evaluation.ejection`. Volumes without a spacing are left out.
        path: The PDF file to write.

    Returns:
        Whether there was anything to draw.
    """
    panels = {}
    for quantity in _AXES:
        rows = table if quantity == "ef" else table[table["unit"] == "ml"]
        columns = rows[quantity], reference_values(rows, quantity)
        measured, reference = (column.to_numpy(np.float64) for column in columns)
        both = np.isfinite(measured) & np.isfinite(reference)
        if both.sum() > 1:
            panels[quantity] = measured[both], reference[both], rows["patient"].to_numpy()[both]
    if not panels:
        return False
    figure = Figure(figsize=(3.4 * len(panels), 3.0), layout="constrained")
    for axis, (quantity, (measured, reference, patients)) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        name, unit, unit_of_difference = _AXES[quantity]
        axis.scatter((measured + reference) / 2, measured - reference, s=10, color="black", alpha=0.5, linewidths=0)
        _draw_limits(axis, agreement(measured, reference, patients))
        axis.set(xlabel=f"mean of {name} and reference, {unit}", ylabel=f"difference, {unit_of_difference}")
        axis.set_title(f"{name}, n = {len(measured)}", fontsize=9)
    _save(figure, path)
    return True


def _draw_limits(axis: Axes, entry: dict) -> None:
    """Draw bias and limits as lines with their values, and the intervals that are known as bands."""
    lines = {"bias": [entry["bias"]], "limits": entry["limits"]}
    intervals = {"bias": [entry["ci95"]["bias"]], "limits": entry["limits_ci95"] or [None, None]}
    for name, values in lines.items():
        for value, interval in zip(values, intervals[name], strict=True):
            axis.axhline(value, color=BLUE, ls="-" if name == "bias" else "--", lw=1)
            if interval is not None:
                axis.axhspan(*interval, color=BLUE, alpha=0.12, lw=0)
            axis.annotate(minus(f"{value:+.1f}"), (1, value), (-2, 2), xycoords=axis.get_yaxis_transform(),
                          textcoords="offset points", ha="right", fontsize=7, color=BLUE)  # fmt: skip


def curves_pdf(log: pd.DataFrame, path: Path) -> bool:
    """Draw loss and foreground Dice by epoch; see `bland_altman_pdf`."""
    curves = {label: lines for label, lines in training_curves(log).items() if lines}
    if not curves:
        return False
    figure = Figure(figsize=(3.4 * len(curves), 2.6), layout="constrained")
    for axis, (label, lines) in zip(figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True):
        draw_curves(axis, log["epoch"], lines, label)
    _save(figure, path)
    return True


def flow_pdf(facts: RunFacts, path: Path) -> bool:
    """Draw the flow of the data: what the data set holds, what was left out and why, and the splits.

    Returns:
        Whether the counts are known.
    """
    boxes, left_out = flow_boxes(facts)
    if not boxes:
        return False
    figure = Figure(figsize=(6.8, 3.6))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, 1), ylim=(0, 1))
    axis.set_axis_off()
    style: dict[str, Any] = {
        "ha": "center",
        "va": "center",
        "fontsize": 8,
        "bbox": {"boxstyle": "square,pad=0.6", "fc": "white"},
    }
    top, used, *splits = boxes
    centre = 0.35 if left_out else 0.5
    first, second = axis.text(centre, 0.88, top, **style), axis.text(centre, 0.48, used, **style)
    _connect(axis, first, second)
    if left_out:
        axis.annotate("", (0.62, 0.68), (centre, 0.68), arrowprops=_ARROW)
        axis.text(0.64, 0.68, left_out, **{**style, "ha": "left"})
    for x, text in zip((np.arange(len(splits)) + 0.5) / len(splits), splits, strict=True):
        _connect(axis, second, axis.text(float(x), 0.12, text, **style))
    _save(figure, path)
    return True


def flow_boxes(facts: RunFacts) -> tuple[list[str], str]:
    """The texts of the flow chart: the data set, what is used, and each split; and what was left out."""
    counts = facts.counts
    if not len(counts):
        return [], ""
    parts = [counted(number, name) for name, number in _contents(facts)]
    top = "\n".join(["data set" if facts.run.data == PRIVATE_DATA else facts.run.data, *parts])
    images = int(counts["images"].sum())
    used = f"used: {counted(images, 'traced image')}\nof {counted(facts.data['used_patients'], 'patient')}"
    splits = [
        f"{SPLIT_TITLES[split]}\n{counted(row.patients, 'patient')}\n{counted(row.images, 'image')}"
        for split in SPLIT_TITLES
        if split in counts.index
        for row in [counts.loc[split]]
    ]
    if facts.run.config.folds is not None:
        splits = [f"cross-validation, {facts.run.config.folds} folds:\neach patient is tested once"]
    reasons = [f"{number} × {reason}" for reason, number in facts.left_out.items()]
    more = [f"and {len(reasons) - _REASONS} other reasons"] if len(reasons) > _REASONS else []
    left_out = "\n".join([f"left out: {sum(facts.left_out.values())}", *reasons[:_REASONS], *more]) if reasons else ""
    return [top, used, *splits], left_out


def _contents(facts: RunFacts) -> Sequence[tuple[str, int]]:
    data = facts.data
    if "files" in data:
        return [("patient", data["patients"]), ("file", data["files"]), ("traced frame", data["traced"])]
    return [("traced image", int(facts.counts["images"].sum()))]


def _connect(axis: Axes, start: Text, end: Text) -> None:
    """Draw an arrow from box to box."""
    boxes = {"patchA": start.get_bbox_patch(), "patchB": end.get_bbox_patch()}
    axis.annotate("", end.get_position(), start.get_position(), arrowprops={**_ARROW, **boxes})


def _save(figure: Figure, path: Path) -> None:
    """Write a PDF file that is the same for the same content."""
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    FigureCanvasPdf(figure)
    with mpl.rc_context({"pdf.fonttype": 42}):
        figure.savefig(path, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
