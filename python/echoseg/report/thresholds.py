"""A page that compares thresholds of the mask probabilities, and its table.

The idea is that of the viewer of Craciun, "Image Segmentation for Heart using Deep Learning", 2022, Fig. 5.2.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from echoseg.geometry.level_set import mask_contour
from echoseg.inference.measure import Measurement, measure
from echoseg.inference.postprocess import with_threshold
from echoseg.inference.predictor import Prediction
from echoseg.io.clip import Clip
from echoseg.metrics.overlap import dice
from echoseg.report.slices import crop_around
from echoseg.report.templating import TEMPLATES

_TRUE = "#ffb000"
_MAX_FRAMES = 24  # of a video, on the page


def write_thresholds(
    clip: Clip,
    prediction: Prediction,
    thresholds: Sequence[float],
    folder: Path,
    *,
    name: str,
    true: np.ndarray | None = None,
) -> None:
    """Write `thresholds.html` and `thresholds.csv`.

    The page shows each slice of a stack, or 24 frames of a video, with its contour at each threshold, and the volumes
    at each threshold. It loads nothing else. The table has a row for each threshold and frame.

    Args:
        clip: The clip, of T frames.
        prediction: The prediction of the mask approach for the clip.
        thresholds: The thresholds, each between 0 and 1.
        folder: The folder to write to; it is made if it is missing.
        name: The title of the page.
        true: The true masks, (T, H, W) uint8, 0 or 1; None if they are unknown.

    Raises:
        OSError: A file cannot be written.
    """
    changed = {threshold: with_threshold(prediction, threshold) for threshold in sorted(set(thresholds))}
    measured = {threshold: measure(at_threshold, clip) for threshold, at_threshold in changed.items()}
    is_stack = bool(np.isfinite(clip.thickness))
    kind = "slice" if is_stack else "frame"
    tables = {threshold: _table(at_threshold, clip, kind, true) for threshold, at_threshold in changed.items()}
    colours = [to_hex(colour) for colour in mpl.colormaps["cool"](np.linspace(0, 1, len(changed)))]
    shown = range(len(clip.frames)) if is_stack else _chosen_frames(len(clip.frames), next(iter(measured.values())))
    page = TEMPLATES.get_template("thresholds.html").render(
        name=name,
        kind=kind,
        total=len(clip.frames),
        contours=[(f"threshold {threshold:g}", colour) for threshold, colour in zip(changed, colours, strict=True)]
        + ([] if true is None else [("true", _TRUE)]),
        summary=[
            {
                "threshold": f"{threshold:g}",
                **_summary(measured[threshold], tables[threshold], changed[threshold], true),
            }
            for threshold in changed
        ],
        images=_images(clip, list(changed.values()), true, shown),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "thresholds.html").write_text(page, encoding="utf-8")
    rows = pd.concat(tables, names=["threshold"]).reset_index(level="threshold")
    rows.to_csv(folder / "thresholds.csv", index=False, float_format="%.4f")


def _table(prediction: Prediction, clip: Clip, kind: str, true: np.ndarray | None) -> pd.DataFrame:
    table = pd.DataFrame({kind: np.arange(len(prediction)), "area_px": prediction.areas})
    if np.isfinite(clip.spacing).all():
        table["area_mm2"] = prediction.areas * (clip.spacing[0] * clip.spacing[1])
    if true is not None:
        table["dice"] = dice(prediction.masks, true)
    return table


def _summary(
    measured: Measurement, table: pd.DataFrame, prediction: Prediction, true: np.ndarray | None
) -> dict[str, str]:
    """The cells of a threshold's row, by title."""
    unit = measured.unit.replace("px3", "px³")
    if np.isfinite(measured.volume):
        cells = {f"volume, {unit}": f"{measured.volume:.1f}"}
    else:
        values = {f"EDV, {unit}": measured.mean_edv, f"ESV, {unit}": measured.mean_esv, "EF, %": measured.mean_ef}
        cells = {title: f"{value:.1f}" if np.isfinite(value) else "–" for title, value in values.items()}
    cells["mean area, px"] = f"{table['area_px'].mean():.1f}"
    cells["without a contour"] = str(int((table["area_px"] == 0).sum()))
    if true is not None:
        volume_dice = dice(prediction.masks.reshape(1, -1, 1), true.reshape(1, -1, 1)).item()
        scores = {"mean Dice": table["dice"].mean(), "volume Dice": volume_dice}
        cells |= {title: f"{score:.3f}" if np.isfinite(score) else "–" for title, score in scores.items()}
    return cells


def _chosen_frames(count: int, measured: Measurement) -> list[int]:
    """The first ED and ES frame, and others in equal distances."""
    evenly = np.linspace(0, count - 1, min(count, _MAX_FRAMES - 2)).round().astype(int)
    return sorted({*evenly.tolist(), *measured.ed[:1].tolist(), *measured.es[:1].tolist()})


def _images(
    clip: Clip, predictions: Sequence[Prediction], true: np.ndarray | None, shown: Sequence[int]
) -> list[dict[str, Any]]:
    """What the template needs of each image: the frame around the contours, and the outlines in pixels of it."""
    drawn = predictions[0].masks if true is None else predictions[0].masks | true  # the lowest threshold is the largest
    rows, columns = crop_around(drawn)
    corner = np.array([columns.start, rows.start], dtype=np.float32)
    images = []
    for t in shown:
        outlines = [prediction.contours[t] for prediction in predictions]
        outlines += [] if true is None else [mask_contour(true[t])]
        crop = clip.frames[t, rows, columns]
        images.append(
            {
                "number": t,
                "size": crop.shape,
                "url": _png_data_url(crop),
                "outlines": [" ".join(f"{x:.2f},{y:.2f}" for x, y in outline - corner + 0.5) for outline in outlines],
                "areas": [int(prediction.areas[t]) for prediction in predictions],
            }
        )
    return images


def _png_data_url(image: np.ndarray) -> str:
    return "data:image/png;base64," + base64.b64encode(cv2.imencode(".png", image)[1].tobytes()).decode()
