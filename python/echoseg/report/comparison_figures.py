"""Figures and films of a comparison of methods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from echoseg.datasets.clips import read_recording
from echoseg.errors import DataError
from echoseg.evaluation.comparison import Comparison
from echoseg.evaluation.comparison_cases import ComparedRun
from echoseg.inference.measure import measure
from echoseg.io.clip import Clip
from echoseg.io.reading import axis3_taken_for
from echoseg.report.charts import AMBER, BLUE, GREY
from echoseg.report.figures import save_figure
from echoseg.report.film import film, frame_rate
from echoseg.report.overlay import LANDMARK, PREDICTED, TRUE, draw_overlay, write_video

_SHOWN = 6  # images in a figure
_TITLE_HEIGHT = 28  # pixels, above a film


def differences_figure(comparison: Comparison, path: Path) -> None:
    """Draw the Dice of each image: by the reference and by each other method, and their sorted difference.

    Args:
        comparison: The comparison.
        path: The PNG file to write.
    """
    reference, *others = comparison.methods
    figure = Figure(figsize=(9.5, 3.9 * len(others)), layout="constrained")
    grid = figure.subplots(len(others), 2, squeeze=False, width_ratios=(1, 1.4))
    table = comparison.table[comparison.table["measure"] == "dice"].set_index("method")
    for (left, right), method in zip(grid, others, strict=True):
        first, second = (one.cases["dice"].to_numpy() for one in (reference, method))
        colours = np.where(second > first, BLUE, np.where(second < first, AMBER, GREY))
        _draw_pairs(left, first, second, colours)
        left.set(xlabel=f"Dice, {reference.name}", ylabel=f"Dice, {method.name}")
        order = np.argsort(second - first, kind="stable")
        right.bar(np.arange(1, len(order) + 1), (second - first)[order], width=1.0, color=colours[order])
        row = table.loc[method.name]
        right.axhspan(row["difference_low"], row["difference_high"], color=GREY, alpha=0.3, linewidth=0)
        right.axhline(row["difference"], color="black", linewidth=1)
        right.set(xlabel="image, sorted", ylabel=f"Dice, {method.name} − {reference.name}")
        right.set_title(
            f"{method.name} better in {row['better']:.0f}, worse in {row['worse']:.0f} of {row['cases']} images\n"
            f"mean {row['difference']:+.4f} ({row['difference_low']:+.4f} to {row['difference_high']:+.4f})",
            fontsize=9,
        )
        right.grid(alpha=0.3)
    save_figure(figure, path)


def _draw_pairs(axis: Axes, first: np.ndarray, second: np.ndarray, colours: np.ndarray) -> None:
    lowest = min(first.min(), second.min())
    margin = 0.03 * (1 - lowest) + 1e-3
    limits = (lowest - margin, 1 + margin)
    axis.plot(limits, limits, color=GREY, linewidth=1)
    axis.scatter(first, second, s=14, c=list(colours), alpha=0.7, linewidths=0)
    axis.set(xlim=limits, ylim=limits, aspect="equal")
    axis.grid(alpha=0.3)


def disagreements_figure(comparison: Comparison, path: Path) -> None:
    """Draw the images in which the Dice of the methods differs most, a row for each method.

    The number of a case is that in `cases.csv`, so that the figure shows no name.

    Args:
        comparison: The comparison.
        path: The PNG file to write.
    """
    cases, methods = comparison.cases, comparison.methods
    chosen = _disagreements(comparison)[:_SHOWN]
    figure = Figure(figsize=(2.3 * len(chosen), 2.75 * len(methods) + 0.5), layout="constrained")
    axes = figure.subplots(len(methods), len(chosen), squeeze=False)
    for row, method in zip(axes, methods, strict=True):
        for axis, case in zip(row, chosen, strict=True):
            index = cases.indices[case]
            predicted = cases.store.crop(index).points(method.contours[case])
            axis.imshow(
                draw_overlay(
                    np.asarray(cases.store.frames[index]), predicted=predicted, true=cases.store.contour(index)
                )
            )
            axis.set_axis_off()
            axis.set_title(f"{method.name}: case {case + 1}\nDice {method.cases['dice'][case]:.3f}", fontsize=9)
    for label, colour in (("true", TRUE), ("predicted", PREDICTED)):
        axes[0, 0].plot([], [], color=np.array(colour) / 255, label=label)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    save_figure(figure, path)


def write_films(comparison: Comparison, runs: Sequence[ComparedRun], folder: Path, *, count: int) -> None:
    """Write films of whole videos with the predictions of all runs side by side.

    Args:
        comparison: The comparison.
        runs: The runs in it; methods of which only masks are known are not in the films.
        folder: The folder to write `case0012.avi` to, by the number of the image in which the Dice differs most; it is
            made if it is missing.
        count: The number of videos, those in which the Dice of the methods differs most.

    Raises:
        DataError: A video cannot be read, or the data are a store, which has no videos.
    """
    recordings = runs[0].data.recordings
    if recordings is None:
        raise DataError(
            f"{comparison.cases.store.path}: a store contains only the traced frames, but films need whole videos; give"
            " --data the folder of videos"
        )
    folder.mkdir(parents=True, exist_ok=True)
    videos = comparison.cases.table["video"].iloc[_disagreements(comparison)].drop_duplicates()
    for case, video in list(videos.items())[:count]:
        with axis3_taken_for(runs[0].data.axis3):
            clip = read_recording(recordings[video])
        images = (
            np.concatenate(images, axis=1) for images in zip(*(_film(run, clip, video) for run in runs), strict=True)
        )
        write_video(folder / f"case{case + 1:04d}.avi", images, fps=frame_rate(clip))


def _film(run: ComparedRun, clip: Clip, video: str) -> Iterator[np.ndarray]:
    """The film of a run with its name above it."""
    predictor = run.predictor_of(video)
    prediction = predictor(clip)
    for image in film(clip, prediction, measure(prediction, clip)):
        title = np.zeros((_TITLE_HEIGHT, image.shape[1], 3), np.uint8)
        cv2.putText(title, run.name, (12, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.5, LANDMARK, 1, cv2.LINE_AA)
        yield np.concatenate([title, image])


def _disagreements(comparison: Comparison) -> np.ndarray:
    """(N,) int: the images, those in which the Dice of the methods differs most first."""
    scores = np.stack([method.cases["dice"].to_numpy() for method in comparison.methods])
    return np.argsort(-np.ptp(scores, axis=0), kind="stable")
