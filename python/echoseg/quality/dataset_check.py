"""All that `echoseg check` reports about a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from echoseg.datasets.formats import read_dataset
from echoseg.datasets.recording import Recording
from echoseg.datasets.source_files import changed_files
from echoseg.datasets.store import Store, is_store, open_store, prepare
from echoseg.errors import DataError
from echoseg.evaluation.ceiling import landmark_ceiling
from echoseg.evaluation.orderings import compare_orderings, masks_by_ordering
from echoseg.quality.inspection import Finding, check_store


@dataclass(frozen=True, eq=False)
class DatasetCheck:
    """What was found in a data set.

    Attributes:
        name: Of the data set's folder.
        store: The data set's decoded frames and contours.
        findings: What was left out, and what looks wrong; see `inspection.check_store`.
        masks: By ordering, (N, H, W) uint8: the masks of the same tracings, joined in different orders; see
            `orderings.masks_by_ordering`. Empty for a store, and for tracings that are no chords.
        orderings: How far these masks differ; see `orderings.compare_orderings`. None where `masks` is empty.
        ceiling: What perfect landmarks would give; see `ceiling.landmark_ceiling`. None if it was not asked for.
    """

    name: str
    store: Store
    findings: list[Finding]
    masks: dict[str, np.ndarray] = field(default_factory=dict)
    orderings: pd.DataFrame | None = None
    ceiling: pd.DataFrame | None = None


def check_dataset(path: str | Path, *, strict: bool = False, landmarks: bool = False) -> DatasetCheck:
    """Look for what is missing, damaged or suspicious in a data set.

    Args:
        path: Folder with a data set, or a store. Of a store the video files are not looked at.
        strict: Refuse a data set with faults instead of leaving those tracings out.
        landmarks: Also measure what perfect landmarks would give.

    Raises:
        DataError: Nothing usable, or faults where `strict`.
    """
    path = Path(path)
    recordings: Sequence[Recording] = ()
    masks: dict[str, np.ndarray] = {}
    if is_store(path):
        found = open_store(path)
        store = prepare(path, size=found.size, fov_mm=found.manifest["fov_mm"], strict=strict)
    else:
        dataset = read_dataset(path)
        recordings = dataset.recordings
        store = prepare(path, strict=strict)
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
    """Compare the files of a data set with those that a store was made from, by their content.

    Args:
        folder: Of the data set.
        store: Made from it.

    Returns:
        "unchanged", "changed", "gone" or "new", by the file's path in the folder.

    Raises:
        DataError: The store was made from no files, or is damaged.
    """
    hashes = open_store(store).manifest.get("files")
    if hashes is None:
        raise DataError(f"{store}: was made from no files; give a store that 'echoseg prepare' wrote")
    return dict.fromkeys(hashes, "unchanged") | changed_files(Path(folder), hashes)
