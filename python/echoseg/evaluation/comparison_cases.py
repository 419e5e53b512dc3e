"""The runs of a comparison, and the images on which they are compared: those that none of them was trained on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from echoseg.datasets.store import Store
from echoseg.errors import DataError
from echoseg.evaluation.evaluate import split_indices
from echoseg.evaluation.run_data import RunData, prepare_run_data
from echoseg.geometry.contour import contour_area
from echoseg.inference.predictor import Predictor, load
from echoseg.phantom.cached import cached_phantom
from echoseg.training.checkpoint import CONFIG, fold_folders
from echoseg.training.config_file import load_config

_KEY = ["video", "frame"]
_SPACING = ["spacing_y", "spacing_x"]
_PROPERTIES = ("phase", "view", "quality", "sex", "age")


@dataclass(frozen=True, eq=False)
class ComparedRun:
    """A run of a comparison.

    Attributes:
        name: Its name in tables and figures.
        data: The run, and the data that are prepared for it.
        splits: (N,) str, what the run used each image of the store for: "train", "val", "test" or "unused"; "" for
            images of other data than it was trained on.
        parts: The networks, each with the images of the store that it predicts, (n,) int64. A cross-validation predicts
            each image of its own data by the fold that was not trained on it.
    """

    name: str
    data: RunData
    splits: np.ndarray
    parts: list[tuple[Predictor, np.ndarray]]

    @property
    def has_seen(self) -> np.ndarray:
        """(N,) bool: the images of patients that the run was trained or validated on."""
        patients = self.data.store.samples["patient"]
        return patients.isin(set(patients[np.isin(self.splits, ("train", "val"))])).to_numpy()

    def predictor_of(self, video: str) -> Predictor:
        """The network that predicts a video of the store."""
        of_video = np.flatnonzero(self.data.store.samples["video"] == video)
        return next(predictor for predictor, own in self.parts if np.isin(of_video, own).any())

    def indices(self, keys: pd.DataFrame) -> np.ndarray:
        """(N,) int64: where the images with these `video` and `frame` are in the run's store; -1 for missing ones."""
        return pd.MultiIndex.from_frame(self.data.store.samples[_KEY]).get_indexer(pd.MultiIndex.from_frame(keys[_KEY]))


@dataclass(frozen=True, eq=False)
class Cases:
    """The images on which methods are compared, in the pixels of their original frames.

    Attributes:
        store: The store of the first run. Its contours are the true ones for all methods.
        indices: (N,) int64, the images in this store.
        table: A row per image: video, frame, patient, phase, view, quality, sex, age, path (of the recording's file in
            the data set), height and width in pixels, spacing_y and spacing_x in mm per pixel, nan if unknown.
        notes: What was left out and why, a line each.
    """

    store: Store
    indices: np.ndarray
    table: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """The unit of distances: "mm" if the spacing of all images is known, else "px"."""
        return "mm" if self.table[_SPACING].notna().all(axis=None) else "px"

    def take(self, chosen: np.ndarray) -> Cases:
        """Some of the images, by their places."""
        return Cases(self.store, self.indices[chosen], self.table.iloc[chosen].reset_index(drop=True))

    def true_contours(self) -> list[np.ndarray]:
        """N contours, (P, 2) float32, pixels of the original frames."""
        return [self.store.crop(i).points_in_frame(self.store.contour(i)) for i in self.indices]

    def true_areas(self) -> np.ndarray:
        """(N,) float64, in the square of `unit`."""
        areas = np.array([float(contour_area(contour)) for contour in self.true_contours()])
        return areas * self.table[_SPACING].prod(axis=1).to_numpy() if self.unit == "mm" else areas


