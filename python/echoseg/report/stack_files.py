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

from echoseg.datasets.structure import LEFT_VENTRICLE
from echoseg.inference.measure import Measurement
from echoseg.inference.predictor import Prediction
from echoseg.io.clip import Clip
from echoseg.io.nifti import slices_affine
from echoseg.io.reading import open_volume
from echoseg.metrics.volumes import MM3_PER_ML
from echoseg.report.film import write_gif
from echoseg.report.mask_files import write_masks
from echoseg.report.patient_volumes import NORMAL_RANGES
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
    measurement: Measurement,
    folder: Path,
    *,
    structure: str = LEFT_VENTRICLE,
    keep: Collection[str] = ("masks", "frames", "overlay"),
    thresholds: Sequence[float] = (),
    watch: Stopwatch | None = None,
) -> dict[str, float]:
    """Write the results of one stack, beside the true masks if the measurement has them.

    - masks: `mask.nii.gz`, in the order and shape and with the affine of the stack's file, or `masks.tif` for a TIFF;
    - frames: `slices.csv` and `stack.json`, areas, probabilities and volumes, and the Dice if the truth is known;
    - overlay: `slices.png` and `slices.avi`, every slice with its predicted and true contour, and `view3d.html`, the
      surface in 3-D, if the extra `view3d` is installed and the spacing is known;
    - gif: `slices.gif`, the same as `slices.avi`.

    Args:
        path: The file of the stack, or the folder of a DICOM series.
        clip: The clip read from it; its thickness is known.
        prediction: The prediction for the clip.
        measurement: The measurement of the prediction.
        folder: The folder to write to; it is made if it is missing.
        structure: The name of what is segmented.
        keep: What to write, by the names above; other names are ignored.
        thresholds: Thresholds to compare; see `write_thresholds`. None are compared if it is empty.
        watch: Gets the seconds of each output.

    Returns:
        The content of `stack.json`: `volume_mm3` and `volume_ml` if the spacing is known; if the truth is known
        also `true_volume_mm3`, `true_volume_ml`, `dice` (the mean over slices with a contour in either) and
        `volume_dice`; if the body surface area is known also `bsa_m2` and `index_ml_per_m2`.

    Raises:
        DataError: A video cannot be opened.
        OSError: A file cannot be written.
    """
    masks, true = prediction.masks, None if measurement.truth is None else measurement.truth.masks
    watch = watch or Stopwatch()
    folder.mkdir(parents=True, exist_ok=True)
    if "masks" in keep:
        with watch.measure("masks"):
            write_masks(path, masks, folder)
    table = _slice_table(clip, prediction, measurement)
    metrics = _stack_metrics(prediction, measurement)
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
        slices_figure(folder / "slices.png", images, _titles(table), truth=true is not None)
        slices_video(folder / "slices.avi", images)
    shapes = {"prediction": masks} if true is None else {"prediction": masks, "truth": true}
    if not find_spec("plotly") or not find_spec("skimage"):
        hint = "view3d.html is not written; install what it needs by pip install 'echoseg[view3d]'"
        tqdm.write(f"echoseg: {path.name}: {hint}", file=sys.stderr)
    elif "volume_ml" in metrics:
        title, captions = structure[:1].upper() + structure[1:], _captions(metrics, structure)
        with watch.measure("view3d"):
            write_view(folder / "view3d.html", shapes, slices_affine(open_volume(path)), title, captions)
    return metrics


def _slice_table(clip: Clip, prediction: Prediction, measurement: Measurement) -> pd.DataFrame:
    """The columns of `slices.csv` that are known, a row for each slice."""
    is_known = bool(np.isfinite(clip.spacing).all())
    unit, pixel_area = ("mm2", clip.spacing[0] * clip.spacing[1]) if is_known else ("px", 1.0)
    truth = measurement.truth
    table = pd.DataFrame({"slice": np.arange(len(clip.frames)), f"area_{unit}": prediction.areas * pixel_area})
    if measurement.confidence is not None:
        table["mean_probability"], table["max_probability"] = measurement.confidence.T
    if prediction.review is not None:
        table["review"] = prediction.review.astype(int)
    if truth is not None:
        table[f"true_area_{unit}"], table["dice"] = truth.masks.sum(axis=(1, 2)) * pixel_area, truth.dice
    return table


def _titles(table: pd.DataFrame) -> list[str]:
    """The title of each slice in the figure: its number, its Dice and the network's probabilities, where known."""
    titles = [f"slice {number}" for number in table["slice"]]
    if "dice" in table:
        scores = ["" if np.isnan(score) else f", Dice {score:.3f}" for score in table["dice"]]
        titles = [f"{title}{score}" for title, score in zip(titles, scores, strict=True)]
    if "max_probability" in table:
        probabilities = zip(titles, table["mean_probability"], table["max_probability"], strict=True)
        titles = [f"{title}\nprobability: mean {mean:.3f}, max {largest:.2f}" for title, mean, largest in probabilities]
    return titles


def _stack_metrics(prediction: Prediction, measurement: Measurement) -> dict[str, float]:
    """The content of `stack.json`; see `write_stack`."""
    truth, unit = measurement.truth, 1.0 if measurement.unit == "ml" else np.nan
    metrics = {"volume_mm3": measurement.volume * unit * MM3_PER_ML, "volume_ml": measurement.volume * unit}
    if truth is not None:
        metrics["true_volume_mm3"] = truth.volume * unit * MM3_PER_ML
        metrics["true_volume_ml"] = truth.volume * unit
        metrics["dice"] = pd.Series(truth.dice).mean()  # over the slices that show anything
        metrics["volume_dice"] = truth.volume_dice
    metrics |= {"bsa_m2": measurement.bsa, "index_ml_per_m2": measurement.volume_index}
    return {name: float(value) for name, value in metrics.items() if np.isfinite(value)}


def _captions(metrics: dict[str, float], structure: str) -> dict[str, str]:
    """The values that the 3-D page shows, with their units."""
    captions = {"volume": f"{metrics['volume_ml']:.1f} ml ({metrics['volume_mm3']:.0f} mm³)"}
    if "volume_dice" in metrics:
        captions |= {
            "true volume": f"{metrics['true_volume_ml']:.1f} ml ({metrics['true_volume_mm3']:.0f} mm³)",
            "volume Dice": f"{metrics['volume_dice']:.3f}",
        }
    if "index_ml_per_m2" in metrics:
        captions["index by body surface area"] = f"{metrics['index_ml_per_m2']:.1f} ml/m²"
        if structure in NORMAL_RANGES:
            captions["normal in echocardiography (Lang et al. 2015)"] = NORMAL_RANGES[structure]
    return captions
