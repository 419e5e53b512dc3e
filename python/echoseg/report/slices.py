"""The slices of a stack with predicted (green) and true (red) contours, as one figure and as a video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from echoseg.geometry.level_set import mask_contour
from echoseg.inference.predictor import Prediction
from echoseg.report.overlay import draw_overlay, write_video

PREDICTED, TRUE = (0, 230, 110), (255, 60, 60)  # RGB
_TILE, _LEGEND = 2.6, 0.35  # inches
_GAP = 6  # pixels between images
_TITLE_BOX = {"facecolor": "black", "alpha": 0.6, "linewidth": 0, "pad": 1.5}
_FPS = 2  # slices of the video per second


def slices_figure(path: Path, images: Sequence[np.ndarray], titles: Sequence[str], *, truth: bool) -> None:
    """Draw all slices side by side.

    Args:
        path: The PNG file to write.
        images: The result of `slice_images`.
        titles: The title of each image.
        truth: Whether the images show true contours.
    """
    rows = max(1, round(0.75 * len(images) ** 0.5))
    columns = -(-len(images) // rows)
    height, width = (side + _GAP for side in images[0].shape[:2])
    sheet = np.full((rows * height, columns * width, 3), 255, dtype=np.uint8)
    size = _TILE * columns, _TILE * rows * height / width + _LEGEND
    figure = Figure(figsize=size)
    # one for all images, since many axes are slow
    axis = figure.add_axes((0, _LEGEND / size[1], 1, 1 - _LEGEND / size[1]))
    for number, (image, title) in enumerate(zip(images, titles, strict=True)):
        top, left = number // columns * height, number % columns * width
        sheet[top : top + height - _GAP, left : left + width - _GAP] = image
        axis.text(left + 8, top + 8, title, va="top", color="white", fontsize=9, bbox=_TITLE_BOX)
    axis.imshow(sheet, aspect="auto")
    axis.set_axis_off()
    for label, colour in (("predicted", PREDICTED), ("true", TRUE))[: 1 + truth]:
        axis.plot([], [], color=np.array(colour) / 255, label=label)
    figure.legend(loc="lower center", ncols=2, frameon=False)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110)


def slices_video(path: Path, images: Sequence[np.ndarray]) -> None:
    """Write a video that shows one slice after the other, two per second.

    Args:
        path: The AVI file to write.
        images: The result of `slice_images`.

    Raises:
        DataError: The video cannot be opened or is incomplete.
        OSError: The file cannot be written.
    """
    write_video(path, images, fps=_FPS)


def slice_images(frames: np.ndarray, prediction: Prediction, true: np.ndarray | None) -> list[np.ndarray]:
    """Draw the contours of every slice on a square crop around all of them.

    The side of the square is twice the size of the box around all contours.

    Args:
        frames: (T, H, W) uint8.
        prediction: The prediction for these frames.
        true: The true masks, (T, H, W) uint8, 0 or 1; None if they are unknown.

    Returns:
        T images of one size, (h, w, 3) uint8, RGB.
    """
    drawn = prediction.masks if true is None else prediction.masks | true
    rows, columns = (np.flatnonzero(drawn.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    if not len(rows):
        rows, columns = (np.arange(size) for size in drawn.shape[1:])
    side = 2 * int(max(np.ptp(rows), np.ptp(columns))) + 1
    height, width = _window(rows, side, drawn.shape[1]), _window(columns, side, drawn.shape[2])
    corner = np.array([width.start, height.start], dtype=np.float32)
    truths = [None] * len(frames) if true is None else [mask_contour(mask) - corner for mask in true]
    return [
        draw_overlay(frame, predicted=contour - corner, true=truth, colours=(PREDICTED, TRUE))
        for frame, contour, truth in zip(frames[:, height, width], prediction.contours, truths, strict=True)
    ]


def _window(indices: np.ndarray, side: int, size: int) -> slice:
    """A window of `side` pixels around the middle of sorted indices; smaller if the image has only `size` pixels."""
    start = max(0, min((indices[0] + indices[-1] - side + 1) // 2, size - side))
    return slice(start, min(start + side, size))
