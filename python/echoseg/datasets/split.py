"""Who trains, who validates, who tests: always whole patients, never single images."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from echoseg.errors import DataError

VALIDATION_SHARE = 0.15
TEST_SHARE = 0.15

WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_WHERE = "FileList.csv, column Split"


def assign_splits(
    cells: Sequence[str], patients: Sequence[str], *, test_fold: str | None = None, validation: bool = True
) -> NDArray[np.str_]:
    """Turn the Split column into "train", "val" and "test".

    - Words (TRAIN, VAL, TEST, validation, …, in any case) mean what they say.
    - Numbers are folds. The last is test and the one before it validation; with `test_fold`, that one is test and the
      one before it validation, the first following on the last. With two folds nothing is left for validation, so it
      takes 15 % of the other fold's patients. One fold is all test.
    - No cell filled, and `test_fold` names a patient: each patient is a fold of its own, in alphabetical order, and the
      rule for folds holds. So every patient can be left out once.
    - No cell filled otherwise: by a hash of the patient's name, 15 % test, 15 % validation. A patient lands in the same
      set whoever else is there, so a part of the data never turns training patients into test patients. The price:
      very few patients may leave a set empty.

    Args:
        cells: N raw cells, one a sample.
        patients: N names, one a sample.
        test_fold: A number in `cells`, as text; where no cell is filled, one of `patients`.
        validation: False turns "val" into "train": where patients are few, each one counts.

    Returns:
        (N,) str, "train", "val" or "test".

    Raises:
        DataError: An unknown word, words and numbers mixed, a patient with two different cells, a `test_fold` that is
            not there or goes with no folds.
        ValueError: The lengths differ.
    """
    if len(cells) != len(patients):
        raise ValueError(f"{len(cells)} cells for {len(patients)} patients")
    of_patient = _one_cell_each(cells, patients)
    if test_fold in of_patient and not any(of_patient.values()):
        of_patient = {patient: str(number) for number, patient in enumerate(sorted(of_patient))}
        test_fold = of_patient[test_fold]
    folds = {cell: number for cell in of_patient.values() if (number := _as_number(cell)) is not None}
    if folds:
        sets = _by_fold(of_patient, folds, test_fold)
    elif test_fold is not None:
        raise DataError(f"{_WHERE}: holds no fold numbers, so there is no test fold {test_fold!r}; leave it out")
    elif any(of_patient.values()):
        sets = {patient: _by_word(patient, cell) for patient, cell in of_patient.items()}
    else:
        sets = {patient: _by_hash(patient) for patient in of_patient}
    splits = np.array([sets[patient] for patient in patients], dtype="<U5")
    return splits if validation else np.where(splits == "val", "train", splits)


def _one_cell_each(cells: Sequence[str], patients: Sequence[str]) -> dict[str, str]:
    """Patient → cell."""
    of_patient: dict[str, str] = {}
    for patient, raw in zip(patients, cells, strict=True):
        cell = str(raw).strip().lower()
        if of_patient.setdefault(patient, cell) != cell:
            both = f"{of_patient[patient]!r} and {cell!r}"
            raise DataError(f"{_WHERE}: patient {patient} stands in {both}; give a patient one split only")
    return of_patient


def _as_number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _by_word(patient: str, cell: str) -> str:
    if cell not in WORDS:
        raise DataError(f"{_WHERE}: patient {patient} has {cell!r}; use TRAIN, VAL, TEST, or fold numbers throughout")
    return WORDS[cell]


def _by_fold(of_patient: dict[str, str], folds: dict[str, float], test_fold: str | None) -> dict[str, str]:
    for patient, cell in of_patient.items():
        if cell not in folds:
            raise DataError(f"{_WHERE}: patient {patient} has {cell!r} among fold numbers; use one or the other")
    numbers = sorted(set(folds.values()))
    test = numbers[-1]
    if test_fold is not None:
        chosen = _as_number(test_fold)
        if chosen not in numbers:
            known = ", ".join(f"{number:g}" for number in numbers)
            raise DataError(f"{_WHERE}: no fold {test_fold!r} to test on; there are {known}")
        test = chosen
    validation = numbers[numbers.index(test) - 1] if len(numbers) > 2 else None
    sets = {}
    for patient, cell in of_patient.items():
        if folds[cell] == test:
            sets[patient] = "test"
        elif folds[cell] == validation or (validation is None and _share(patient) < VALIDATION_SHARE):
            sets[patient] = "val"
        else:
            sets[patient] = "train"
    return sets


def _by_hash(patient: str) -> str:
    share = _share(patient)
    if share < TEST_SHARE:
        return "test"
    return "val" if share < TEST_SHARE + VALIDATION_SHARE else "train"


def _share(patient: str) -> float:
    """A number in [0, 1) that depends on the name only."""
    return int.from_bytes(hashlib.sha256(patient.encode()).digest()[:8], "big") / 2**64
