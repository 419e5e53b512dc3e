"""The files that a prediction for a stack of slices (an MRI volume) writes."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Sequence
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
from echoseg.report.film import write_gif
from echoseg.report.slices import SLICES_PER_SECOND, slice_images, slices_figure, slices_video
from echoseg.report.thresholds import write_thresholds
from echoseg.report.view3d import write_view
from echoseg.training.stopwatch import Stopwatch

STACK_OUTPUTS = ("masks", "frames", "overlay", "gif")
"""The outputs that `write_stack` writes."""


def write_stack(
    path: Path,
    clip: Clip,
    prediction: Prediction,
    folder: Path,
    *,
    keep: Collection[str] = ("masks", "frames", "overlay"),
    thresholds: Sequence[float] = (),
    watch: Stopwatch | None = None,
) -> dict[str, float]:
    """Write the results of one stack. If the true masks are found beside its file, they are compared with them.

    - masks: `mask.nii.gz`, in the order and shape and with the affine of the stack's file;
    - frames: `slices.csv` and `stack.json`, areas and volumes, and the Dice if the truth is known;
    - overlay: `slices.png` and `slices.avi`, every slice with its predicted and true contour, and `view3d.html`, the
      surface in 3-D, if the extra `view3d` is installed and the spacing is known;
    - gif: `slices.gif`, the same as `slices.avi`.

    Args:
        path: The file of the stack, or the folder of a DICOM series.
        clip: The clip read from it; its thickness is known.
        prediction: The prediction for the clip.
        folder: The folder to write to; it is made if it is missing.
        keep: What to write, by the names above; other names are ignored.
        thresholds: Thresholds to compare; see `write_thresholds`. None are compared if it is empty.
        watch: Gets the seconds of each output.

    Returns:
        The content of `stack.json`: `volume_mm3` and `volume_ml` if the spacing is known; if the truth is known
        also `true_volume_ml`, `dice` (the mean over slices that show a ventricle in either) and `volume_dice`.

    Raises:
        DataError: A file cannot be written.
    """
    volume = open_volume(path)
    masks, true = prediction.masks, _read_truth(path)
    watch = watch or Stopwatch()
    folder.mkdir(parents=True, exist_ok=True)
    if "masks" in keep:
        with watch.measure("masks"):
            write_mask(folder / "mask.nii.gz", masks, volume)
    pixel_area = clip.spacing[0] * clip.spacing[1]

    def volume_mm3(areas: np.ndarray) -> float:
        return float(slice_volumes(areas, clip.spacing, clip.thickness).sum())

    table = pd.DataFrame({"slice": np.arange(len(masks)), "area_mm2": prediction.areas * pixel_area})
    if prediction.review is not None:
        table["review"] = prediction.review.astype(int)
    titles = [f"slice {number}" for number in table["slice"]]
    mm3 = volume_mm3(prediction.areas)
    metrics = {"volume_mm3": mm3, "volume_ml": mm3 / MM3_PER_ML}
    if true is not None:
        areas = true.sum(axis=(1, 2))
        table["true_area_mm2"], table["dice"] = areas * pixel_area, dice(masks, true)
        metrics["true_volume_ml"] = volume_mm3(areas) / MM3_PER_ML
        metrics["dice"] = float(table["dice"][prediction.areas + areas > 0].mean())
        metrics["volume_dice"] = dice(masks.reshape(1, -1, 1), true.reshape(1, -1, 1)).item()
        titles = [f"{title}, Dice {score:.3f}" for title, score in zip(titles, table["dice"], strict=True)]
    metrics = {name: value for name, value in metrics.items() if np.isfinite(value)}
    if "frames" in keep:
        with watch.measure("frames"):
            table.to_csv(folder / "slices.csv", index=False, float_format="%.4f")
            (folder / "stack.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    if {"overlay", "gif"} & {*keep}:
        images = slice_images(clip.frames, prediction, true)
    if "gif" in keep:
        with watch.measure("gif"):
            write_gif(folder / "slices.gif", iter(images), fps=SLICES_PER_SECOND)
    if thresholds:
        with watch.measure("thresholds"):
            write_thresholds(clip, prediction, thresholds, folder, name=path.name, true=true)
    if "overlay" not in keep:
        return metrics
    with watch.measure("overlay"):
        slices_figure(folder / "slices.png", images, titles, truth=true is not None)
        slices_video(folder / "slices.avi", images)
    shapes = {"prediction": masks} if true is None else {"prediction": masks, "truth": true}
    if not find_spec("plotly") or not find_spec("skimage"):
        hint = "view3d.html is not written; install what it needs by pip install 'echoseg[view3d]'"
        tqdm.write(f"echoseg: {path.name}: {hint}", file=sys.stderr)
    elif "volume_ml" in metrics:
        with watch.measure("view3d"):
            write_view(folder / "view3d.html", shapes, slices_affine(volume), "Left ventricle", _captions(metrics))
    return metrics


def _captions(metrics: dict[str, float]) -> dict[str, str]:
    """The values that the 3-D page shows, with their units."""
    captions = {"volume": f"{metrics['volume_ml']:.1f} ml"}
    if "volume_dice" in metrics:
        captions |= {
            "true volume": f"{metrics['true_volume_ml']:.1f} ml",
            "volume Dice": f"{metrics['volume_dice']:.3f}",
        }
    return captions


def _read_truth(path: Path) -> np.ndarray | None:
    """The true masks beside the stack; None, with a warning, if they cannot be used."""
    truth = find_truth(path)
    if truth is None:
        return None
    try:
        return read_truth(path, truth)
    except DataError as error:
        tqdm.write(f"echoseg: {error}; the prediction is written without a comparison", file=sys.stderr)
        return None
