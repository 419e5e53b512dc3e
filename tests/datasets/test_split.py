from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echoseg.datasets.split import assign_splits, fold_boundaries, split_boundaries, split_by_boundaries
from echoseg.errors import DataError


def test_words_are_accepted_in_upper_and_lower_case():
    cells = ["TRAIN", "Val", "test", " validation ", "Training", "valid", "testing"]
    assert list(assign_splits(cells, list("abcdefg"))) == ["train", "val", "test", "val", "train", "val", "test"]


@pytest.mark.parametrize(
    ("test_fold", "expected"),
    [
        (None, ["train", "train", "val", "test"]),
        ("10", ["train", "train", "val", "test"]),
        ("2", ["train", "val", "test", "train"]),
        ("0", ["test", "train", "train", "val"]),
        (" 0.0 ", ["test", "train", "train", "val"]),
    ],
)
def test_the_fold_before_the_test_fold_is_the_validation_set(test_fold, expected):
    assert list(assign_splits(["0", "1", "2", "10"], list("abcd"), test_fold=test_fold)) == expected


def test_with_two_folds_validation_patients_come_from_the_training_fold():
    patients = [f"p{i}" for i in range(1000)]
    sets = assign_splits(["0", "1"] * 500, patients)
    assert set(sets[1::2]) == {"test"}
    assert set(sets[0::2]) == {"train", "val"}
    assert 0.1 < np.mean(sets[0::2] == "val") < 0.2


def test_a_single_fold_is_the_test_set():
    assert list(assign_splits(["7", "7"], ["a", "b"])) == ["test", "test"]


def test_without_a_split_the_set_of_a_patient_does_not_depend_on_the_others():
    patients = [f"p{i}" for i in range(2000)]
    sets = assign_splits([""] * 2000, patients)
    shares = {name: np.mean(sets == name) for name in ("train", "val", "test")}
    assert shares == pytest.approx({"train": 0.7, "val": 0.15, "test": 0.15}, abs=0.03)
    np.testing.assert_array_equal(assign_splits([""] * 300, patients[500:800]), sets[500:800])


@given(st.lists(st.sampled_from("abcdefgh"), max_size=40), st.sampled_from(["", "words", "folds"]))
def test_all_images_of_a_patient_are_in_the_same_set(patients, kind):
    cell = {
        "": lambda p: "",
        "words": lambda p: ["TRAIN", "val", "Test"][ord(p) % 3],
        "folds": lambda p: str(ord(p) % 4),
    }
    sets = assign_splits([cell[kind](patient) for patient in patients], patients)
    assert len(sets) == len(patients)
    assert set(sets) <= {"train", "val", "test"}
    assert len(set(zip(patients, sets, strict=True))) == len(set(patients))


@pytest.mark.parametrize(
    ("cells", "patients", "test_fold", "parts"),
    [
        (["TRAIN", "tset"], "ab", None, ["patient b", "'tset'", "TRAIN, VAL and TEST"]),
        (["TRAIN", ""], "ab", None, ["patient b", "''"]),
        (["TRAIN", "TEST"], "aa", None, ["patient a", "'train' and 'test'", "only one split"]),
        (["0", "1"], "aa", None, ["patient a", "'0' and '1'"]),
        (["0", "TEST"], "ab", None, ["patient b", "'test'", "fold numbers"]),
        (["0", "nan"], "ab", None, ["patient b", "'nan'"]),
        (["0", "1", "2"], "abc", "5", ["no test fold '5'", "use one of 0, 1, 2"]),
        (["0", "1", "2"], "abc", "last", ["no test fold 'last'", "use one of 0, 1, 2"]),
        (["TRAIN", "TEST"], "ab", "1", ["no fold numbers", "leave it out"]),
        (["", ""], "ab", "1", ["no fold numbers"]),
    ],
)
def test_an_unusable_split_column_is_refused(cells, patients, test_fold, parts):
    with pytest.raises(DataError, match=r"FileList\.csv, column Split") as caught:
        assign_splits(cells, list(patients), test_fold=test_fold)
    for part in parts:
        assert part in str(caught.value)


