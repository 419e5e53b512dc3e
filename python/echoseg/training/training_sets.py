"""The samples that a training trains and validates on, and the hash by which a resumed run knows them again."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pandas as pd

from echoseg.datasets.split import assign_splits
from echoseg.datasets.store import Store
from echoseg.datasets.structure import is_same_structure
from echoseg.errors import DataError
from echoseg.training.config import Config
from echoseg.training.splits import NO_TEST


def training_and_validation(store: Store, split: np.ndarray, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Find the samples to train and to validate on.

    Args:
        store: The samples.
        split: (N,) str, from ``Config.splits``.
        config: Whether there is a validation.

    Returns:
        Two arrays of indices; the second is empty without validation. They contain the blank slices if
        ``config.blanks`` is set, in the mask approach.

    Raises:
        DataError: A split that is needed has no image: the test split, unless ``config.test_fold`` is "none", too.
    """
    usable = ~store.blank | config.learns_blanks
    sets = {name: np.flatnonzero((split == name) & usable) for name in ("train", "val", "test")}
    without = {"val": config.validation == "none", "test": config.test_fold == NO_TEST}
    for name, indices in sets.items():
        if store.blank[indices].all() and not without.get(name):
            raise DataError(f"{store.source}: no image in split {name!r}; {_cure(store, name, config)}")
    return sets["train"], sets["val"]


def _cure(store: Store, name: str, config: Config) -> str:
    """What to do about a split without images."""
    if config.split_shares or config.split_counts:
        return "give it a larger share or number"
    samples = store.samples[~store.blank]
    patients = sorted(set(samples["patient"]))
    listed = f"{len(patients)} patients with a contour ({', '.join(patients[:3])}{', …' if len(patients) > 3 else ''})"
    if len(patients) == 1:
        return (
            f"all its images are of one patient ({patients[0]}), and a test needs another; add patients, or, if the "
            "names are of several, separate them by --patients, or train without a test by --test-fold none"
        )
    if len(patients) == 2 and config.validation != "none":
        return (
            f"it has {listed}, too few for training, validation and test; train without validation by --validation none"
            f", and choose the patient to test on by --test-fold {patients[1]}"
        )
    if name == "val":
        return f"of {listed}, none is left for validation; train without, by --validation none"
    if (samples["split"].str.strip() != "").any():
        return (
            f"it has {listed}; correct its splits (the Split column or the folders), or draw others by --split-shares"
        )
    return f"it has {listed}; choose the patient to test on by --test-fold, or draw others by --split-shares"


def add_rehearsed(store: Store, rehearsed: Store, config: Config) -> tuple[Store, np.ndarray]:
    """Append the training images of earlier data to a store.

    Args:
        store: The store to train on.
        rehearsed: The earlier data, with frames of the same size.
        config: Whether landmarks and blank slices are trained on.

    Returns:
        A store in memory, in which the images of `store` come first, and the indices of those that were appended: the
        training images of `rehearsed`, without those of patients who are in `store` too.

    Raises:
        DataError: No image is left, the structures differ, or landmarks are not chosen in the same way in both.
    """
    if not is_same_structure(rehearsed.structure, store.structure):
        raise DataError(
            f"{rehearsed.source}: its contours are of the {rehearsed.structure}, those of {store.source} of the "
            f"{store.structure}; rehearse data of the same structure, or leave out rehearse"
        )
    if config.approach == "landmark" and rehearsed.manifest["ordering"] != store.manifest["ordering"]:
        raise DataError(
            f"{rehearsed.source}: its contours are ordered as {rehearsed.manifest['ordering']}, those of {store.source}"
            f" as {store.manifest['ordering']}, so that landmarks would change their places; leave out rehearse"
        )
    samples = rehearsed.samples
    is_new = ~samples["patient"].isin(store.samples["patient"])
    is_training = assign_splits(samples["split"], samples["patient"]) == "train"
    chosen = np.flatnonzero(is_training & is_new & (~rehearsed.blank | config.learns_blanks))
    if not len(chosen):
        raise DataError(
            f"{rehearsed.source}: no image to rehearse; its training split has no patient but those to learn"
        )
    contours = [rehearsed.contour(index) for index in chosen.tolist()]
    joined = dataclasses.replace(
        store,
        frames=np.concatenate([store.frames, rehearsed.frames[chosen]]),
        points=np.concatenate([store.points, *contours]),
        offsets=np.append(store.offsets, store.offsets[-1] + np.cumsum([len(contour) for contour in contours])),
        samples=pd.concat([store.samples, samples.iloc[chosen]], ignore_index=True),
    )
    return joined, np.arange(len(store), len(joined))


def fingerprint(store: Store, split: np.ndarray) -> str:
    """Hash what must stay the same when a run is resumed: frames, contours, and the split of each sample."""
    arrays = sorted((name, value) for name, value in store.manifest["sha256"].items() if name.endswith(".npy"))
    return hashlib.sha256(repr((arrays, split.tolist())).encode()).hexdigest()
