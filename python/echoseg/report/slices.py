"""A stack's slices with predicted (green) and true (red) outline, as one figure and as a video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from echoseg.report.overlay import draw_overlay, write_video

PREDICTED, TRUE = (0, 230, 110), (255, 60, 60)  # RGB
_A_SECOND = 2  # slices of the video


def slices_figure(path: Path, pictures: Sequence[np.ndarray], titles: Sequence[str], *, truth: bool) -> None:
    """Draw all slices beside each other.

    Args:
        path: PNG to write.
        pictures: of ``slice_pictures``.
        titles: one for each.
        truth: whether true outlines are drawn.
    """
    rows = max(1, round(0.75 * len(pictures) ** 0.5))
    columns = -(-len(pictures) // rows)
    figure = Figure(figsize=(2.6 * columns, 2.9 * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, picture, title in zip(axes, pictures, titles, strict=False):
        axis.imshow(picture)
        axis.set_title(title, fontsize=8)
    for label, colour in (("predicted", PREDICTED), ("true", TRUE))[: 1 + truth]:
        axes[0].plot([], [], color=np.array(colour) / 255, label=label)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110)


def slices_video(path: Path, pictures: Sequence[np.ndarray]) -> None:
    """Show one slice after the other, two a second; errors as of ``write_video``."""
    write_video(path, pictures, fps=_A_SECOND)


def slice_pictures(frames: np.ndarray, masks: np.ndarray, true: np.ndarray | None) -> list[np.ndarray]:
    """Draw the outlines of every slice over the part of the frame that they lie in, and as much about it.

    Args:
        frames: (T, H, W) uint8.
        masks, true: (T, H, W) uint8, 0 or 1; ``true`` is None where it is not known.

    Returns:
        T arrays (h, w, 3) uint8, RGB, all of one size.
    """
    drawn = masks if true is None else masks | true
    rows, columns = (np.flatnonzero(drawn.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    if not len(rows):
        rows, columns = (np.arange(size) for size in drawn.shape[1:])
    side = 2 * int(max(np.ptp(rows), np.ptp(columns))) + 1
    height, width = _window(rows, side, drawn.shape[1]), _window(columns, side, drawn.shape[2])
    truths = [None] * len(masks) if true is None else true[:, height, width]
    return [
        draw_overlay(frame, predicted=mask, true=truth, colours=(PREDICTED, TRUE))
        for frame, mask, truth in zip(frames[:, height, width], masks[:, height, width], truths, strict=True)
    ]


def _window(places: np.ndarray, side: int, size: int) -> slice:
    """About the middle of places, `side` wide where `size` has room for it."""
    start = max(0, min((places[0] + places[-1] - side + 1) // 2, size - side))
    return slice(start, min(start + side, size))
