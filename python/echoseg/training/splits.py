"""The settings that say which samples a run trains, validates and tests on."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from echoseg.datasets.split import (
    assign_splits,
    default_boundaries,
    fold_boundaries,
    split_boundaries,
    split_by_boundaries,
    validation_end,
)
from echoseg.errors import DataError
from echoseg.utils.words import counted

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from echoseg.training.config import Config

NO_TEST = "none"
"""The value of ``test_fold`` for a training on all patients, which tests nothing."""
LEAK = (
    "the data are split by image: images of one patient are in the training and in the test split, so the test results "
    "are better than they would be for new patients"
)


def check_splits(config: Config) -> None:
    """Check the settings of the splits.

    Raises:
        DataError: They contradict each other, or the images are drawn one by one without a paper's preset.
    """
    given = {name: sizes for name in ("split_shares", "split_counts") if (sizes := getattr(config, name))}
    if config.folds is not None and (others := [name for name in (*given, "test_fold") if getattr(config, name)]):
        raise DataError(f"folds and {others[0]} are both given; leave one of them out")
    if len(given) == 2:
        raise DataError("split_shares and split_counts are both given; leave one of them out")
    for name, sizes in given.items():
        if config.test_fold is not None:
            raise DataError(f"{name} and test_fold are both given; leave one of them out")
        text = " ".join(f"{size:g}" for size in sizes)
        if name == "split_shares" and sum(sizes) > 1 + 1e-9:
            raise DataError(f"split_shares {text} add up to {sum(sizes):g}, expected at most 1")
        train, validation, test = sizes
        if not (train and test):
            raise DataError(f"{name} {text}: training and test need images; give numbers above 0")
        if not validation and config.validation != "none":
            raise DataError(f"{name} {text} leaves no image for validation; give some, or set validation to none")
    if config.split_by == "image":
        if config.preset is None:
            raise DataError(
                "split_by 'image' puts images of one patient into the training and the test split, which makes results "
                "too good; leave it out, or use it with the preset of a paper"
            )
        if not given:
            raise DataError("split_by 'image' needs split_shares or split_counts; give one of them")


def choose_splits(config: Config, samples: pd.DataFrame) -> NDArray[np.str_]:
    """Assign each sample of a store to a split; see ``Config.splits``."""
    boundaries = find_boundaries(config, samples)
    if boundaries is None:
        test_fold = None if config.test_fold == NO_TEST else config.test_fold
        splits = assign_splits(
            samples["split"], samples["patient"], test_fold=test_fold, validation=config.validation != "none"
        )
    else:
        splits = split_by_boundaries(_groups(config, samples), boundaries, config.split_start or 0.0)
        if config.validation == "none":
            splits[splits == "val"] = "train"
    if config.test_fold == NO_TEST:
        splits[splits == "test"] = "train"
    if config.images is None:
        return splits
    import numpy as np  # not at the top: the command line reads its flags from the settings

    usable = (splits == "train") & ((samples["blank"] == 0) | config.learns_blanks).to_numpy()
    training = np.random.default_rng(config.seed).permutation(np.flatnonzero(usable))
    splits = splits.astype("<U6")
    splits[training[config.images :]] = "unused"
    return splits


def describe_splits(config: Config, samples: pd.DataFrame) -> str:
    """One line with the number of patients and images of each split."""
    splits = choose_splits(config, samples)
    named = {"train": "training", "val": "validation", "test": "test", "unused": "unused"}
    sizes = {name: (samples["patient"][splits == name].nunique(), (splits == name).sum()) for name in named}
    listed = ", ".join(
        f"{named[name]} {number} ({counted(images, 'image')})" for name, (number, images) in sizes.items() if images
    )
    return f"patients of each split: {listed}"


def find_boundaries(config: Config, samples: pd.DataFrame) -> tuple[float, float, float] | None:
    """Find the boundaries of the splits that ``split_shares`` or ``split_counts`` ask for, or data without splits need.

    Args:
        config: The settings. Boundaries that a run has stored are returned as they are; a fold that was trained without
            validation, and now needs one, keeps its test set.
        samples: A store's table of samples.

    Returns:
        The upper ends of test, validation and training split, see ``datasets.split``; None where the data set's own
        splits are used.

    Raises:
        DataError: There are too few samples.
    """
    drawn = config.split_shares is not None or config.split_counts is not None
    has_own = config.test_fold not in (None, NO_TEST) or (samples["split"].str.strip() != "").any()
    if config.split_start is not None and config.split_boundaries is not None:
        test, validation, end = config.split_boundaries
        if test == validation and config.validation != "none":  # the fold began without
            validation = validation_end(traced_patients(samples), config.split_start, test)
        return test, validation, end
    if config.split_boundaries is not None and (drawn or not has_own):
        return config.split_boundaries
    if not drawn:
        if has_own:
            return None
        return default_boundaries(traced_patients(samples), config.validation != "none")
    return split_boundaries(_groups(config, samples), shares=config.split_shares, counts=config.split_counts)


def split_folds(config: Config, samples: pd.DataFrame) -> list[Config]:
    """Make the settings of each fold of a cross-validation.

    Args:
        config: The settings, with ``folds``.
        samples: A store's table of samples.

    Returns:
        For each fold, the settings of an ordinary run that tests on one part of the patients.

    Raises:
        DataError: There are more folds than patients, or too few patients for a validation.
    """
    assert config.folds is not None
    patients = traced_patients(samples)
    if config.folds > (count := len(set(patients))):
        raise DataError(f"folds: {config.folds} are more than the data's {count} patients; give at most {count}")
    others = count - math.ceil(count / config.folds)  # of the largest part
    if others < 2 and config.validation != "none":
        raise DataError(
            f"folds: {config.folds} of {count} patients leave {others} for training and validation; train without "
            "validation and patience, by --validation none" + (", or with more folds" if count > 2 else "")
        )
    return [
        dataclasses.replace(config, folds=None, split_start=start, split_boundaries=boundaries)
        for start, boundaries in fold_boundaries(patients, config.folds, config.validation != "none")
    ]


def traced_patients(samples: pd.DataFrame) -> list[str]:
    """List the patient of each sample that is not a blank slice."""
    traced = samples[samples["blank"] == 0] if "blank" in samples else samples
    return traced["patient"].astype(str).tolist()


def _groups(config: Config, samples: pd.DataFrame) -> list[str]:
    """What is drawn as a whole: the patient of each sample, or the sample."""
    if config.split_by == "patient":
        return [str(patient) for patient in samples["patient"]]
    return [f"{video} {frame}" for video, frame in zip(samples["video"], samples["frame"], strict=True)]
