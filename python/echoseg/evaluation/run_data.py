"""A run together with the data set on which it is evaluated."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from echoseg.datasets.formats import read_dataset
from echoseg.datasets.recording import Recording
from echoseg.datasets.statement import log_statement
from echoseg.datasets.store import Store, is_store, open_store, prepare
from echoseg.errors import DataError
from echoseg.evaluation.beat_effort import beat_effort
from echoseg.evaluation.evaluate import Evaluation, evaluate, split_indices
from echoseg.evaluation.postprocess_ablation import postprocess_ablation, postprocess_ladder
from echoseg.inference.predictor import Predictor, load
from echoseg.io.reading import axis3_taken_for
from echoseg.models.normalize import NetworkFactory
from echoseg.phantom.cached import cached_phantom
from echoseg.training import checkpoint
from echoseg.training.config import Config
from echoseg.training.config_file import load_config
from echoseg.training.logs import logger
from echoseg.training.training_sets import fingerprint


@dataclass(frozen=True, eq=False)
class RunData:
    """The predictor of a run, and a data set that is prepared for it.

    Attributes:
        predictor: The predictor of the run.
        data: The folder of the data set or of the store.
        store: The store of the data set, with the size, ordering and field of view that the run was trained with.
        axis3: What the third axis of volumes is; see `echoseg.datasets.store.prepare`.
        is_own: Whether the run was trained on `data`, wherever they lie now. Without the training state, which a copy
            of the run may lack, data that were moved are not known again; nor are they if its corrections have changed
            since.
    """

    predictor: Predictor
    data: Path
    store: Store
    axis3: str | None = None
    is_own: bool = False

    @cached_property
    def recordings(self) -> Mapping[str, Recording] | None:
        """The recordings by name of the video; None if `data` is a store, which contains only the traced frames.

        Raises:
            DataError: The data set cannot be read.
        """
        if is_store(self.data):
            return None
        with axis3_taken_for(self.axis3):
            rule = self.store.manifest.get("patient_rule")
            dataset = read_dataset(self.data, self.predictor.config.structure, rule)
        return {recording.name: recording for recording in dataset.recordings}

    def evaluate(
        self, split: str = "test", *, steps: Sequence[str] = (), whole_videos: bool = False, blanks: bool = False
    ) -> Evaluation:
        """Evaluate the run on one split.

        Args:
            split: "train", "val", "test" or "all".
            steps: Post-processing steps; see `echoseg.inference.postprocess`.
            whole_videos: Whether to predict also all frames of the split's videos, for EF by detected beats.
            blanks: Whether the measures of blank slices are averaged with those of the other images.

        Returns:
            The evaluation.

        Raises:
            DataError: The store has no image in this split, a step is unknown, or the videos are needed and `data` is a
                store.
        """
        recordings = self.recordings if whole_videos else None
        with axis3_taken_for(self.axis3):
            return evaluate(
                self.predictor,
                self.store,
                split,
                steps=steps,
                recordings=recordings,
                whole_videos=whole_videos,
                blanks=blanks,
            )

    def beat_effort(self, split: str, radius: float) -> pd.DataFrame:
        """Simulate the correction of all frames of the split's cines.

        Args:
            split: "train", "val", "test" or "all".
            radius: The radius of the brush, pixels.

        Returns:
            The table of `echoseg.evaluation.beat_effort.beat_effort`.

        Raises:
            DataError: `data` is a store, the split has no image, or none of its videos has enough traced frames.
        """
        if self.recordings is None:
            raise DataError(f"{self.data}: a store does not contain whole videos; give --data the folder of videos")
        names = self.store.samples["video"].iloc[split_indices(self.predictor, self.store, split)].unique()
        with axis3_taken_for(self.axis3):
            return beat_effort(self.predictor, [self.recordings[name] for name in names], radius=radius)

    def postprocess_ablation(self, split: str) -> pd.DataFrame:
        """Evaluate each post-processing step alone.

        Args:
            split: "train", "val", "test" or "all".

        Returns:
            The table of `echoseg.evaluation.postprocess_ablation.postprocess_ablation`.

        Raises:
            DataError: The store has no image in this split.
        """
        with axis3_taken_for(self.axis3):
            return postprocess_ablation(self.predictor, self.store, split)

    def postprocess_ladder(self, split: str, steps: Sequence[str] = ()) -> pd.DataFrame:
        """Evaluate post-processing steps that are added one after the other.

        Args:
            split: "train", "val", "test" or "all".
            steps: The steps in their order; empty takes those of Craciun that the run's approach has.

        Returns:
            The table of `echoseg.evaluation.postprocess_ablation.postprocess_ladder`.

        Raises:
            DataError: The store has no image in this split, or a step cannot be applied.
        """
        with axis3_taken_for(self.axis3):
            return postprocess_ladder(self.predictor, self.store, split, steps)


def load_run_data(
    run: str | os.PathLike[str],
    data: str | os.PathLike[str] | Store | None = None,
    *,
    device: str = "auto",
    network: NetworkFactory | None = None,
) -> RunData:
    """Load a run, and prepare a data set for it.

    Args:
        run: The run folder.
        data: The folder of a data set, or a store. None uses the data set that the run was trained on, which may be the
            phantom data set.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        network: The function that makes the network, if one was passed to the training.

    Returns:
        The run and its data.

    Raises:
        DataError: There is no run, a file is damaged, the device does not exist, the data set cannot be used, or the
            run is the ensemble of a cross-validation on these data.
    """
    run_data = prepare_run_data(run, data, device=device, network=network)
    if run_data.predictor.config.folds is not None and run_data.is_own:
        raise DataError(
            f"{Path(run)}: the ensemble has seen all patients of these data; the pooled test of its folds is in "
            f"{Path(run) / 'metrics.json'}; measure it on other data by --data FOLDER --split all"
        )
    return run_data


def prepare_run_data(
    run: str | os.PathLike[str],
    data: str | os.PathLike[str] | Store | None = None,
    *,
    axis3: str | None = None,
    device: str = "auto",
    network: NetworkFactory | None = None,
) -> RunData:
    """Load a run, and prepare data for it that it may have been trained on; see `load_run_data`.

    Args:
        run: The run folder.
        data: The folder of a data set, or a store; None: the data set that the run was trained on.
        axis3: What the third axis of the volumes in `data` is. For the data that the run was trained on, it is that of
            the run.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        network: The function that makes the network, if one was passed to the training.

    Raises:
        DataError: There is no run, a file is damaged, the device does not exist, or the data set cannot be used.
    """
    predictor = load(run, device=device, network=network)
    config = predictor.config
    is_own = data is None
    if data is None:
        data = config.data or cached_phantom(size=config.size, ordering=config.ordering)
    folder = data.path if isinstance(data, Store) else Path(data)
    source = open_store(folder).source if is_store(folder) else folder.resolve()
    is_own = is_own or (config.data is not None and source == Path(config.data))
    trained = _runs_with_state(Path(run), config)
    options = config.store_options
    if is_own:
        store = prepare(folder, **options)
        if trained and not config.corrections and not _was_trained_on(trained, store):
            logger.warning(
                "%s: the images, contours, patients or splits are not those of the training, so images that the "
                "network has learned may be in the test split",
                folder,
            )
        return RunData(predictor, folder, store, options["axis3"], is_own=True)
    if trained and (config.patients or config.axis3 or config.corrections):
        moved = _prepare_moved(trained, config, folder)
        if moved is not None:
            return RunData(predictor, folder, moved, options["axis3"], is_own=True)
    # the run's own axis3 and patients are properties of its own data
    store = prepare(folder, **options | {"axis3": axis3, "patients": None})
    return RunData(predictor, folder, store, axis3, _was_trained_on(trained, store))


def _prepare_moved(trained: Sequence[Path], config: Config, folder: Path) -> Store | None:
    """Prepare data as those that a run was trained on; None if they are others, or the corrections have changed."""
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))  # data are stated once, as they are used
    try:
        store = corrected = prepare(folder, **config.store_options)
        if config.corrections:
            corrected = prepare(folder, corrections=config.corrections, **config.store_options)
    except (DataError, OSError):
        return None
    finally:
        logger.setLevel(level)
    if not _was_trained_on(trained, corrected):
        return None
    log_statement(store.manifest)
    return store


def _runs_with_state(run: Path, config: Config) -> list[Path]:
    """The folder of a run, or those of the folds of a cross-validation, where they have their training state."""
    folders = checkpoint.fold_folders(run, config) or [run]
    return [folder for folder in folders if (folder / checkpoint.CONFIG).is_file() and checkpoint.has_state(folder)]


def _was_trained_on(trained: Sequence[Path], store: Store) -> bool:
    """Whether one of the runs was trained on the frames and contours of a store, wherever the data lie now.

    Args:
        trained: Folders of runs with their training state.
        store: A store that is prepared for these runs, with their corrections.
    """
    for folder in trained:
        try:
            splits = load_config(folder / checkpoint.CONFIG).splits(store.samples)
            if checkpoint.load_state(folder)[0].get("data") == fingerprint(store, splits):
                return True
        except DataError:  # a damaged state, or other data, which lack the run's test fold
            continue
    return False


def training_store(config: Config) -> Store:
    """The store of the data set that a run was trained on, which may be the phantom data set.

    Args:
        config: The settings of the run.

    Raises:
        DataError: The data set is gone or cannot be used.
    """
    folder = config.data or cached_phantom(size=config.size, ordering=config.ordering)
    return prepare(Path(folder), **config.store_options)
