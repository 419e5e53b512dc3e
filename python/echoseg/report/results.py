"""What an evaluation or a prediction leaves on disk."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from echoseg.data.files import replace_file
from echoseg.data.store import Store
from echoseg.errors import DataError
from echoseg.inference.evaluate import Evaluation
from echoseg.inference.predict import Prediction, Predictor
from echoseg.report.figures import attention_figure, ceiling_figure, orderings_figure, overlay_figure
from echoseg.report.overlay import write_overlay_video


def write_evaluation(evaluation: Evaluation, store: Store, split: str, folder: Path) -> None:
    """Add one split to a folder's ``metrics.json``, and write its images as a table and a figure.

    Args:
        evaluation: of the split.
        store: that was evaluated.
        split: train, val, test or all.
        folder: of a run, or any other; made where it is missing.

    Raises:
        DataError: ``metrics.json`` is there but damaged.
    """
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    path = folder / "metrics.json"
    try:
        metrics = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        metrics[split] = {**evaluation.summary, "data": str(store.path)}
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: damaged ({error}); delete it and evaluate again") from None
    text = json.dumps(metrics, indent=2) + "\n"
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    evaluation.images.to_csv(folder / f"images_{split}.csv", index=False, float_format="%.5f")
    overlay_figure(evaluation, store.frames[evaluation.indices], figures / f"overlay_{split}.png")


def write_attention(predictor: Predictor, evaluation: Evaluation, store: Store, split: str, folder: Path) -> None:
    """Write ``figures/attention_SPLIT.png``, where the network has attention gates; see ``write_evaluation``."""
    if predictor.config.attention:
        path = folder / "figures" / f"attention_{split}.png"
        attention_figure(evaluation, store.frames[evaluation.indices], predictor, path)


def write_prediction(frames: np.ndarray, prediction: Prediction, folder: Path, *, fps: float) -> None:
    """Write one video's masks (``masks/0000.png``, 0 and 255), ``frames.csv`` and ``overlay.avi``.

    ``frames.csv`` holds a row a frame: area, the 95 % interval of the area and whether a person should look (of
    calibrated runs), and landmarks.

    Args:
        frames: (T, H, W) uint8, T ≥ 1.
        prediction: of these frames.
        folder: to make.
        fps: of the overlay video, frames a second.

    Raises:
        DataError: a file cannot be written.
    """
    (folder / "masks").mkdir(parents=True)
    for t, mask in enumerate(prediction.masks):
        path = folder / "masks" / f"{t:04d}.png"
        encoded = cv2.imencode(".png", mask * 255)[1]
        path.write_bytes(encoded.tobytes())
    table = pd.DataFrame({"frame": np.arange(len(frames)), "area_px": prediction.areas})
    if prediction.area_intervals is not None and prediction.review is not None:
        table["area_low_px"], table["area_high_px"] = prediction.area_intervals.T
        table["review"] = prediction.review.astype(int)
    if prediction.landmarks is not None:
        for k in range(prediction.landmarks.shape[1]):
            table[f"x{k}"], table[f"y{k}"] = prediction.landmarks[:, k].T
    table.to_csv(folder / "frames.csv", index=False, float_format="%.3f")
    write_overlay_video(folder / "overlay.avi", frames, prediction.masks, prediction.landmarks, fps=fps)


def write_orderings(table: pd.DataFrame, masks: dict[str, np.ndarray], frames: np.ndarray, folder: Path) -> None:
    """Write ``orderings.csv`` and ``orderings.png``: the comparison, and the image whose orderings differ most.

    Args:
        table: of ``compare_orderings``.
        masks: of ``masks_by_ordering``.
        frames: (N, H, W) uint8.
        folder: to write to.
    """
    table.to_csv(folder / "orderings.csv", index=False, float_format="%.4f")
    shown = int((masks["angle"] != masks["chords"]).sum(axis=(1, 2)).argmax())
    scores = dict(zip(table["ordering"], table["mean"], strict=True))
    chosen = {name: mask[shown] for name, mask in masks.items()}
    orderings_figure(frames[shown], chosen, scores, folder / "orderings.png")


def write_ceiling(table: pd.DataFrame, folder: Path) -> None:
    """Write ``landmarks.csv`` and ``landmarks.png``: what perfect landmarks would give.

    Args:
        table: of ``landmark_ceiling``.
        folder: to write to.
    """
    table.to_csv(folder / "landmarks.csv", index=False, float_format="%.5f")
    ceiling_figure(table, folder / "landmarks.png")
