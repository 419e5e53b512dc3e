"""Films of predicted clips: each frame with its contour, and below it the curve of the area with ED, ES and EF.

Frames that are marked for review have an amber tick below the curve. If the clip has a sector, the film shows only the
square around it. The layout follows the videos of echonet/dynamic (https://github.com/echonet/dynamic).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from echoseg.geometry.crop import Box, cut
from echoseg.inference.measure import Measurement
from echoseg.inference.predictor import Prediction
from echoseg.io.clip import Clip
from echoseg.report.overlay import LANDMARK, PREDICTED, draw_overlay

GREY, BAND, REVIEW = (150, 150, 150), (0, 62, 80), (255, 176, 0)  # RGB
_MARGIN, _LINE = 12, 16  # pixels
_MAX_GIF_WIDTH = 336  # pixels
_MIN_GIF_DURATION = 20  # ms per frame; browsers slow down GIFs with shorter durations
_DEFAULT_FPS = 25.0  # for clips without a frame rate


def film(clip: Clip, prediction: Prediction, measurement: Measurement) -> Iterator[np.ndarray]:
    """Draw the film of a clip.

    Args:
        clip: A clip of at least one frame.
        prediction: The prediction of the clip.
        measurement: The measurement of the prediction.

    Yields:
        For each frame an image, (H, W, 3) uint8, RGB. All images have the same size.
    """
    region = Box(*clip.square, clip.square[2]) if clip.square else Box(0, 0, *clip.frames.shape[1:])
    frames, corner = cut(clip.frames, region), np.array([region.left, region.top], dtype=np.float32)
    points = [None] * len(frames) if prediction.landmarks is None else prediction.landmarks - corner
    names = {**dict.fromkeys(measurement.ed.tolist(), "ED"), **dict.fromkeys(measurement.es.tolist(), "ES")}
    panel: np.ndarray | None = None
    for t, (frame, contour, landmarks) in enumerate(zip(frames, prediction.contours, points, strict=True)):
        image = draw_overlay(frame, predicted=contour - corner, landmarks=landmarks)
        if t in names:
            _write(image, names[t], (_MARGIN, _MARGIN + _LINE), LANDMARK, size=0.7)
        if panel is None:
            panel, curve = _draw_curve(prediction, measurement, image.shape[1])
        plot = panel.copy()
        cv2.line(plot, (int(curve[t, 0]), _LINE), (int(curve[t, 0]), panel.shape[0]), GREY, 1)
        cv2.circle(plot, curve[t].tolist(), 4, LANDMARK, -1, cv2.LINE_AA)
        yield np.concatenate([image, plot])


def frame_rate(clip: Clip) -> float:
    """The frame rate of a clip's film, frames per second."""
    return clip.fps if np.isfinite(clip.fps) else _DEFAULT_FPS


def write_gif(path: Path, images: Iterator[np.ndarray], *, fps: float) -> None:
    """Write an animated GIF at the speed of the film. Frames are skipped if the frame rate exceeds 50 per second.

    Args:
        path: The file to write, with the suffix ".gif".
        images: (H, W, 3) uint8, RGB, at least one, all of the same size.
        fps: The frame rate of the images, frames per second.
    """
    step = int(np.ceil(fps * _MIN_GIF_DURATION / 1000))
    frames = [_downsample(image) for t, image in enumerate(images) if t % step == 0]
    palette = frames[len(frames) // 2].quantize()
    first, *rest = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    first.save(path, save_all=True, append_images=rest, duration=round(1000 * step / fps), loop=0)


def _downsample(image: np.ndarray) -> Image.Image:
    """Shrink an image by a whole factor to the maximum width of a GIF."""
    height, width = image.shape[:2]
    factor = -(-width // _MAX_GIF_WIDTH)
    return Image.fromarray(cv2.resize(image, (width // factor, height // factor), interpolation=cv2.INTER_AREA))


def _draw_curve(prediction: Prediction, measurement: Measurement, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the panel without the cursor. Returns it with the points of the curve, (T, 2) int32, pixels."""
    height = max(96, width // 3 // 2 * 2)
    areas, intervals = prediction.areas, prediction.area_intervals
    highest = max(1, areas.max() if intervals is None else intervals.max())
    x = np.linspace(_MARGIN, width - _MARGIN, len(areas))

    def points_of(values: np.ndarray) -> np.ndarray:
        y = height - _MARGIN - values / highest * (height - 2 * _MARGIN - _LINE)
        return np.stack([x, y], axis=1).round().astype(np.int32)

    panel = np.zeros((height, width, 3), dtype=np.uint8)
    if intervals is not None:
        band = np.concatenate([points_of(intervals[:, 0]), points_of(intervals[:, 1])[::-1]])
        cv2.fillPoly(panel, [band], BAND, cv2.LINE_AA)
    curve = points_of(areas)
    cv2.polylines(panel, [curve], False, PREDICTED, 2, cv2.LINE_AA)
    for frames, name in ((measurement.ed, "ED"), (measurement.es, "ES")):
        for point in curve[frames]:
            cv2.circle(panel, point.tolist(), 5, LANDMARK, 1, cv2.LINE_AA)
            _write(panel, name, (int(point[0]) + 7, int(point[1]) - 4), GREY)
    review = np.zeros(len(areas), dtype=bool) if prediction.review is None else prediction.review
    for column in curve[review, 0].tolist():
        cv2.line(panel, (column, height - 4), (column, height), REVIEW, 2)
    _write(panel, _title(measurement), (_MARGIN, _LINE - 3), LANDMARK)
    return panel, curve


def _title(measurement: Measurement) -> str:
    if not len(measurement.ef):
        return "area; no beat found"
    volumes = (
        f"   EDV {measurement.mean_edv:.0f} ml   ESV {measurement.mean_esv:.0f} ml" if measurement.unit == "ml" else ""
    )
    return f"EF {measurement.mean_ef:.0f} %{volumes}   {len(measurement.ef)} beat{'s' * (len(measurement.ef) > 1)}"


def _write(image: np.ndarray, text: str, point: tuple[int, int], colour: tuple[int, int, int], size=0.4) -> None:
    cv2.putText(image, text, point, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
