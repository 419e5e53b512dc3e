"""The files that are written for a predicted stack of slices, such as an MRI volume."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from echoseg.datasets.truth import find_truth, read_truth
from echoseg.errors import DataError
from echoseg.inference.predictor import Prediction
from echoseg.io.clip import Clip
from echoseg.io.nifti import slices_affine, write_mask
from echoseg.io.reading import open_volume
from echoseg.metrics.overlap import dice
from echoseg.metrics.volumes import MM3_PER_ML, slice_volumes
from echoseg.report.slices import slice_images, slices_figure, slices_video
from echoseg.report.view3d import write_view


def write_stack(path: Path, clip: Clip, prediction: Prediction, folder: Path) -> dict[str, float]:
    """Write the results of one stack. They are compared with the ground truth if it lies beside the stack.

    - `mask.nii.gz`: the masks, with the order of axes, shape and affine of the stack's file.
    - `slices.csv` and `stack.json`: areas and volumes, and Dice if the ground truth is known.
    - `slices.png` and `slices.avi`: every slice with its predicted and true contour.
    - `view3d.html`: the surface in 3-D. It needs the extra `view3d` and a known spacing.

    Args:
        path: The file of the stack.
        clip: The clip that was read from the file. Its thickness is known.
        prediction: The prediction of the clip.
        folder: The folder to write to; it is created if needed.

    Returns:
        The content of `stack.json`: `volume_mm3` and `volume_ml`, which are missing if the spacing is unknown. If the
        ground truth is known, also `true_volume_ml`, `dice`, the mean over the slices in which either shows a
        ventricle, and `volume_dice`.

    Raises:
        DataError: A file cannot be written.
    """
    volume = open_volume(path)
    masks, true = prediction.masks, _truth(path)
    folder.mkdir(parents=True, exist_ok=True)
    write_mask(folder / "mask.nii.gz", masks, volume)
    pixel_area = clip.spacing[0] * clip.spacing[1]

    def volume_mm3(areas: np.ndarray) -> float:
        return float(slice_volumes(areas, clip.spacing, clip.thickness).sum())

    table = pd.DataFrame({"slice": np.arange(len(masks)), "area_mm2": prediction.areas * pixel_area})
    if prediction.review is not None:
        table["review"] = prediction.review.astype(int)
    titles = [f"slice {number}" for number in table["slice"]]
    volume_of_stack = volume_mm3(prediction.areas)
    metrics = {"volume_mm3": volume_of_stack, "volume_ml": volume_of_stack / MM3_PER_ML}
    if true is not None:
        areas = true.sum(axis=(1, 2))
        table["true_area_mm2"], table["dice"] = areas * pixel_area, dice(masks, true)
        metrics["true_volume_ml"] = volume_mm3(areas) / MM3_PER_ML
        metrics["dice"] = float(table["dice"][prediction.areas + areas > 0].mean())
        metrics["volume_dice"] = dice(masks.reshape(1, -1, 1), true.reshape(1, -1, 1)).item()
        titles = [f"{title}, Dice {score:.3f}" for title, score in zip(titles, table["dice"], strict=True)]
    metrics = {name: value for name, value in metrics.items() if np.isfinite(value)}
    table.to_csv(folder / "slices.csv", index=False, float_format="%.4f")
    (folder / "stack.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    images = slice_images(clip.frames, prediction, true)
    slices_figure(folder / "slices.png", images, titles, truth=true is not None)
    slices_video(folder / "slices.avi", images)
    shapes = {"prediction": masks} if true is None else {"prediction": masks, "truth": true}
    if not find_spec("plotly") or not find_spec("skimage"):
        tqdm.write(
            f"echoseg: {path.name}: the 3-D view needs other packages; pip install 'echoseg[view3d]'", sys.stderr
        )
    elif "volume_ml" in metrics:
        write_view(folder / "view3d.html", shapes, slices_affine(volume), "Left ventricle", _captions(metrics))
    return metrics


def _captions(metrics: dict[str, float]) -> dict[str, str]:
    """The metrics as text for the 3-D view."""
    captions = {"volume": f"{metrics['volume_ml']:.1f} ml"}
    if "volume_dice" in metrics:
        captions["true volume"] = f"{metrics['true_volume_ml']:.1f} ml"
        captions["volume Dice"] = f"{metrics['volume_dice']:.3f}"
    return captions


def _truth(path: Path) -> np.ndarray | None:
    """The ground truth masks beside a stack; None if there are none or if they cannot be used."""
    mask = find_truth(path)
    if mask is None:
        return None
    try:
        return read_truth(path, mask)
    except DataError as error:
        tqdm.write(f"echoseg: {error}; the ground truth is ignored", file=sys.stderr)
        return None
