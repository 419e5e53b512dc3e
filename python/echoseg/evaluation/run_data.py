"""A run beside the data set that it is measured on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from echoseg.datasets.formats import read_dataset
from echoseg.datasets.recording import Recording
from echoseg.datasets.store import Store, is_store, prepare
from echoseg.evaluation.evaluate import Evaluation, evaluate
from echoseg.evaluation.postprocess_ablation import postprocess_ablation
from echoseg.evaluation.temporal_context import reach_of
from echoseg.inference.predictor import Predictor, load
from echoseg.models.normalize import NetworkFactory
from echoseg.phantom.cached import cached_phantom


@dataclass(frozen=True, eq=False)
class RunData:
    """A run's predictor, and a data set as the run sees it.

    Attributes:
        predictor: Of the run.
        data: Folder of the data set, or a store.
        store: Its frames, with the size, the ordering and the field of view that the run was trained with.
    """

    predictor: Predictor
    data: Path
    store: Store

    @cached_property
    def recordings(self) -> Mapping[str, Recording] | None:
        """The data set's files and tracings, by video; None of a store, which holds traced frames only.

        Raises:
            DataError: The data set cannot be read.
        """
        if is_store(self.data):
            return None
        return {recording.name: recording for recording in read_dataset(self.data).recordings}

    def evaluate(self, split: str = "test", *, steps: Sequence[str] = (), whole_videos: bool = False) -> Evaluation:
        """Measure the run on one split; see ``evaluate.evaluate``.

        Args:
            split: train, val, test or all.
            steps: Post-processing, see ``inference.postprocess``.
            whole_videos: Also predict every frame of the split's videos, for EF by beats.

        Raises:
            DataError: As for ``evaluate.evaluate``.
        """
        recordings = self.recordings if whole_videos or reach_of(steps) else None
        return evaluate(
            self.predictor, self.store, split, steps=steps, recordings=recordings, whole_videos=whole_videos
        )

    def postprocess_ablation(self, split: str) -> pd.DataFrame:
        """Measure each post-processing step alone; see ``postprocess_ablation.postprocess_ablation``."""
        return postprocess_ablation(self.predictor, self.store, split, self.recordings)


def load_run_data(
    run: str | os.PathLike[str],
    data: str | os.PathLike[str] | Store | None = None,
    *,
    device: str = "auto",
    network: NetworkFactory | None = None,
) -> RunData:
    """Load a run, and prepare a data set for it.

    Args:
        run: Folder that ``echoseg train`` wrote.
        data: Folder of a data set, or a store. None takes the one that the run was trained on, which is a phantom
            where none was given.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        network: The function that made the network, where the training was given one.

    Raises:
        DataError: No run, a damaged file, no such device, or a data set that cannot be used.
    """
    predictor = load(run, device=device, network=network)
    folder = data.path if isinstance(data, Store) else Path(data or predictor.config.data or cached_phantom())
    return RunData(predictor, folder, prepare(folder, **predictor.config.store_options))
