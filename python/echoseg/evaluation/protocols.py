"""Protocols of public benchmarks: a run is measured as their papers do it, and what still differs is named.

All quantities are computed at each image's own size. The intervals are bootstrap intervals over patients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion
from scipy.spatial import KDTree

from echoseg.datasets.store import Store
from echoseg.errors import DataError
from echoseg.evaluation.ejection import reference_values
from echoseg.evaluation.evaluate import Evaluation
from echoseg.metrics.agreement import MIN_VIDEOS, NEED_MANY, agreement
from echoseg.metrics.bootstrap import FEW_PATIENTS, few_patients_note, interval, mean_interval
from echoseg.models.codec import fill_contours
from echoseg.utils.words import counted

_UNKNOWN = (np.nan, np.nan)
GOOD_MM = 5.0
"""A contour of the Sunnybrook challenge is good if its average perpendicular distance is less."""


@dataclass(frozen=True)
class Quantity:
    """A value with its 95 % interval; nan where it cannot be computed."""

    value: float
    ends: tuple[float, float] = _UNKNOWN


@dataclass(frozen=True)
class Protocol:
    """How a benchmark measures.

    Attributes:
        title: The benchmark.
        formats: The formats of `echoseg.datasets.formats` in which its data come.
        quantities: Quantity → its title with its unit, and its number of decimals.
        compute: Computes the quantities from the images, see `measure_images`, and the table of volumes.
        definition: What is computed, a sentence each.
        differences: What differs from the published figures whatever the run is, a sentence each.
    """

    title: str
    formats: tuple[str, ...]
    quantities: Mapping[str, tuple[str, int]]
    compute: Callable[[pd.DataFrame, pd.DataFrame], dict[str, Quantity]]
    definition: tuple[str, ...]
    differences: tuple[str, ...]


def apply_protocol(
    name: str, evaluation: Evaluation, store: Store, split: str, *, steps: Sequence[str] = ()
) -> dict[str, Any]:
    """Measure a run as the papers about a benchmark do.

    Args:
        name: A name of `PROTOCOLS`.
        evaluation: The evaluation of the run. If it has whole videos, EF is that of the videos, else that of the traced
            frames.
        store: The store that was evaluated.
        split: The name of the split.
        steps: The post-processing steps that were applied.

    Returns:
        The entry `protocol` of `metrics.json`: `name`; `values`, for each quantity of the protocol its `value` and its
        95 % interval `ci95`, None if unknown; and `differences`, what differs from the published figures.

    Raises:
        DataError: The protocol is unknown.
    """
    if name not in PROTOCOLS:
        raise DataError(f"unknown protocol {name!r}; known: {', '.join(PROTOCOLS)}")
    protocol = PROTOCOLS[name]
    volumes = evaluation.videos if len(evaluation.videos) else evaluation.volumes
    images = measure_images(evaluation, store)
    differences = [*_differences_of_data(protocol, images, store, split), *protocol.differences]
    if "ef_mae" in protocol.quantities:
        of = "whole videos, over the beats that were found" if len(evaluation.videos) else "the frames that were traced"
        differences.append(f"EF is computed from the contours of {of}.")
    if "conformity" in protocol.quantities:
        apart = int(((images["apd_mm"] < GOOD_MM) & (images["dice"] == 0)).sum())
        left_out = f"The mean of conformity leaves out {counted(apart, 'good contour')} with a Dice of 0"
        differences += [f"{left_out}, for which it is minus infinity."] if apart else []
    if steps:
        differences.append(f"Post-processing was applied: {', '.join(steps)}.")
    values = {quantity: _entry(value) for quantity, value in protocol.compute(images, volumes).items()}
    unknown = [quantity for quantity in values if quantity.endswith(NEED_MANY) and values[quantity]["value"] is None]
    if any(values[f"{quantity.split('_')[0]}_mae"]["value"] is not None for quantity in unknown):
        differences.append(f"Correlations and R² of fewer than {MIN_VIDEOS} videos are left out.")
    return {"name": name, "values": values, "differences": differences}


def _entry(quantity: Quantity) -> dict[str, Any]:
    known = np.isfinite(quantity.ends).all()
    return {
        "value": quantity.value if np.isfinite(quantity.value) else None,
        "ci95": list(quantity.ends) if known else None,
    }


def measure_images(evaluation: Evaluation, store: Store) -> pd.DataFrame:
    """Measure contours at the images' own size.

    Args:
        evaluation: The evaluation of N images.
        store: The store that was evaluated.

    Returns:
        A table with a row per image: patient, phase, both_px, the number of pixels in both masks, sum_px, the sum of
        their areas, dice, and in mm, nan without a spacing, mad_mm, the mean of the two mean distances between the
        borders, hd_mm, the Hausdorff distance, and apd_mm, the mean distance of the predicted border from the true one.
    """
    samples = store.samples.iloc[evaluation.indices].reset_index(drop=True)
    rows = []
    for row, index in enumerate(evaluation.indices):
        crop, size = store.crop(index), (int(samples["height"][row]), int(samples["width"][row]))
        contours = (evaluation.prediction.contours[row], store.contour(index))
        predicted, true = fill_contours([crop.points_in_frame(points) for points in contours], size).astype(bool)
        spacing = samples.loc[row, ["spacing_y", "spacing_x"]].to_numpy(np.float64) * crop.scale[::-1]
        areas = np.count_nonzero(predicted & true), np.count_nonzero(predicted) + np.count_nonzero(true)
        rows.append((*areas, *_distances(predicted, true, spacing)))
    table = pd.DataFrame(rows, columns=["both_px", "sum_px", "mad_mm", "hd_mm", "apd_mm"])
    table[["patient", "phase"]] = samples[["patient", "phase"]]
    return table.assign(dice=2 * table["both_px"] / table["sum_px"])


def _distances(
    predicted: NDArray[np.bool_], true: NDArray[np.bool_], spacing: NDArray[np.float64]
) -> tuple[float, ...]:
    """MAD, HD and APD of two masks, (H, W); the image's diagonal if one is empty."""
    if not np.isfinite(spacing).all():
        return (np.nan,) * 3
    if not (predicted.any() and true.any()):
        return (float(np.hypot(*(predicted.shape * spacing))),) * 3
    a, b = (np.argwhere(mask & ~binary_erosion(mask)) * spacing for mask in (predicted, true))
    to_true, to_predicted = KDTree(b).query(a)[0], KDTree(a).query(b)[0]
    farthest = max(to_true.max(), to_predicted.max())
    return (to_true.mean() + to_predicted.mean()) / 2, farthest, to_true.mean()


