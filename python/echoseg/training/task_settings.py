"""The settings that say what a network learns, and from which images; `Config` adds how it learns."""

from __future__ import annotations

from dataclasses import dataclass

from echoseg.geometry.contour import ORDERINGS
from echoseg.training.presets import PRESETS
from echoseg.training.settings import setting

APPROACHES = ("mask", "landmark")


@dataclass(frozen=True)
class TaskSettings:
    """The first part of `Config`."""

    approach: str = setting(
        "landmark", "What the network learns: a mask of the structure, or landmarks on its border", choices=APPROACHES
    )
    preset: str | None = setting(
        None,
        "Paper whose settings take the place of the defaults, by its first author",
        choices=tuple(PRESETS),
    )
    data: str | None = setting(
        None,
        "Folder with tracings, or a store made by 'echoseg prepare'. Default: a synthetic data set, cached",
        metavar="FOLDER",
    )
    structure: str | None = setting(
        None,
        "Structure to segment, by the name of its label, such as LA or 'left atrium'. Default: the left ventricle, or "
        "the only label of the masks",
        metavar="NAME",
    )
    axis3: str | None = setting(
        None,
        "What the third axis of volumes is. Default: decided file by file, by the key axis3 of a dataset.json or by "
        "the header",
        choices=("time", "slices"),
    )
    patients: str | None = setting(
        None,
        "Regular expression that finds the patient, its one group in parentheses, in each file's name or path, such as "
        "'^(p[0-9]+)_'. Default: the key patients of dataset.json, else the column, the folder or the name",
        metavar="REGEX",
    )
    corrections: str | None = setting(
        None,
        "Folder with corrections from 'echoseg review'. They replace the tracings in training; evaluation still uses "
        "the original tracings",
        metavar="FOLDER",
    )
    size: tuple[int, int] = setting(
        (112, 112), "Height and width in pixels of the frames that the network gets", ge=16, le=4096, metavar=("H", "W")
    )
    fov_mm: float | None = setting(
        None,
        "Field of view: use only the square of this side in mm in the middle of each frame, where the pixel size is "
        "known. Default: the whole frame",
        gt=0,
        le=1e4,
        metavar="MM",
    )
    ordering: str | None = setting(
        None,
        "How the points of a tracing are ordered into a contour. Default: chords for chords, given for lists of points",
        choices=tuple(ORDERINGS),
    )
    test_fold: str | None = setting(
        None,
        "Fold to test on; in data without splits, the patient to test on. none: train on these patients too, and test "
        "nothing. Default: the last fold",
        metavar="FOLD",
    )
    folds: int | None = setting(
        None,
        "Cross-validation: divide the patients into K parts of nearly equal size, by a hash of their names, and train "
        "K networks, each of which is tested on another part. The run folder gets a folder for each, the pooled test, "
        "and the ensemble of the networks, which predicts. Default: one network",
        ge=2,
        le=1000,
        metavar="K",
    )
    validation: str | None = setting(
        None,
        "split: keep the weights with the highest Dice on the validation split. last: measure on it, but keep the last "
        "weights. none: train on the validation patients too and keep the last weights. Default: chosen from the data, "
        "none for few patients",
        choices=("split", "last", "none"),
    )
    split_shares: tuple[float, float, float] | None = setting(
        None,
        "Shares of the patients for training, validation and test, drawn by a hash of their names. Default: the data "
        "set's own splits",
        ge=0,
        le=1,
        metavar=("TRAIN", "VAL", "TEST"),
    )
    split_counts: tuple[int, int, int] | None = setting(
        None,
        "Numbers of images for training, validation and test, of whole patients who are drawn likewise, so that a "
        "split may have a few images more. Default: the data set's own splits",
        ge=0,
        le=2**62,
        metavar=("TRAIN", "VAL", "TEST"),
    )
    split_by: str = setting(
        "patient",
        "What split-shares and split-counts draw: whole patients, or each image by itself, as some papers do. The "
        "latter makes test results too good, and is possible with a preset only",
        choices=("patient", "image"),
    )
    split_boundaries: tuple[float, float, float] | None = setting(
        None,
        "Chosen by a training from split-shares or split-counts, or for data without splits, so that a patient stays "
        "in one split whatever other patients there are",
        ge=0,
        le=1,
        metavar=("TEST", "VAL", "TRAIN"),
        internal=True,
    )
    split_start: float | None = setting(
        None,
        "Chosen by a cross-validation for each fold: the hash with which its test split begins",
        ge=0,
        le=1,
        metavar="HASH",
        internal=True,
    )
    images: int | None = setting(
        None,
        "Number of training images to use, drawn at random with the seed. Default: all",
        ge=1,
        le=2**62,
        metavar="N",
    )
    blanks: bool = setting(
        True,
        "Train on the blank slices of stacks too, which show nothing to trace. Masks only: a blank slice has no "
        "landmarks",
    )
