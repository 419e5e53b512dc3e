"""A clip as a film: each frame with its contour, and below it the curve of the area with ED, ES and EF.

Amber ticks below the curve show the frames that are marked for review. If the clip has a sector, the film shows only
the square around it. The layout follows the videos of EchoNet-Dynamic (https://github.com/echonet/dynamic).
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
_MARGIN, _LINE_HEIGHT = 12, 16  # pixels
_MAX_GIF_WIDTH = 336  # pixels
_MIN_FRAME_TIME = 20  # ms; browsers play a GIF with shorter frames in slow motion
_DEFAULT_FPS = 25.0  # if the rate is unknown


def film(clip: Clip, prediction: Prediction, measurement: Measurement) -> Iterator[np.ndarray]:
    """Draw the film of a clip.

    Args:
        clip: The clip, of T ≥ 1 frames.
        prediction: The prediction for the clip.
        measurement: The measurement of the prediction.

    Yields:
        T images of one size, (H, W, 3) uint8, RGB.
    """
    box = Box(*clip.square, clip.square[2]) if clip.square else Box(0, 0, *clip.frames.shape[1:])
    frames, corner = cut(clip.frames, box), np.array([box.left, box.top], dtype=np.float32)
    points = [None] * len(frames) if prediction.landmarks is None else prediction.landmarks - corner
    names = {**dict.fromkeys(measurement.ed.tolist(), "ED"), **dict.fromkeys(measurement.es.tolist(), "ES")}
    panel: np.ndarray | None = None
    for t, (frame, contour, landmarks) in enumerate(zip(frames, prediction.contours, points, strict=True)):
        image = draw_overlay(frame, predicted=contour - corner, landmarks=landmarks)
        if t in names:
            _write(image, names[t], (_MARGIN, _MARGIN + _LINE_HEIGHT), LANDMARK, size=0.7)
        if panel is None:
            panel, positions = _draw_curve(prediction, measurement, image.shape[1])
        below = panel.copy()
        cv2.line(below, (int(positions[t, 0]), _LINE_HEIGHT), (int(positions[t, 0]), panel.shape[0]), GREY, 1)
        cv2.circle(below, positions[t].tolist(), 4, LANDMARK, -1, cv2.LINE_AA)
        yield np.concatenate([image, below])


def frame_rate(clip: Clip) -> float:
    """The rate of a clip's film, frames per second: that of the clip, or 25 if it is unknown."""
    return clip.fps if np.isfinite(clip.fps) else _DEFAULT_FPS


def write_gif(path: Path, images: Iterator[np.ndarray], *, fps: float) -> None:
    """Write an animated GIF that plays at the speed of the film; frames of a fast film are skipped.

    Args:
        path: The file to write, with the ending `.gif`.
        images: At least one image, all of one size, (H, W, 3) uint8, RGB.
        fps: Images per second.
    """
    step = int(np.ceil(fps * _MIN_FRAME_TIME / 1000))
    chosen = [_shrink(image) for t, image in enumerate(images) if t % step == 0]
    palette = chosen[len(chosen) // 2].quantize()
    first, *others = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in chosen]
    starts = 10 * np.round(np.arange(len(chosen) + 1) * 100 * step / fps)  # a GIF counts in hundredths of a second
    durations = np.diff(starts).astype(int).tolist()
    first.save(path, save_all=True, append_images=others, duration=durations, loop=0)


def _shrink(image: np.ndarray) -> Image.Image:
    height, width = image.shape[:2]
    factor = -(-width // _MAX_GIF_WIDTH)
    return Image.fromarray(cv2.resize(image, (width // factor, height // factor), interpolation=cv2.INTER_AREA))


def _draw_curve(prediction: Prediction, measurement: Measurement, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The panel without its cursor, and the position of each frame on its curve, (T, 2) int32, pixels."""
    height = max(96, width // 3 // 2 * 2)
    areas, intervals = prediction.areas, prediction.area_intervals
    if intervals is not None:
        intervals = np.nan_to_num(intervals)  # of frames without a contour
    highest = max(1, areas.max() if intervals is None else intervals.max())
    columns = np.linspace(_MARGIN, width - _MARGIN, len(areas))

    def positions_of(values: np.ndarray) -> np.ndarray:
        y = height - _MARGIN - values / highest * (height - 2 * _MARGIN - _LINE_HEIGHT)
        return np.stack([columns, y], axis=1).round().astype(np.int32)

    panel = np.zeros((height, width, 3), dtype=np.uint8)
    if intervals is not None:
        band = np.concatenate([positions_of(intervals[:, 0]), positions_of(intervals[:, 1])[::-1]])
        cv2.fillPoly(panel, [band], BAND, cv2.LINE_AA)
    positions = positions_of(areas)
    cv2.polylines(panel, [positions], False, PREDICTED, 2, cv2.LINE_AA)
    for frames, name in ((measurement.ed, "ED"), (measurement.es, "ES")):
        for x, y in positions[frames].tolist():
            cv2.circle(panel, (x, y), 5, LANDMARK, 1, cv2.LINE_AA)
            _write(panel, name, (x + 7, y - 4), GREY)
    review = np.zeros(len(areas), dtype=bool) if prediction.review is None else prediction.review
    for x in positions[review, 0].tolist():
        cv2.line(panel, (x, height - 4), (x, height), REVIEW, 2)
    _write(panel, _title(measurement), (_MARGIN, _LINE_HEIGHT - 3), LANDMARK)
    return panel, positions


def _title(measurement: Measurement) -> str:
    if not len(measurement.ef):
        return "Area; no beat was found"
    volumes = (
        f"   EDV {measurement.mean_edv:.0f} ml   ESV {measurement.mean_esv:.0f} ml" if measurement.unit == "ml" else ""
    )
    return f"EF {measurement.mean_ef:.0f} %{volumes}   {len(measurement.ef)} beat{'s' * (len(measurement.ef) > 1)}"


def _write(image: np.ndarray, text: str, position: tuple[int, int], colour: tuple[int, int, int], size=0.4) -> None:
    cv2.putText(image, text, position, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
