"""Checks a data set: everything that `echoseg check` reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from echoseg.datasets.formats import read_dataset
from echoseg.datasets.recording import Recording
from echoseg.datasets.source_files import changed_files
from echoseg.datasets.store import Store, is_store, open_store, prepare
from echoseg.errors import DataError
from echoseg.evaluation.ceiling import landmark_ceiling
from echoseg.evaluation.orderings import compare_orderings, masks_by_ordering
from echoseg.io.reading import axis3_taken_for
from echoseg.quality.inspection import Finding, check_store


@dataclass(frozen=True, eq=False)
class DatasetCheck:
    """The results of the check of a data set.

    Attributes:
        name: Name of the data set's folder.
        store: Decoded frames and contours of the data set.
        findings: Unusable and suspicious parts; see `inspection.check_store`.
        masks: Masks of the tracings by point ordering, each (N, H, W) uint8; see `orderings.masks_by_ordering`. Empty
            for a store and for tracings that are not chords.
        orderings: Differences between these masks; see `orderings.compare_orderings`. None if `masks` is empty.
        ceiling: Metrics of the true landmarks; see `ceiling.landmark_ceiling`. None if not requested.
    """

    name: str
    store: Store
    findings: list[Finding]
    masks: dict[str, np.ndarray] = field(default_factory=dict)
    orderings: pd.DataFrame | None = None
    ceiling: pd.DataFrame | None = None


def check_dataset(
    path: str | Path,
    *,
    structure: str | None = None,
    axis3: str | None = None,
    patients: str | None = None,
    strict: bool = False,
    landmarks: bool = False,
) -> DatasetCheck:
    """Find missing, damaged and suspicious parts of a data set.

    Args:
        path: Folder of a data set, or a store, of which everything is checked but whether videos end early.
        structure: Name of the structure to check; see `echoseg.datasets.formats.read_dataset`.
        axis3: What the third axis of volumes is; see `echoseg.datasets.store.prepare`.
        patients: Rule that finds the patients in names; see `echoseg.datasets.patients.apply_rule`.
        strict: Raise for a data set with faults instead of leaving those tracings out.
        landmarks: Also evaluate the true landmarks, as an upper bound for the landmark approach.

    Returns:
        The results of the check.

    Raises:
        DataError: Nothing is usable, or there are faults and `strict` is set.
    """
    path = Path(path)
    recordings: Sequence[Recording] = ()
    masks: dict[str, np.ndarray] = {}
    if is_store(path):
        opened = open_store(path)
        size, fov_mm = opened.size, opened.manifest["fov_mm"]
        options: dict[str, Any] = {"structure": structure, "patients": patients, "axis3": axis3, "strict": strict}
        store = prepare(path, size=size, fov_mm=fov_mm, **options)
    else:
        store = prepare(path, structure=structure, patients=patients, axis3=axis3, strict=strict)
        with axis3_taken_for(axis3):
            dataset = read_dataset(path, structure, patients)
        recordings = dataset.recordings
        masks = masks_by_ordering(dataset, store) if dataset.kind == "chords" else {}
    return DatasetCheck(
        path.resolve().name,
        store,
        check_store(store, recordings),
        masks,
        compare_orderings(masks) if masks else None,
        landmark_ceiling(store) if landmarks else None,
    )


def compare_files(folder: str | Path, store: str | Path) -> dict[str, str]:
    """Compare the files of a data set with the files that a store was made from, by their content.

    Args:
        folder: Folder of the data set.
        store: Store that was made from it.

    Returns:
        "unchanged", "changed", "gone" or "new", by the file's path in the folder.

    Raises:
        DataError: The store was not made from files, or is damaged.
    """
    hashes = open_store(store).manifest.get("files")
    if hashes is None:
        raise DataError(f"{store}: was not made from files; give a store that 'echoseg prepare' wrote")
    return dict.fromkeys(hashes, "unchanged") | changed_files(Path(folder), hashes)
