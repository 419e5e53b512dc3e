"""Compares runs, and masks that other tools predicted, on the same images.

All methods are measured in the pixels of the original frames, so that none has the advantage of its own grid: contours
of runs are mapped from the network's frames to the original ones, and masks are taken as they are. The first method is
the reference that each other one is compared with.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from echoseg.evaluation.comparison_cases import Cases, ComparedRun
from echoseg.evaluation.comparison_table import NSD_TOLERANCE, compare_groups, compare_scores, ef_errors
from echoseg.evaluation.ejection import traced_volumes, warn_of_unpaired
from echoseg.evaluation.evaluate import predict_split
from echoseg.evaluation.mask_folder import MaskFolder
from echoseg.geometry.level_set import mask_contour
from echoseg.inference.predictor import Prediction
from echoseg.metrics.overlap import dice
from echoseg.metrics.surface import surface_distances
from echoseg.models.codec import fill_contours
from echoseg.ops import normalized_surface_dice
from echoseg.training.logs import logger

OF_IMAGES = ("dice", "nsd", "hd95", "assd")
"""The measures of images, columns of `Method.cases`."""
_BATCH = 256  # images that are drawn at once


@dataclass(frozen=True, eq=False)
class Method:
    """What a method predicts for the images of a comparison.

    Attributes:
        name: Its name in tables and figures.
        contours: N contours, (P, 2) float32, pixels of the original frames; of masks, that of the largest piece.
        cases: A row per image: `OF_IMAGES` and area_px; distances in `Cases.unit`.
        volumes: A table of volumes from the traced frames; see `echoseg.evaluation.ejection.traced_volumes`.
    """

    name: str
    contours: list[np.ndarray]
    cases: pd.DataFrame
    volumes: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Comparison:
    """A comparison of methods.

    Attributes:
        cases: The images, whose notes also say what was guessed about masks.
        methods: The methods, the reference first.
        split: The split that was measured.
        volumes: A row per video and method; see `echoseg.evaluation.comparison_table.ef_errors`.
        table: A row per measure and method; see `echoseg.evaluation.comparison_table.compare_scores`.
        groups: The same for the Dice in groups of the images.
        observers: The same for the images that further observers traced, after the name of the `observer`, who is one
            of the methods there. The first observer's contours are the true ones.
    """

    cases: Cases
    methods: list[Method]
    split: str
    volumes: pd.DataFrame
    table: pd.DataFrame
    groups: pd.DataFrame
    observers: pd.DataFrame


def compare_methods(
    runs: Sequence[ComparedRun], masks: Mapping[str, Path], cases: Cases, split: str = "test"
) -> Comparison:
    """Compare runs and folders of masks.

    Args:
        runs: The runs.
        masks: The folder of the masks of each other method, by its name.
        cases: The images.
        split: The name of the split that the images are from.

    Raises:
        DataError: A mask is missing or damaged, or does not fit its image.
    """
    folders = {name: MaskFolder(folder, cases) for name, folder in masks.items()}  # before the networks predict
    notes = [f"{name}: {note}" for name, folder in folders.items() for note in folder.notes]
    for note in notes:
        logger.warning("%s", note)
    cases = dataclasses.replace(cases, notes=(*cases.notes, *notes))
    warn_of_unpaired(cases.store.samples.iloc[cases.indices])
    methods = [_predict(run, cases) for run in runs]
    methods += [_read_masks(name, folder, cases) for name, folder in folders.items()]
    patients = cases.table["patient"].to_numpy()
    scores = {name: pd.DataFrame({method.name: method.cases[name] for method in methods}) for name in OF_IMAGES}
    tables = [compare_scores(name, table, patients) for name, table in scores.items()]
    errors = ef_errors({method.name: method.volumes for method in methods})
    by_video = errors.pivot(index="video", columns="method", values="ef_error").reindex(columns=list(scores["dice"]))
    if by_video.notna().all(axis=1).any():
        patient_of = errors.drop_duplicates("video").set_index("video")["patient"]
        tables.append(compare_scores("ef_error", by_video, patient_of[by_video.index].to_numpy()))
    table = pd.concat(tables, ignore_index=True)
    units = {"hd95": cases.unit, "assd": cases.unit, "ef_error": "points"}
    table.insert(1, "unit", table["measure"].map(units).fillna(""))
    efs = errors.groupby("patient")["reference_ef"].mean()
    groups = compare_groups(scores["dice"], cases.table, efs, cases.true_areas())
    return Comparison(cases, methods, split, errors, table, groups, compare_observers(cases, methods))


def _predict(run: ComparedRun, cases: Cases) -> Method:
    """Predict the images by a run."""
    found, store = run.indices(cases.table), run.data.store
    contours: list[np.ndarray] = [np.empty((0, 2), np.float32)] * len(found)
    volumes = []
    for predictor, own in run.parts:
        chosen = np.flatnonzero(np.isin(found, own))
        if not len(chosen):
            continue
        prediction = predict_split(predictor, store, found[chosen], run.name)
        volumes.append(traced_volumes(store, found[chosen], prediction))
        for case, contour in zip(chosen, prediction.contours, strict=True):
            contours[case] = store.crop(found[case]).points_in_frame(contour)

    measured = _measure(cases, partial(_fill, contours), cases.unit)
    return Method(run.name, contours, measured, pd.concat(volumes, ignore_index=True))


def _read_masks(name: str, folder: MaskFolder, cases: Cases) -> Method:
    """Read the masks of another tool."""
    contours: list[np.ndarray] = []

    def read(chosen: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        masks = np.stack([folder.read(case) for case in chosen])
        contours.extend(mask_contour(mask) for mask in masks)
        return masks

    measured = _measure(cases, read, cases.unit)
    store = cases.store
    in_store = [store.crop(i).points(contour) for i, contour in zip(cases.indices, contours, strict=True)]
    pieces = np.array([int(len(contour) > 0) for contour in contours])
    empty = np.broadcast_to(np.float32(0), (len(contours), *store.size))  # probabilities, which masks do not have
    volumes = traced_volumes(store, cases.indices, Prediction(in_store, pieces, empty))
    return Method(name, contours, measured, volumes)


def compare_observers(cases: Cases, methods: Sequence[Method]) -> pd.DataFrame:
    """Compare methods, and further observers, with the first observer on the images that these observers traced.

    Args:
        cases: The images.
        methods: The methods, the reference first.

    Returns:
        The table `Comparison.observers`; empty if each image was traced by one observer.
    """
    store, tables = cases.store, []
    for observer, contours in cases.store.observers.items():
        further = [i in contours and not np.array_equal(contours[i], store.contour(i)) for i in cases.indices]
        traced = np.flatnonzero(further)
        if not len(traced):
            continue
        part = cases.take(traced)
        drawn = [store.crop(i).points_in_frame(contours[i]) for i in part.indices]
        measured = _measure(part, partial(_fill, drawn), cases.unit)
        for name in OF_IMAGES:
            scores = pd.DataFrame({method.name: method.cases[name].to_numpy()[traced] for method in methods})
            scores[f"observer {observer}"] = measured[name]
            rows = compare_scores(name, scores, part.table["patient"].to_numpy())
            tables.append(rows.assign(unit=cases.unit if name in ("hd95", "assd") else "", observer=observer))
    if not tables:
        return pd.DataFrame()
    joined = pd.concat(tables, ignore_index=True)
    return joined[["observer", *(name for name in joined if name != "observer")]]


def _fill(contours: Sequence[np.ndarray], chosen: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The masks of some images, given the contours of all."""
    return fill_contours([contours[case] for case in chosen], size)


