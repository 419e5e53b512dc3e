"""The files that a prediction for a stack of slices over time (a short-axis cine) writes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from echoseg.inference.measure import Measurement
from echoseg.inference.predictor import Prediction
from echoseg.io.clip import Clip
from echoseg.report.film import frame_rate, write_gif
from echoseg.report.mask_files import write_masks
from echoseg.report.overlay import write_video
from echoseg.report.slices import slice_images, slices_figure
from echoseg.training.stopwatch import Stopwatch


def write_cine_stack(
    path: Path,
    clip: Clip,
    prediction: Prediction,
    measurement: Measurement,
    folder: Path,
    *,
    keep: Collection[str] = ("masks", "frames", "overlay"),
    watch: Stopwatch | None = None,
) -> None:
    """Write the results of one stack over time, beside the true masks if the measurement has them.

    - masks: `mask.nii.gz`, in the order and shape and with the affine of the file, or `masks.tif` for a TIFF;
    - frames: `volumes.csv`, the volume of each time point, with ED and ES, and `slices.csv`, the area of each slice;
      both with the truth of the time points that are traced, and `slices.csv` with the Dice;
    - overlay: `slices_ED.png` and `slices_ES.png`, the slices of the first heart beat at these time points with their
      contours, and `overlay.avi`, the slice with the largest mean area over time;
    - gif: `overlay.gif`, the same as `overlay.avi`.

    Args:
        path: The file.
        clip: The clip read from it, a stack with several time points.
        prediction: The prediction for the clip.
        measurement: The measurement of the prediction.
        folder: The folder to write to; it is made if it is missing.
        keep: What to write, by the names above; other names are ignored.
        watch: Gets the seconds of each output.

    Raises:
        DataError: A video cannot be opened.
        OSError: A file cannot be written.
    """
    watch = watch or Stopwatch()
    folder.mkdir(parents=True, exist_ok=True)
    areas = prediction.areas.reshape(clip.time_points, -1)
    slices, truth = areas.shape[1], measurement.truth

    def images(frames: np.ndarray) -> list[np.ndarray]:
        return slice_images(
            clip.frames[frames], prediction.take(frames), None if truth is None else truth.masks[frames]
        )

    largest = np.arange(clip.time_points) * slices + int(areas.mean(axis=0).argmax())
    if "masks" in keep:
        with watch.measure("masks"):
            write_masks(path, prediction.masks, folder)
    if "frames" in keep:
        with watch.measure("frames"):
            _curve(clip, measurement).to_csv(folder / "volumes.csv", index=False, float_format="%.3f")
            times, numbers = np.indices(areas.shape).reshape(2, -1)
            table = pd.DataFrame({"time": times, "slice": numbers, "area_px": prediction.areas})
            if np.isfinite(clip.spacing).all():
                table["area_mm2"] = prediction.areas * (clip.spacing[0] * clip.spacing[1])
            if truth is not None:
                table["true_area_px"] = np.where(np.isnan(truth.volumes), np.nan, truth.masks.sum(axis=(1, 2)))
                table["dice"] = truth.dice
            table.to_csv(folder / "slices.csv", index=False, float_format="%.4f")
    if "overlay" in keep:
        with watch.measure("overlay"):
            for name, time in _first_beat(measurement):
                titles = [f"{name}, slice {number}" for number in range(slices)]
                stack = images(np.arange(slices) + time * slices)
                is_traced = truth is not None and np.isfinite(truth.curve[time])
                slices_figure(folder / f"slices_{name}.png", stack, titles, truth=is_traced)
            write_video(folder / "overlay.avi", images(largest), fps=frame_rate(clip))
    if "gif" in keep:
        with watch.measure("gif"):
            write_gif(folder / "overlay.gif", iter(images(largest)), fps=frame_rate(clip))


def _curve(clip: Clip, measurement: Measurement) -> pd.DataFrame:
    """A row for each time point: its number, its volume and its phase."""
    volumes = measurement.volumes.reshape(clip.time_points, -1).sum(axis=1)
    table = pd.DataFrame({"time": np.arange(clip.time_points), f"volume_{measurement.unit}": volumes, "phase": ""})
    if measurement.truth is not None:
        table.insert(2, f"true_volume_{measurement.unit}", measurement.truth.curve)
    table.loc[measurement.ed, "phase"], table.loc[measurement.es, "phase"] = "ED", "ES"
    return table


def _first_beat(measurement: Measurement) -> Iterator[tuple[str, int]]:
    """The phases of the first heart beat with their time points; none if there is no beat."""
    for name, times in (("ED", measurement.ed), ("ES", measurement.es)):
        if len(times):
            yield name, int(times[0])