def load_compared_runs(
    runs: Sequence[str | os.PathLike[str]],
    data: str | os.PathLike[str] | Store | None = None,
    *,
    device: str = "auto",
) -> list[ComparedRun]:
    """Load runs, and prepare the same data for each of them.

    Args:
        runs: The run folders.
        data: The folder of a data set, or a store; None: the data set that the first run was trained on.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".

    Raises:
        DataError: A run is given twice or cannot be used, or the data cannot be used.
    """
    paths = [Path(run) for run in runs]
    configs = [load_config(path / CONFIG) if (path / CONFIG).is_file() else None for path in paths]
    first = configs[0]
    axis3 = None
    if data is None and first is not None:
        data, axis3 = first.data, first.axis3
    loaded = []
    for name, path, config in zip(_names(paths), paths, configs, strict=True):
        shared = data
        if shared is None and config is not None and config.data is not None:  # trained on others than phantoms
            shared = cached_phantom(size=config.size, ordering=config.ordering)
        run_data = prepare_run_data(path, shared, axis3=axis3, device=device)
        loaded.append(_with_splits(name, path, run_data, device))
    return loaded


def choose_cases(runs: Sequence[ComparedRun], split: str) -> Cases:
    """Choose the images of a split that are fair to all runs.

    With "test" and "all", images of patients that a run was trained or validated on are left out. With "train" and
    "val", images that are in another split of a run are left out. Blank slices of stacks are left out.

    Args:
        runs: The runs. The split is that of the first one.
        split: "train", "val", "test" or "all".

    Raises:
        DataError: The split has no image, or none is left.
    """
    first = runs[0]
    store, is_pooled = first.data.store, len(first.parts) > 1
    chosen = np.arange(len(store)) if is_pooled else split_indices(first.data.predictor, store, split)
    chosen = chosen[~store.blank[chosen]]
    notes = []
    for run in runs:
        found = run.indices(store.samples.iloc[chosen])
        if split in ("test", "all"):
            is_unfair, reason = run.has_seen[found], "of patients that it was trained or validated on"
        else:
            is_unfair, reason = ~np.isin(run.splits[found], ("", split)), f"that are not in its split {split!r}"
        for is_out, text in ((found < 0, "that are not in its store"), (is_unfair & (found >= 0), reason)):
            if is_out.any():
                notes.append(f"{run.name}: {is_out.sum()} of {len(chosen)} images are left out, {text}")
        chosen = chosen[(found >= 0) & ~is_unfair]
        if not len(chosen):
            described = f"; {notes[-1]}" if notes else ""
            raise DataError(
                f"{store.source}: no image of split {split!r} is fair to all runs{described}; compare them on other "
                "data by --data FOLDER --split all"
            )
    samples = store.samples.iloc[chosen]
    table = samples[[*_KEY, "patient", *_PROPERTIES, "path", "height", "width"]].reset_index(drop=True)
    scales = np.array([store.crop(i).scale for i in chosen])
    table[_SPACING] = samples[_SPACING].to_numpy() * scales[:, ::-1]
    return Cases(store, chosen, table, tuple(notes))


def _with_splits(name: str, path: Path, data: RunData, device: str) -> ComparedRun:
    config, count = data.predictor.config, len(data.store)
    folds = fold_folders(path, config)
    if not data.is_own:
        return ComparedRun(name, data, np.full(count, ""), [(data.predictor, np.arange(count))])
    if not folds:
        return ComparedRun(name, data, config.splits(data.store.samples), [(data.predictor, np.arange(count))])
    networks = [load(run, device=device) for run in folds]
    parts = [(one, np.flatnonzero(one.config.splits(data.store.samples) == "test")) for one in networks]
    return ComparedRun(name, data, np.full(count, "test"), parts)


def _names(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that differ.

    Raises:
        DataError: Two paths are the same.
    """
    resolved = [path.resolve() for path in paths]
    if repeated := next((path for path in paths if resolved.count(path.resolve()) > 1), None):
        raise DataError(f"{repeated}: is given twice; give each run once")
    parts = 1
    while len({path.parts[-parts:] for path in resolved}) < len(resolved):
        parts += 1
    return ["/".join(path.parts[-parts:]) for path in resolved]
