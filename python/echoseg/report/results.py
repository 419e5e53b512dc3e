"""The files that an evaluation or a prediction writes."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from echoseg.datasets.store import Store
from echoseg.datasets.structure import LEFT_VENTRICLE
from echoseg.errors import DataError
from echoseg.evaluation.evaluate import Evaluation
from echoseg.inference.measure import Measurement
from echoseg.inference.predictor import Prediction, Predictor
from echoseg.io.clip import Clip
from echoseg.report.case_files import write_cases
from echoseg.report.cine_stack_files import write_cine_stack
from echoseg.report.figures import (
    attention_figure,
    bland_altman_figure,
    ceiling_figure,
    curves_figure,
    orderings_figure,
    overlay_figure,
)
from echoseg.report.film import film, frame_rate, write_gif
from echoseg.report.image_files import write_frame_images
from echoseg.report.mask_files import write_masks, write_nifti
from echoseg.report.overlay import write_video
from echoseg.report.stack_files import STACK_OUTPUTS, write_stack
from echoseg.report.thresholds import write_thresholds
from echoseg.training.run_files import training_seconds
from echoseg.training.stopwatch import Stopwatch
from echoseg.utils.checksum import add_checksum
from echoseg.utils.files import replace_file


def write_evaluation(evaluation: Evaluation, store: Store, split: str, folder: Path) -> None:
    """Add one split to the `metrics.json` of a folder, and write its tables and figures.

    Args:
        evaluation: The evaluation of the split.
        store: The store that was evaluated.
        split: "train", "val", "test" or "all".
        folder: The folder to write to; it is made if it is missing.

    Raises:
        DataError: The existing `metrics.json` is damaged.
    """
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    path = folder / "metrics.json"
    _read_metrics(path)
    _delete_optional_files(split, folder)
    watch = Stopwatch()
    with watch.measure("images"):
        _write_table(evaluation.images, folder / f"images_{split}.csv", "%.5f")
        if groups := evaluation.summary.get("subgroups"):
            _write_table(pd.DataFrame(groups), folder / f"subgroups_{split}.csv", "%.5f")
    with watch.measure("overlay"):
        frames, contours = store.frames[evaluation.indices], [store.contour(i) for i in evaluation.indices]
        overlay_figure(evaluation, frames, contours, figures / f"overlay_{split}.png")
    with watch.measure("cases"):
        write_cases(evaluation, frames, contours, folder / f"cases_{split}.json")
    with watch.measure("volumes"):
        write_volumes(evaluation.volumes, split, folder)
        if len(evaluation.videos):
            write_volumes(evaluation.videos, f"videos_{split}", folder)
        if len(evaluation.stacks):
            _write_table(evaluation.stacks, folder / f"stacks_{split}.csv", "%.4f")
    seconds = {**training_seconds(folder), **evaluation.seconds, "outputs": watch.seconds()}
    entry = add_checksum({**evaluation.summary, "data": str(store.path), "seconds": seconds})
    metrics = _read_metrics(path) | {split: entry}  # another process may have added its split in the meantime
    text = json.dumps(metrics, indent=2) + "\n"
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _delete_optional_files(split: str, folder: Path) -> None:
    """Delete the files that an earlier evaluation of the split has left, and that this one may not write."""
    names = ("subgroups_{}.csv", "stacks_{}.csv", "volumes_videos_{}.csv", "protocol_*_{}.md")
    figures = ("figures/bland_altman_{}.png", "figures/bland_altman_videos_{}.png")
    for path in [path for name in (*names, *figures) for path in folder.glob(name.format(split))]:
        path.unlink()


def _read_metrics(path: Path) -> dict[str, Any]:
    """The content of `metrics.json`; empty if there is none."""
    try:
        return {**json.loads(path.read_text(encoding="utf-8"))} if path.exists() else {}
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: is damaged ({error}); delete it and run 'echoseg evaluate' again") from None


def write_run(run: Path, store: Store, predictor: Predictor, evaluations: Mapping[str, Evaluation]) -> None:
    """Write what a finished training leaves in its folder: `metrics.json`, tables and figures, and the curves.

    Args:
        run: The run folder.
        store: The store that was evaluated.
        predictor: The predictor of the run.
        evaluations: The evaluations by split; empty after a training on all patients.

    Raises:
        DataError: The existing `metrics.json` is damaged.
    """
    (run / "figures").mkdir(exist_ok=True)
    if not evaluations and not (run / "metrics.json").exists():
        replace_file(run / "metrics.json", lambda temporary: temporary.write_text("{}\n", encoding="utf-8"))
    for split, evaluation in evaluations.items():
        write_evaluation(evaluation, store, split, run)
        write_attention(predictor, evaluation, store, split, run)
    curves_figure(pd.read_csv(run / "log.csv"), run / "figures" / "curves.png")


def write_volumes(table: pd.DataFrame, name: str, folder: Path) -> None:
    """Write `volumes_NAME.csv` and, if the EF has a reference, `figures/bland_altman_NAME.png`.

    Args:
        table: A table of volumes from `evaluation.ejection`.
        name: The name of the split, with the prefix `videos_` for whole videos.
        folder: The folder to write to; it contains `figures/`.
    """
    _write_table(table, folder / f"volumes_{name}.csv", "%.3f")
    bland_altman_figure(table, folder / "figures" / f"bland_altman_{name}.png")


def _write_table(table: pd.DataFrame, path: Path, number_format: str) -> None:
    replace_file(path, partial(table.to_csv, index=False, float_format=number_format))


def write_attention(predictor: Predictor, evaluation: Evaluation, store: Store, split: str, folder: Path) -> None:
    """Write `figures/attention_SPLIT.png` if the network has attention gates; see `write_evaluation`."""
    if predictor.has_attention:
        path = folder / "figures" / f"attention_{split}.png"
        attention_figure(evaluation, store.frames[evaluation.indices], predictor, path)


def write_prediction(
    path: Path,
    clip: Clip,
    prediction: Prediction,
    measurement: Measurement,
    folder: Path,
    *,
    keep: Collection[str],
    thresholds: Sequence[float] = (),
    structure: str = LEFT_VENTRICLE,
) -> dict[str, float]:
    """Write the results of one file. Those of a stack of slices are written by `write_stack` or `write_cine_stack`.

    Args:
        path: The file.
        clip: The clip read from it, of T ≥ 1 frames.
        prediction: The prediction for the clip.
        measurement: The measurement of the prediction.
        folder: The folder to write to.
        keep: What to write, by names of `OUTPUTS`.
        thresholds: Thresholds to compare, mask approach only; see `write_thresholds`. None are compared if it is empty.
        structure: The name of what is segmented.

    Returns:
        The seconds that each output took, by name.

    Raises:
        DataError: A video cannot be opened.
        OSError: A file cannot be written.
    """
    watch = Stopwatch()
    others = keep
    if clip.time_points > 1:
        write_cine_stack(path, clip, prediction, measurement, folder, keep=keep, watch=watch)
        others = [name for name in keep if name not in STACK_OUTPUTS]
    elif np.isfinite(clip.thickness):
        write_stack(
            path,
            clip,
            prediction,
            measurement,
            folder,
            structure=structure,
            keep=keep,
            thresholds=thresholds,
            watch=watch,
        )
        others = [name for name in keep if name not in STACK_OUTPUTS]
    if thresholds and (clip.time_points > 1 or not np.isfinite(clip.thickness)):
        with watch.measure("thresholds"):
            write_thresholds(clip, prediction, thresholds, folder, name=path.name)
    for name in others:
        with watch.measure(name):
            OUTPUTS[name](path, clip, prediction, measurement, folder)
    return watch.seconds()


def _write_masks(source: Path, clip: Clip, prediction: Prediction, measurement: Measurement, folder: Path) -> None:
    write_masks(source, prediction.masks, folder)


def _write_nifti(source: Path, clip: Clip, prediction: Prediction, measurement: Measurement, folder: Path) -> None:
    write_nifti(source, clip, prediction.masks, folder)


def _write_frames(source: Path, clip: Clip, prediction: Prediction, measurement: Measurement, folder: Path) -> None:
    table = pd.DataFrame({"frame": np.arange(len(clip.frames)), "area_px": prediction.areas})
    if prediction.area_intervals is not None and prediction.review is not None:
        table["area_low_px"], table["area_high_px"] = prediction.area_intervals.T
        table["review"] = prediction.review.astype(int)
    table[f"volume_{measurement.unit}"] = measurement.volumes
    table["phase"] = ""
    table.loc[measurement.ed, "phase"], table.loc[measurement.es, "phase"] = "ED", "ES"
    if prediction.landmarks is not None:
        for k in range(prediction.landmarks.shape[1]):
            table[f"x{k}"], table[f"y{k}"] = prediction.landmarks[:, k].T
    table.to_csv(folder / "frames.csv", index=False, float_format="%.3f")


def _write_overlay(source: Path, clip: Clip, prediction: Prediction, measurement: Measurement, folder: Path) -> None:
    write_video(folder / "overlay.avi", film(clip, prediction, measurement), fps=frame_rate(clip))


def _write_gif(source: Path, clip: Clip, prediction: Prediction, measurement: Measurement, folder: Path) -> None:
    write_gif(folder / "overlay.gif", film(clip, prediction, measurement), fps=frame_rate(clip))


def _write_png(source: Path, clip: Clip, prediction: Prediction, measurement: Measurement, folder: Path) -> None:
    write_frame_images(source, clip, prediction, folder / "png")


OUTPUTS = {
    "masks": _write_masks,
    "frames": _write_frames,
    "overlay": _write_overlay,
    "gif": _write_gif,
    "png": _write_png,
    "nifti": _write_nifti,
}
"""The functions that write the outputs, by name.

