"""Splits a data set into training, validation and test sets: by its own Split column, or by shares or counts."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from echoseg.errors import DataError

VALIDATION_SHARE = 0.15
TEST_SHARE = 0.15

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_COLUMN = "FileList.csv, column Split, or folders of splits"


def assign_splits(
    cells: Sequence[str], patients: Sequence[str], *, test_fold: str | None = None, validation: bool = True
) -> NDArray[np.str_]:
    """Convert the Split column to "train", "val" and "test".

    - Words: TRAIN, VAL, TEST, validation and so on, in upper or lower case, are used as they are.
    - Numbers: each number is a fold. The test fold is `test_fold`, by default the last one. The fold before it is the
      validation set; before the first fold comes the last one. With two folds, 15 % of the patients of the other fold
      are the validation set, at least one of two or more. With one fold, all patients are the test set.
    - All cells empty, and `test_fold` is a patient: each patient is a fold, in alphabetical order, and the rule for
      numbers applies. This allows leave-one-patient-out cross-validation.
    - All cells empty otherwise: by a hash of the patient's name, 15 % test and 15 % validation. The set of a patient
      does not depend on the other patients, so a subset of the data never has training patients in its test set.
      Where the test or the validation set would be empty, as with few patients, the patients with the smallest hash
      fill them; `default_boundaries` says how to keep that for a subset.

    Args:
        cells: N raw cells, one per sample.
        patients: N names, one per sample.
        test_fold: A number in `cells`, as text; if all cells are empty, one of `patients`.
        validation: Whether to use a validation set; False adds its patients to the training set.

    Returns:
        (N,) str, "train", "val" or "test".

    Raises:
        DataError: A word is unknown, words and numbers are mixed, a patient has two different cells, or `test_fold`
            does not exist.
        ValueError: The lengths differ.
    """
    if len(cells) != len(patients):
        raise ValueError(f"{len(cells)} cells for {len(patients)} patients")
    of_patient = _cell_by_patient(cells, patients)
    if test_fold in of_patient and not any(of_patient.values()):
        of_patient = {patient: str(number) for number, patient in enumerate(sorted(of_patient))}
        test_fold = of_patient[test_fold]
    folds = {cell: number for cell in of_patient.values() if (number := _as_number(cell)) is not None}
    if folds:
        sets = _by_fold(of_patient, folds, test_fold)
    elif test_fold is not None:
        raise DataError(f"{_COLUMN}: has no fold numbers, so there is no test fold {test_fold!r}; leave it out")
    elif any(of_patient.values()):
        sets = {patient: _by_word(patient, cell) for patient, cell in of_patient.items()}
    else:
        names = list(of_patient)
        sets = dict(zip(names, split_by_boundaries(names, default_boundaries(names, validation)).tolist(), strict=True))
    splits = np.array([sets[patient] for patient in patients], dtype="<U5")
    return splits if validation else np.where(splits == "val", "train", splits)


def default_boundaries(patients: Sequence[str], validation: bool = True) -> tuple[float, float, float]:
    """Find the boundaries of the sets in data without a Split column: 15 % test and 15 % validation.

    If the test set, or the validation set, would be empty, or the training set, the boundaries move so that each has a
    patient, as long as there are enough. Only then do they depend on the patients. A run stores them, so that the sets
    of its patients stay the same in a subset of the data.

    Args:
        patients: Names, at least one.
        validation: Whether a validation set is needed.

    Returns:
        The upper ends of test, validation and training set, for `split_by_boundaries`.
    """
    numbers = sorted(_share(patient) for patient in set(patients))
    count = len(numbers)
    low, high = TEST_SHARE, TEST_SHARE + VALIDATION_SHARE
    if count < 2 + validation:
        return low, high, 1.0
    test = int(np.clip(np.searchsorted(numbers, low), 1, count - 1 - validation))
    until = int(np.clip(np.searchsorted(numbers, high), test + validation, count - 1))
    low = low if np.searchsorted(numbers, low) == test else numbers[test]
    high = high if np.searchsorted(numbers, high) == until else numbers[until]
    return low, max(low, high), 1.0


def split_boundaries(
    groups: Sequence[str],
    *,
    shares: tuple[float, float, float] | None = None,
    counts: tuple[int, int, int] | None = None,
) -> tuple[float, float, float]:
    """Find the boundaries of the sets in the pseudo-random numbers of the groups.

    The number of a group is a hash of its name. The groups with the smallest numbers are the test set, the next ones
    the validation set and the training set. With the boundaries, `split_by_boundaries` puts a group into the same set
    whatever other groups there are, so that a subset of the data never has training patients in its test set.

    Args:
        groups: N names, one per sample: the patients, or the images if each is drawn by itself.
        shares: The shares of the groups for training, validation and test. A set with a share above 0 gets at least one
            group, as long as there are enough.
        counts: Instead, the numbers of samples for training, validation and test. Groups are not divided, so that a set
            may have more samples, but fewer than one group more.

    Returns:
        The upper ends of test, validation and training set; groups with larger numbers are in no set.

    Raises:
        DataError: There are fewer samples than `counts` needs.
    """
    names, sizes = np.unique(np.asarray(groups, dtype=str), return_counts=True)
    numbers = np.array([_share(name) for name in names])
    order = np.argsort(numbers)
    totals = np.concatenate([[0], np.cumsum(sizes[order])])  # samples in the first groups
    ends, end = [], 0
    if shares is not None:
        train, validation, test = shares
        for share, total in zip((test, validation, train), np.cumsum((test, validation, train)), strict=True):
            end = min(max(end + (share > 0), round(total * len(names))), len(names))
            ends.append(end)
    else:
        train, validation, test = counts or (0, 0, 0)
        if train + validation + test > totals[-1]:
            needed = f"{train} + {validation} + {test}"
            raise DataError(
                f"split_counts: {needed} images are more than the data's {totals[-1]}; give smaller numbers"
            )
        for count in (test, validation, train):
            end = int(np.searchsorted(totals, min(totals[end] + count, totals[-1])))
            ends.append(end)
    limits = np.append(numbers[order], 1.0)
    return float(limits[ends[0]]), float(limits[ends[1]]), float(limits[ends[2]])


def fold_boundaries(
    patients: Sequence[str], folds: int, validation: bool = True
) -> list[tuple[float, tuple[float, float, float]]]:
    """Find the boundaries of the sets of each fold of a cross-validation.

    In the order of their pseudo-random numbers, the patients are divided into parts of nearly equal size. Each fold
    tests on one part. Of the other patients, the 15 % that come next are its validation set, at least one of two or
    more; after the largest number comes the smallest.

    Args:
        patients: Names, at least as many different ones as folds.
        folds: The number of folds.
        validation: Whether the folds need a validation set.

    Returns:
        For each fold the number with which its test set begins, and the upper ends of test, validation and training
        set, counted from there, for `split_by_boundaries`.
    """
    numbers = sorted(_share(patient) for patient in set(patients))
    count = len(numbers)
    cuts = [fold * count // folds for fold in range(folds + 1)]
    starts = [0.0, *(numbers[cut] for cut in cuts[1:-1]), 1.0]
    found = []
    for start, end in itertools.pairwise(starts):
        test = end - start
        found.append((start, (test, validation_end(patients, start, test) if validation else test, 1.0)))
    return found


def validation_end(patients: Sequence[str], start: float, test: float) -> float:
    """Find the upper end of the validation set of a fold; see `fold_boundaries`.

    Args:
        patients: Names.
        start: The number with which the fold's test set begins.
        test: The upper end of its test set, counted from there.
    """
    numbers = {(_share(patient) - start) % 1.0 for patient in set(patients)}
    following = [*sorted(number for number in numbers if number >= test), 1.0]
    held = min(max(1, round(VALIDATION_SHARE * (len(following) - 1))), len(following) - 2)
    return following[held] if held > 0 else test


def split_by_boundaries(
    groups: Sequence[str], boundaries: tuple[float, float, float], start: float = 0.0
) -> NDArray[np.str_]:
    """Assign each sample to a set by the number of its group.

    Args:
        groups: N names, one per sample.
        boundaries: The result of `split_boundaries`, or of `fold_boundaries`.
        start: The number with which the test set begins; after 1 comes 0.

    Returns:
        (N,) str, "train", "val", "test", or "unused" beyond the last boundary.
    """
    numbers = {group: (_share(group) - start) % 1.0 for group in set(groups)}
    sets = np.searchsorted(boundaries, [numbers[group] for group in groups], side="right")
    return np.array(["test", "val", "train", "unused"])[sets]


def _cell_by_patient(cells: Sequence[str], patients: Sequence[str]) -> dict[str, str]:
    """Patient → cell, in lower case."""
    of_patient: dict[str, str] = {}
    for patient, raw in zip(patients, cells, strict=True):
        cell = str(raw).strip().lower()
        if of_patient.setdefault(patient, cell) != cell:
            both = f"{of_patient[patient]!r} and {cell!r}"
            raise DataError(
                f"{_COLUMN}: patient {patient} is in {both}; give each patient only one split, or find the "
                "patients by --patients"
            )
    return of_patient


def _as_number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _by_word(patient: str, cell: str) -> str:
    if cell not in SPLIT_WORDS:
        raise DataError(f"{_COLUMN}: patient {patient} has {cell!r}; use TRAIN, VAL and TEST, or only fold numbers")
    return SPLIT_WORDS[cell]


def _by_fold(of_patient: dict[str, str], folds: dict[str, float], test_fold: str | None) -> dict[str, str]:
    for patient, cell in of_patient.items():
        if cell not in folds:
            raise DataError(f"{_COLUMN}: patient {patient} has {cell!r} among fold numbers; use one or the other")
    numbers = sorted(set(folds.values()))
    test = numbers[-1]
    if test_fold is not None:
        chosen = _as_number(test_fold)
        if chosen not in numbers:
            known = ", ".join(f"{number:g}" for number in numbers)
            raise DataError(f"{_COLUMN}: no test fold {test_fold!r}; use one of {known}")
        test = chosen
    validation = numbers[numbers.index(test) - 1] if len(numbers) > 2 else None
    others = sorted((patient for patient, cell in of_patient.items() if folds[cell] != test), key=_share)
    if validation is None:  # of two folds
        drawn = {patient for patient in others if _share(patient) < VALIDATION_SHARE} or set(others[:1])
        drawn &= set(others[:-1])  # one is left for training
    else:
        drawn = {patient for patient in others if folds[of_patient[patient]] == validation}
    sets = {patient: "val" if patient in drawn else "train" for patient in others}
    return {patient: sets.get(patient, "test") for patient in of_patient}


def _share(patient: str) -> float:
    """A pseudo-random number in [0, 1) that depends only on the name."""
    return int.from_bytes(hashlib.sha256(patient.encode()).digest()[:8], "big") / 2**64
