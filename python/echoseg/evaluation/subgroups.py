"""Results by subgroup: phase, view, image quality, ejection fraction, sex and age."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from math import nan
from typing import Any

import numpy as np
import pandas as pd

from echoseg.evaluation.ef_bands import BANDS
from echoseg.evaluation.ejection import reference_ef
from echoseg.metrics.bootstrap import mean_interval
from echoseg.metrics.conformal import EF_BANDS

TEXTS = ("phase", "view", "quality", "sex")
"""Columns of the table of images that name a group."""
_AGES = (2, 6, 11, 18, 40, 65)  # years
_AGE_BANDS = (f"below {_AGES[0]}", *(f"{a} to {b}" for a, b in itertools.pairwise(_AGES)), f"from {_AGES[-1]}")
_UNKNOWN = "unknown"
_MEANS = ("nsd_2px", "nsd_2mm", "hd95_px", "hd95_mm")


def subgroups(images: pd.DataFrame, volumes: pd.DataFrame, stacks: pd.DataFrame) -> list[dict[str, Any]]:
    """Compute the entry "subgroups" of `metrics.json`.

    Args:
        images: The table of images; see `echoseg.evaluation.image_table.measure_images`.
        volumes: The table of volumes; see `echoseg.evaluation.ejection.traced_volumes`.
        stacks: The table of stacks; see `echoseg.evaluation.stacks.measure_stacks`.

    Returns:
        A row for each group, by each property that has at least two groups: `by`, the property; `group`; `images` and
        `patients`, their numbers; `dice`, the mean, and its 95 % interval over patients, `dice_low` and `dice_high`,
        None for one patient; the means of NSD and HD95, None if they are unknown; and `failures`, their number. The EF
        of a patient is the mean of the references, of stacks that of the tracings. The age is in years.
    """
    rows = []
    for name, group, is_in in image_groups(images, _reference_efs(volumes, stacks)):
        rows.append({"by": name, "group": group, **_summarise(images[is_in])})
    return rows


def image_groups(images: pd.DataFrame, efs: pd.Series) -> Iterator[tuple[str, str, pd.Series]]:
    """Find the groups of images, by each property that has at least two groups.

    Args:
        images: A table of N images with patient and the columns that name a group, in so far as they are known.
        efs: The reference EF of patients, percent.

    Yields:
        The property, the name of the group, and (N,) bool: the images in it.
    """
    for name, groups, order in _properties(images, efs):
        present = [group for group in (*order, _UNKNOWN) if (groups == group).any()]
        if len(present) > 1:
            yield from ((name, group, groups == group) for group in present)


def _reference_efs(volumes: pd.DataFrame, stacks: pd.DataFrame) -> pd.Series:
    """The EF by patient, percent."""
    of_volumes = reference_ef(volumes).astype(float).groupby(volumes["patient"]).mean()
    return of_volumes.combine_first(stacks["true_ef"].astype(float).groupby(stacks["patient"]).mean())


def _properties(images: pd.DataFrame, efs: pd.Series) -> Iterator[tuple[str, pd.Series, Sequence[str]]]:
    """For each property its name, the group of each image, and the groups in their order."""
    for name in TEXTS:
        if name in images:
            groups = images[name].fillna("").replace("", _UNKNOWN)  # nan in folds that know no value
            yield name, groups, sorted(set(groups) - {_UNKNOWN})
    yield "EF, %", _banded(images["patient"].map(efs), EF_BANDS, BANDS), BANDS
    if "age" in images:
        yield "age, years", _banded(images["age"], _AGES, _AGE_BANDS), _AGE_BANDS


def _banded(values: pd.Series, edges: Sequence[float], names: Sequence[str]) -> pd.Series:
    bands = pd.Series(np.array(names, dtype=object)[np.digitize(values.astype(float), edges)], index=values.index)
    return bands.where(values.notna(), _UNKNOWN)


def _summarise(images: pd.DataFrame) -> dict[str, Any]:
    patients = int(images["patient"].nunique())
    low, high = mean_interval(images["dice"].to_numpy(), images["patient"].to_numpy()) if patients > 1 else (nan, nan)
    numbers = {"dice": images["dice"].mean(), "dice_low": low, "dice_high": high}
    numbers |= {name: images[name].mean() for name in _MEANS if name in images}
    return {
        "images": len(images),
        "patients": patients,
        **{name: float(value) if np.isfinite(value) else None for name, value in numbers.items()},
        "failures": int(images["failure"].sum()),
    }
