"""Contours and landmarks drawn over frames, as pictures and as video."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from echoseg.errors import DataError
from echoseg.utils.files import check_avi, opencv_name

TRUE, PREDICTED, LANDMARK = (255, 176, 0), (0, 200, 255), (255, 255, 255)  # RGB, told apart by colour-blind eyes
_ENLARGED = 448  # pixels; the shorter side of what is drawn on, so that a contour is thin beside the anatomy


def draw_overlay(
    frame: np.ndarray,
    *,
    predicted: np.ndarray | None = None,
    true: np.ndarray | None = None,
    landmarks: np.ndarray | None = None,
    colours: tuple[tuple[int, int, int], tuple[int, int, int]] = (PREDICTED, TRUE),
) -> np.ndarray:
    """Draw the outlines of masks over a frame, enlarged by a whole number.

    Args:
        frame: (H, W) uint8.
        predicted, true: (H, W) masks.
        landmarks: (K, 2) float32, pixels of ``frame``, drawn as white dots.
        colours: RGB of the predicted and of the true outline.

    Returns:
        (H * s, W * s, 3) uint8, RGB.
    """
    scale = max(1, _ENLARGED // min(frame.shape))
    size = (frame.shape[1] * scale, frame.shape[0] * scale)
    picture = cv2.cvtColor(cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR), cv2.COLOR_GRAY2RGB)
    for mask, colour in zip((true, predicted), colours[::-1], strict=True):
        if mask is not None:
            large = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
            outlines, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            cv2.drawContours(picture, outlines, -1, colour, 1 + scale // 4, cv2.LINE_AA)
    for x, y in () if landmarks is None else (landmarks + 0.5) * scale - 0.5:
        cv2.circle(picture, (round(float(x)), round(float(y))), 1 + scale, LANDMARK, -1, cv2.LINE_AA)
    return picture


def write_video(path: Path, pictures: Iterable[np.ndarray], *, fps: float) -> None:
    """Write an AVI (motion JPEG).

    Args:
        path: ends in ``.avi``.
        pictures: (H, W, 3) uint8, RGB, all of one size.
        fps: frames a second.

    Raises:
        DataError, OSError: the file cannot be written.
    """
    name, writer = opencv_name(path), None
    for picture in pictures:
        if writer is None:
            size = (picture.shape[1], picture.shape[0])
            writer = cv2.VideoWriter(name, cv2.CAP_OPENCV_MJPEG, cv2.VideoWriter.fourcc(*"MJPG"), fps, size)
            if not writer.isOpened():
                raise DataError(f"{path}: cannot be written; check the folder's rights and free space")
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if writer is not None:
        writer.release()
        check_avi(path)