def _differences_of_data(protocol: Protocol, images: pd.DataFrame, store: Store, split: str) -> list[str]:
    lines = []
    if store.samples["video"].astype(str).str.startswith("PHANTOM").all():
        lines.append("The images are synthetic: only the way of measuring is that of the benchmark, not the data.")
    format = store.manifest.get("understood", {}).get("format")
    if format is not None and format not in protocol.formats:
        lines.append(
            f"The data come in the format {format}; those of the benchmark in {' or '.join(protocol.formats)}."
        )
    if split != "test":
        lines.append(f"The split is {split!r}, not the test split.")
    patients = images["patient"].nunique()
    count = f"{counted(len(images), 'image')} of {counted(patients, 'patient')}"
    lines.append(f"The run was measured on {count}; the published figures are of the benchmark's own.")
    if patients < FEW_PATIENTS:
        note = few_patients_note(patients)
        lines.append(f"{note[0].upper()}{note[1:]}.")
    return lines


def _means(images: pd.DataFrame, column: str) -> Quantity:
    values = images[column].to_numpy(np.float64)
    if not len(values) or np.isnan(values).any():
        return Quantity(np.nan)
    return Quantity(float(values.mean()), mean_interval(values, images["patient"].to_numpy()))


def _pooled_dice(images: pd.DataFrame) -> Quantity:
    """The Dice of all pixels of all images together, as in `echonet.utils.dice_similarity_coefficient`."""
    if not len(images):
        return Quantity(np.nan)
    both, total = (images[name].to_numpy(np.float64) for name in ("both_px", "sum_px"))
    low, high = interval(lambda weights: 2 * (weights @ both) / (weights @ total), images["patient"].to_numpy())
    return Quantity(float(2 * both.sum() / total.sum()), (float(low), float(high)))


def _agreement(table: pd.DataFrame, quantity: str, names: Sequence[str]) -> dict[str, Quantity]:
    rows = table if quantity == "ef" else table[table["unit"] == "ml"]
    entry = agreement(
        rows[quantity].to_numpy(np.float64),
        reference_values(rows, quantity).to_numpy(np.float64),
        rows["patient"].to_numpy(),
    )
    shown = [name for name in names if name not in NEED_MANY or entry["videos"] >= MIN_VIDEOS]
    known = {name: entry[name] for name in shown if entry[name] is not None}
    values = {
        f"{quantity}_{name}": Quantity(value, tuple(entry["ci95"].get(name, _UNKNOWN))) for name, value in known.items()
    }
    return {f"{quantity}_{name}": Quantity(np.nan) for name in names} | values


def _echonet(images: pd.DataFrame, volumes: pd.DataFrame) -> dict[str, Quantity]:
    parts = {"dice": images, **{f"dice_{phase.lower()}": images[images["phase"] == phase] for phase in ("ED", "ES")}}
    return {
        **{name: _pooled_dice(part) for name, part in parts.items()},
        **_agreement(volumes, "ef", ("mae", "rmse", "r2")),
    }