def _measure(cases: Cases, draw: Callable[[np.ndarray, tuple[int, int]], np.ndarray], unit: str) -> pd.DataFrame:
    """Measure masks in the pixels of the original frames.

    Args:
        cases: The images.
        draw: The masks of some images, which have one size; it is called in the order of the images.
        unit: The unit of distances, "mm" or "px".
    """
    true_contours, parts = cases.true_contours(), []
    table = cases.table.fillna({"spacing_y": 0.0, "spacing_x": 0.0})
    grids = table[["height", "width", "spacing_y", "spacing_x"]].itertuples(index=False, name=None)
    for grid, group in itertools.groupby(enumerate(grids), key=lambda item: item[1]):
        numbers = np.array([number for number, _ in group])
        height, width, *spacing = grid
        for chosen in np.array_split(numbers, -(-len(numbers) // _BATCH)):
            predicted = draw(chosen, (height, width))
            true = fill_contours([true_contours[case] for case in chosen], (height, width))
            scale = (spacing[0], spacing[1]) if unit == "mm" else None
            hd95, assd = surface_distances(predicted, true, spacing=scale)
            nsd = normalized_surface_dice(predicted, true, tolerance=NSD_TOLERANCE, spacing=scale)
            values = {"dice": dice(predicted, true), "nsd": nsd, "hd95": hd95, "assd": assd}
            parts.append(pd.DataFrame({**values, "area_px": predicted.sum(axis=(1, 2), dtype=np.int64)}))
    return pd.concat(parts, ignore_index=True)
