"""Masks and overlays as PNG files that are named by video and frame."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from echoseg.datasets.store import Store
from echoseg.errors import DataError
from echoseg.inference.predictor import Prediction
from echoseg.io.clip import Clip
from echoseg.ops import fill_polygons
from echoseg.report.overlay import draw_overlay


def write_sample_images(store: Store, folder: Path) -> None:
    """Write the traced frames of a store, their masks, and the frames with their contours.

    They are `images/NAME.png`, `masks/NAME.png` (0 or 255) and `overlays/NAME.png`, where NAME is VIDEO_frameNUMBER,
    or VIDEO_sliceNUMBER for a stack. `images` and `masks` together are a data set of pairs of image and mask, in which
    blank slices stay blank slices.

    Args:
        store: The store, N images.
        folder: The folder to write to.

    Raises:
        DataError: Two images have the same name.
        OSError: A file cannot be written.
    """
    names = _sample_names(store)
    for kind in ("images", "masks", "overlays"):
        (folder / kind).mkdir()
    for i, name in enumerate(tqdm(names, desc="images", unit="image", disable=None)):
        frame, contour = np.asarray(store.frames[i]), store.contour(i)
        write_png(folder / "images" / f"{name}.png", frame)
        write_png(folder / "masks" / f"{name}.png", 255 * fill_polygons(contour[None], store.size)[0])
        write_png(folder / "overlays" / f"{name}.png", draw_overlay(frame, true=contour))


def write_frame_images(source: Path, clip: Clip, prediction: Prediction, folder: Path) -> None:
    """Write the mask and the overlay of each frame of a prediction.

    They are `masks/VIDEO_frameNUMBER.png` (0 or 255) and `overlays/VIDEO_frameNUMBER.png`.

    Args:
        source: The file of the clip.
        clip: The clip, of T frames.
        prediction: The prediction for the clip.
        folder: The folder to write to; it is made if it is missing.

    Raises:
        OSError: A file cannot be written.
    """
    for kind in ("masks", "overlays"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    landmarks = [None] * len(clip.frames) if prediction.landmarks is None else prediction.landmarks
    parts = zip(clip.frames, prediction.masks, prediction.contours, landmarks, strict=True)
    video = Path(source.name.removesuffix(".gz")).stem
    for t, (frame, mask, contour, points) in enumerate(parts):
        name = f"{video}_frame{t:04d}.png"
        write_png(folder / "masks" / name, 255 * mask)
        write_png(folder / "overlays" / name, draw_overlay(frame, predicted=contour, landmarks=points))


def _sample_names(store: Store) -> list[str]:
    """VIDEO_frameNUMBER or VIDEO_sliceNUMBER of each image.

    "/" in the name of a video, which a file name cannot contain, becomes "_".
    """
    names: dict[str, str] = {}
    for video, frame, thickness in store.samples[["video", "frame", "thickness"]].itertuples(index=False):
        kind = "frame" if math.isnan(thickness) else "slice"
        name = f"{video.replace('/', '_')}_{kind}{frame:04d}"
        if name in names:
            raise DataError(f"{store.source}: {names[name]} and {video} would both be {name}.png; rename one of them")
        names[name] = video
    return list(names)


def write_png(path: Path, image: np.ndarray) -> None:
    """Write an image, (H, W) uint8 grey or (H, W, 3) uint8 RGB.

    Raises:
        OSError: The file cannot be written.
    """
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    content = cv2.imencode(".png", pixels)[1].tobytes()
    path.write_bytes(content)  # OpenCV cannot write to every name; see utils.files.opencv_name
