"""What a training decides before it begins: who trains and who validates, and the settings that were left open."""

from __future__ import annotations

import dataclasses
import hashlib
import math

import numpy as np
import torch

from echoseg.datasets.store import Store
from echoseg.errors import DataError
from echoseg.models.codec import scheme_for
from echoseg.training.batch_size import choose_batch_size, scale_learning_rate
from echoseg.training.config import Config
from echoseg.training.copies import COPIES
from echoseg.training.distributed import Ranks
from echoseg.training.optimization import faster_precision
from echoseg.training.splits import find_boundaries

_MIN_EPOCHS, _IMAGES = 10, 12_800  # by default


def resolve(config: Config, store: Store, training: np.ndarray, device: torch.device, ranks: Ranks) -> Config:
    """Choose the settings that were left open: structure, scheme, epochs, batch size, precision, boundaries of splits.

    Args:
        config: The settings.
        store: Says what is traced, and which landmark schemes are possible.
        training: (n,) int, the samples to train on. Blank slices do not count for the number of epochs: a network would
            see less of what it has to find.
        device: Device of this rank.
        ranks: bfloat16 is chosen only if it is faster on all of them.

    Raises:
        DataError: The store's tracings do not have what the landmark scheme needs.
    """
    config = dataclasses.replace(
        config, structure=store.structure, split_boundaries=find_boundaries(config, store.samples)
    )
    if config.approach == "landmark":
        config = dataclasses.replace(config, scheme=scheme_for(store, config.scheme))
    if config.epochs is None:
        images = np.count_nonzero(~store.blank[training]) * (1 + len(COPIES) * config.fixed_copies)
        config = dataclasses.replace(config, epochs=max(_MIN_EPOCHS, math.ceil(_IMAGES / images)))
    if config.batch_size is None:
        config = _with_batch_size(config, training, device if ranks.count == 1 else torch.device("cpu"))
    if config.precision == "auto":
        faster = ranks.sum(torch.tensor(float(faster_precision(device) == "bfloat16"), device=device)).item()
        config = dataclasses.replace(config, precision="bfloat16" if faster == ranks.count else "float32")
    return config


def _with_batch_size(config: Config, training: np.ndarray, device: torch.device) -> Config:
    assert config.epochs is not None
    images = round(config.epochs * len(training) * (1 + len(COPIES) * config.fixed_copies))
    channels = 1 if config.approach == "mask" else config.landmarks
    batch = choose_batch_size(images, config.size, config.width, channels, device)
    rate = scale_learning_rate(config.learning_rate, batch)
    return dataclasses.replace(config, batch_size=batch, learning_rate=rate)


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
        DataError: A split that is needed, the test split among them, has no image.
    """
    usable = ~store.blank | config.learns_blanks
    sets = {name: np.flatnonzero((split == name) & usable) for name in ("train", "val", "test")}
    for name, indices in sets.items():
        if store.blank[indices].all() and not (name == "val" and config.validation == "none"):
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
            "names are of several, separate them by --patients"
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


def fingerprint(store: Store, split: np.ndarray) -> str:
    """Hash what must stay the same when a run is resumed: frames, contours, and the split of each sample."""
    arrays = sorted((name, value) for name, value in store.manifest["sha256"].items() if name.endswith(".npy"))
    return hashlib.sha256(repr((arrays, split.tolist())).encode()).hexdigest()
