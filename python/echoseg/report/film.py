"""A clip as a film: each frame with its outline, and below it the curve of the area with ED, ES and EF.

Amber ticks under the curve are frames that a person should look at. Of a clip that names a square, the film shows the
square. The layout is that of echonet/dynamic's videos (https://github.com/echonet/dynamic).
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
_GIF = 336  # pixels; GIFs are at most so wide
_SHORTEST = 20  # ms; browsers show a GIF whose frames are shorter in slow motion
_FPS = 25.0  # where nobody knows


def film(clip: Clip, prediction: Prediction, measured: Measurement) -> Iterator[np.ndarray]:
    """Draw every frame.

    Args:
        clip: of T ≥ 1 frames.
        prediction: of the clip.
        measured: of the prediction.

    Yields:
        (H, W, 3) uint8, RGB: T pictures of one size.
    """
    part = Box(*clip.square, clip.square[2]) if clip.square else Box(0, 0, *clip.frames.shape[1:])
    frames, corner = cut(clip.frames, part), np.array([part.left, part.top], dtype=np.float32)
    points = [None] * len(frames) if prediction.landmarks is None else prediction.landmarks - corner
    names = {**dict.fromkeys(measured.ed.tolist(), "ED"), **dict.fromkeys(measured.es.tolist(), "ES")}
    panel: np.ndarray | None = None
    for t, (frame, contour, landmarks) in enumerate(zip(frames, prediction.contours, points, strict=True)):
        picture = draw_overlay(frame, predicted=contour - corner, landmarks=landmarks)
        if t in names:
            _write(picture, names[t], (_MARGIN, _MARGIN + _LINE), LANDMARK, size=0.7)
        if panel is None:
            panel, places = _draw_curve(prediction, measured, picture.shape[1])
        below = panel.copy()
        cv2.line(below, (int(places[t, 0]), _LINE), (int(places[t, 0]), panel.shape[0]), GREY, 1)
        cv2.circle(below, places[t].tolist(), 4, LANDMARK, -1, cv2.LINE_AA)
        yield np.concatenate([picture, below])


def frame_rate(clip: Clip) -> float:
    """Frames a second of a clip's film."""
    return clip.fps if np.isfinite(clip.fps) else _FPS


def write_gif(path: Path, pictures: Iterator[np.ndarray], *, fps: float) -> None:
    """Write an animated GIF that runs at the film's speed; of fast films it leaves frames out.

    Args:
        path: ends in ``.gif``.
        pictures: (H, W, 3) uint8, RGB, at least one, all of one size.
        fps: of the pictures, frames a second.
    """
    step = int(np.ceil(fps * _SHORTEST / 1000))
    kept = [_small(picture) for t, picture in enumerate(pictures) if t % step == 0]
    palette = kept[len(kept) // 2].quantize()
    first, *rest = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in kept]
    first.save(path, save_all=True, append_images=rest, duration=round(1000 * step / fps), loop=0)


def _small(picture: np.ndarray) -> Image.Image:
    height, width = picture.shape[:2]
    times = -(-width // _GIF)
    return Image.fromarray(cv2.resize(picture, (width // times, height // times), interpolation=cv2.INTER_AREA))


def _draw_curve(prediction: Prediction, measured: Measurement, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The panel without its cursor, and (T, 2) int where each frame lies on its curve."""
    height = max(96, width // 3 // 2 * 2)
    areas, intervals = prediction.areas, prediction.area_intervals
    highest = max(1, areas.max() if intervals is None else intervals.max())
    x = np.linspace(_MARGIN, width - _MARGIN, len(areas))

    def place(values: np.ndarray) -> np.ndarray:
        y = height - _MARGIN - values / highest * (height - 2 * _MARGIN - _LINE)
        return np.stack([x, y], axis=1).round().astype(np.int32)

    panel = np.zeros((height, width, 3), dtype=np.uint8)
    if intervals is not None:
        band = np.concatenate([place(intervals[:, 0]), place(intervals[:, 1])[::-1]])
        cv2.fillPoly(panel, [band], BAND, cv2.LINE_AA)
    places = place(areas)
    cv2.polylines(panel, [places], False, PREDICTED, 2, cv2.LINE_AA)
    for frames, name in ((measured.ed, "ED"), (measured.es, "ES")):
        for at in places[frames]:
            cv2.circle(panel, at.tolist(), 5, LANDMARK, 1, cv2.LINE_AA)
            _write(panel, name, (int(at[0]) + 7, int(at[1]) - 4), GREY)
    review = np.zeros(len(areas), dtype=bool) if prediction.review is None else prediction.review
    for at in places[review, 0].tolist():
        cv2.line(panel, (at, height - 4), (at, height), REVIEW, 2)
    _write(panel, _title(measured), (_MARGIN, _LINE - 3), LANDMARK)
    return panel, places


def _title(measured: Measurement) -> str:
    if not len(measured.ef):
        return "area; no beat found"
    volumes = f"   EDV {measured.mean_edv:.0f} ml   ESV {measured.mean_esv:.0f} ml" if measured.unit == "ml" else ""
    return f"EF {measured.mean_ef:.0f} %{volumes}   {len(measured.ef)} beat{'s' * (len(measured.ef) > 1)}"


def _write(picture: np.ndarray, text: str, place: tuple[int, int], colour: tuple[int, int, int], size=0.4) -> None:
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