- `masks`: `masks.tif`, one page per frame, 0 or 255; for a volume `mask.nii.gz`.
- `frames`: `frames.csv`, one row per frame: area, volume, phase and landmarks, and for calibrated runs the 95 %
  interval of the area and whether the frame is marked for review.
- `overlay`: `overlay.avi`, the film of the clip.
- `gif`: `overlay.gif`, the same as an animated GIF.
- `png`: `png/masks/` and `png/overlays/`, an image per frame, named by the file and the frame.
- `nifti`: `mask.nii.gz`, of any clip; its axes are column, row, slice and time.

`write_stack` writes those of a stack of slices.
"""


def write_orderings(table: pd.DataFrame, masks: dict[str, np.ndarray], frames: np.ndarray, folder: Path) -> None:
    """Write `orderings.csv`, the comparison, and `orderings.png`, the image whose orderings differ most.

    Args:
        table: The result of `compare_orderings`.
        masks: The result of `masks_by_ordering`.
        frames: The traced frames, (N, H, W) uint8.
        folder: The folder to write to.
    """
    table.to_csv(folder / "orderings.csv", index=False, float_format="%.4f")
    index = int((masks["angle"] != masks["chords"]).sum(axis=(1, 2)).argmax())
    scores = dict(zip(table["ordering"], table["mean"], strict=True))
    selected = {name: mask[index] for name, mask in masks.items()}
    orderings_figure(frames[index], selected, scores, folder / "orderings.png")


def write_ceiling(table: pd.DataFrame, folder: Path) -> None:
    """Write `landmarks.csv` and `landmarks.png`, the accuracy of masks that are computed from the true landmarks.

    Args:
        table: The result of `landmark_ceiling`.
        folder: The folder to write to.
    """
    table.to_csv(folder / "landmarks.csv", index=False, float_format="%.5f")
    ceiling_figure(table, folder / "landmarks.png")