def test_different_lengths_are_refused():
    with pytest.raises(ValueError, match="2 cells for 1 patients"):
        assign_splits(["", ""], ["a"])


def test_without_a_split_a_patient_can_be_the_test_fold():
    patients = ["b", "d", "a", "c", "a"]
    for test, validation in (("c", "b"), ("a", "d")):
        expected = [{test: "test", validation: "val"}.get(patient, "train") for patient in patients]
        assert list(assign_splits([""] * 5, patients, test_fold=test)) == expected
    with pytest.raises(DataError, match="no test fold 'e'"):
        assign_splits([""] * 5, patients, test_fold="e")
    with pytest.raises(DataError, match="no test fold 'a'"):
        assign_splits(["TRAIN"] * 5, patients, test_fold="a")


def test_shares_are_shares_of_the_patients():
    patients = [f"p{i // 2}" for i in range(400)]
    for shares in ((0.8, 0.0, 0.2), (0.85, 0.0, 0.15), (0.7, 0.1, 0.2), (0.25, 0.25, 0.25)):
        sets = split_by_boundaries(patients, split_boundaries(patients, shares=shares))
        sizes = [(sets == name).sum() for name in ("train", "val", "test")]
        assert sizes == [round(400 * share) for share in shares]


def test_a_set_with_a_share_is_not_empty():
    sets = split_by_boundaries(list("abc"), split_boundaries(list("abc"), shares=(0.8, 0.1, 0.1)))
    assert sorted(sets) == ["test", "train", "val"]


def test_counts_are_counts_of_images():
    patients = [f"p{i // 2}" for i in range(4000)]
    sets = split_by_boundaries(patients, split_boundaries(patients, counts=(2400, 600, 200)))
    assert [(sets == name).sum() for name in ("train", "val", "test", "unused")] == [2400, 600, 200, 800]
    with pytest.raises(DataError, match=r"2400 \+ 600 \+ 200 images are more than the data's 3000"):
        split_boundaries(patients[:3000], counts=(2400, 600, 200))


@given(
    st.lists(st.integers(0, 40), min_size=8, max_size=120),
    st.sampled_from([{"shares": (0.6, 0.2, 0.2)}, {"counts": (4, 1, 1)}, {"counts": (3, 0, 2)}]),
    st.integers(1, 7),
)
def test_boundaries_keep_patients_whole_and_do_not_depend_on_the_others(numbers, sizes, step):
    patients = [f"p{number}" for number in numbers]
    boundaries = split_boundaries(patients, **sizes)
    sets = split_by_boundaries(patients, boundaries)
    assert len(set(zip(patients, sets, strict=True))) == len(set(patients))
    np.testing.assert_array_equal(split_by_boundaries(patients[::step], boundaries), sets[::step])
    if counts := sizes.get("counts"):
        largest = max(patients.count(patient) for patient in patients)
        for name, count in zip(("val", "test"), counts[1:], strict=True):
            assert count <= (sets == name).sum() < count + largest


@given(st.sets(st.text(max_size=5), min_size=1, max_size=30), st.integers(1, 30), st.booleans(), st.booleans())
def test_each_patient_is_tested_in_one_fold(patients, folds, validation, twice):
    names = sorted(patients) * (1 + twice)
    folds = min(folds, len(patients))
    found = fold_boundaries(names, folds, validation)
    sets = [dict(zip(names, split_by_boundaries(names, ends, start), strict=True)) for start, ends in found]
    for patient in patients:
        assert [assigned[patient] for assigned in sets].count("test") == 1
    sizes = [list(assigned.values()).count("test") for assigned in sets]
    assert max(sizes) - min(sizes) <= 1
    for assigned in sets:
        counts = {name: list(assigned.values()).count(name) for name in ("train", "val", "test", "unused")}
        others = len(patients) - counts["test"]
        expected = min(max(1, round(0.15 * others)), max(0, others - 1)) if validation else 0
        assert counts["val"] == expected
        assert counts["unused"] == 0
