"""Images and videos of frames with contours and landmarks."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from echoseg.errors import DataError
from echoseg.utils.files import written_avi

TRUE, PREDICTED, LANDMARK = (255, 176, 0), (0, 200, 255), (255, 255, 255)  # RGB, distinguishable with colour blindness
_FRACTION_BITS = 4  # of the coordinates that OpenCV draws
_MIN_SIDE = 448  # pixels; smaller frames are enlarged, so that a contour is thin relative to the anatomy


def draw_overlay(
    frame: np.ndarray,
    *,
    predicted: np.ndarray | None = None,
    true: np.ndarray | None = None,
    landmarks: np.ndarray | None = None,
    colours: tuple[tuple[int, int, int], tuple[int, int, int]] = (PREDICTED, TRUE),
) -> np.ndarray:
    """Draw contours and landmarks over a frame. Small frames are enlarged by an integer factor.

    Args:
        frame: (H, W) uint8.
        predicted: The predicted contour, (P, 2) float, pixels of `frame`; (0, 2) and None draw nothing.
        true: The true contour, likewise.
        landmarks: (K, 2) float, pixels of `frame`, drawn as white dots; nan are not drawn.
        colours: The colours of the predicted and of the true contour, RGB.

    Returns:
        The image, (H * s, W * s, 3) uint8, RGB, enlarged by the factor s.
    """
    scale = max(1, _MIN_SIDE // min(frame.shape))
    size = (frame.shape[1] * scale, frame.shape[0] * scale)
    image = cv2.cvtColor(cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR), cv2.COLOR_GRAY2RGB)
    for contour, colour in zip((true, predicted), colours[::-1], strict=True):
        if contour is not None and len(contour):
            points = np.rint(_enlarged(contour, scale) * (1 << _FRACTION_BITS)).astype(np.int32)
            cv2.polylines(image, [points], True, colour, 1 + scale // 4, cv2.LINE_AA, _FRACTION_BITS)
    if landmarks is not None:
        for x, y in _enlarged(landmarks[np.isfinite(landmarks).all(axis=1)], scale):
            cv2.circle(image, (round(float(x)), round(float(y))), 1 + scale, LANDMARK, -1, cv2.LINE_AA)
    return image


def _enlarged(points: np.ndarray, scale: int) -> np.ndarray:
    """Convert pixels of a frame to pixels of the enlarged frame."""
    return (points + 0.5) * scale - 0.5


def write_video(path: Path, images: Iterable[np.ndarray], *, fps: float) -> None:
    """Write an AVI (motion JPEG).

    Args:
        path: The file to write, with the ending `.avi`.
        images: Images of one size, (H, W, 3) uint8, RGB; without images, nothing is written.
        fps: Images per second.

    Raises:
        DataError: The video cannot be opened.
        OSError: The file is written only in part.
    """
    images = iter(images)
    first = next(images, None)
    if first is None:
        return
    size = (first.shape[1], first.shape[0])
    with written_avi(path) as name:
        writer = cv2.VideoWriter(name, cv2.CAP_OPENCV_MJPEG, cv2.VideoWriter.fourcc(*"MJPG"), fps, size)
        if not writer.isOpened():
            raise DataError(f"{path}: cannot be written; check the permissions of the folder and the free space")
        for image in itertools.chain([first], images):
            writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        writer.release()