def _camus(images: pd.DataFrame, volumes: pd.DataFrame) -> dict[str, Quantity]:
    values = {
        f"{name}_{phase.lower()}": _means(images[images["phase"] == phase], column)
        for name, column in (("dice", "dice"), ("mad", "mad_mm"), ("hd", "hd_mm"))
        for phase in ("ED", "ES")
    }
    of_volumes = {**_agreement(volumes, "edv", ("pearson", "mae")), **_agreement(volumes, "esv", ("pearson", "mae"))}
    for name in ("pearson", "mae"):
        values[f"volume_{name}"] = Quantity(float(np.mean([of_volumes[f"{v}_{name}"].value for v in ("edv", "esv")])))
    return {**values, **_agreement(volumes, "ef", ("pearson", "mae"))}


def _sunnybrook(images: pd.DataFrame, _: pd.DataFrame) -> dict[str, Quantity]:
    if images["apd_mm"].isna().any():
        return dict.fromkeys(("good", "dice", "apd", "conformity"), Quantity(np.nan))
    good = images[images["apd_mm"] < GOOD_MM]
    overlapping = good[good["dice"] > 0]
    overlapping = overlapping.assign(conformity=3 - 2 / overlapping["dice"])
    share = _means(images.assign(good=100.0 * (images["apd_mm"] < GOOD_MM)), "good")
    return {"good": share, "dice": _means(good, "dice"), "apd": _means(good, "apd_mm"),
            "conformity": _means(overlapping, "conformity")}  # fmt: skip


_INTERVALS = "The intervals are 95 % intervals over patients."
PROTOCOLS = {
    "echonet": Protocol(
        "EchoNet-Dynamic",
        ("EchoNet",),
        {
            "dice": ("Dice", 4),
            "dice_ed": ("Dice, ED", 4),
            "dice_es": ("Dice, ES", 4),
            "ef_mae": ("EF MAE, points", 2),
            "ef_rmse": ("EF RMSE, points", 2),
            "ef_r2": ("EF R²", 2),
        },
        _echonet,
        (
            "Dice is that of the pixels of all images together, 2 Σ|A∩B| / Σ(|A| + |B|), not the mean over images, as"
            " in the benchmark's code (echonet.utils.dice_similarity_coefficient).",
            "It is measured on the traced frames, in the videos' own pixels. EF is compared with that of the list.",
        ),
        (
            f"{_INTERVALS} The benchmark's code takes the percentiles 5 and 95 of a bootstrap over frames.",
            "The published EF is predicted from videos by regression.",
            "The reference masks are filled by echoseg, those of the benchmark's code by scikit-image; they differ in"
            " pixels of the border.",
        ),
    ),
    "camus": Protocol(
        "CAMUS",
        ("CAMUS",),
        {
            **{f"dice_{phase.lower()}": (f"Dice, {phase}", 3) for phase in ("ED", "ES")},
            **{f"mad_{phase.lower()}": (f"MAD, mm, {phase}", 2) for phase in ("ED", "ES")},
            **{f"hd_{phase.lower()}": (f"HD, mm, {phase}", 2) for phase in ("ED", "ES")},
            "volume_pearson": ("correlation of EDV and ESV", 3),
            "volume_mae": ("MAE of EDV and ESV, ml", 1),
            "ef_pearson": ("correlation of EF", 3),
            "ef_mae": ("MAE of EF, points", 1),
        },
        _camus,
        (
            "Means over images, at end-diastole (ED) and end-systole (ES) apart: Dice, mean absolute distance (MAD) and"
            " Hausdorff distance (HD) of the endocardium.",
            "Volumes by the method of discs, biplane where a patient has both apical views; correlation and MAE of the"
            " volumes are the means of those of EDV and ESV.",
        ),
        (
            _INTERVALS,
            "The published figures are means over several networks.",
            "Distances are between border pixels of masks at the images' own size.",
        ),
    ),
    "sunnybrook": Protocol(
        "Sunnybrook Cardiac Data, MICCAI 2009 challenge",
        ("EchoNet", "pairs", "nnU-Net"),
        {
            "good": ("good contours, %", 2),
            "dice": ("Dice", 3),
            "apd": ("APD, mm", 2),
            "conformity": ("conformity", 3),
        },
        _sunnybrook,
        (
            f"A contour is good if its average perpendicular distance (APD) is less than {GOOD_MM:g} mm; Dice, APD and"
            " conformity, 3 - 2 / Dice, are means over the good contours of the endocardium.",
        ),
        (
            _INTERVALS,
            "APD is the mean distance of the pixels of the predicted border from the traced border, not along"
            " perpendiculars.",
            "The published figures are of all 45 patients of the challenge.",
        ),
    ),
}  # fmt: skip
"""The protocols by name."""
