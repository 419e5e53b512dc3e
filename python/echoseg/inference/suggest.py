"""Suggests which frames of which files a person should label next.

A frame is worth labelling if the network is uncertain of it, if many others look like it, and if the other frames that
are labelled do not. The files are divided into groups of similar images, as many as frames are wanted. Each group gives
the frame of which the network is most uncertain, of the half of its files nearest to its mean. No file gets a second
frame before every file has one.

Source: Hacohen, Dekel and Weinshall, "Active Learning on a Budget: Opposite Strategies Suit High and Low Budgets",
ICML 2022, who find that typical images of different groups are worth most where few are labelled.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.cluster.vq import kmeans2
from tqdm import tqdm

from echoseg.datasets.clips import recordings_by_file
from echoseg.datasets.corrections import name_in_tables
from echoseg.errors import DataError
from echoseg.geometry.crop import Box, Crop
from echoseg.inference.input_files import name_in_folder, walk_inputs
from echoseg.inference.predictor import Prediction, Predictor, load
from echoseg.io.clip import Clip
from echoseg.io.reading import read_clip
from echoseg.metrics.image_domain import image_statistics
from echoseg.utils.files import replace_file
from echoseg.utils.parallel import map_in_order

MIN_DISTANCE = 4
"""Minimum distance between frames of a cine that are suggested; 1 for slices."""
_CANDIDATES = 3  # frames of each file


def frame_uncertainty(prediction: Prediction) -> np.ndarray | None:
    """The relative standard deviation of the area of each frame.

    For masks it is the sum of the variances p (1 - p) of the pixels, divided by the area.

    Args:
        prediction: The prediction of T frames.

    Returns:
        (T,) float64; None if it is unknown, for landmarks without calibration.
    """
    areas = np.maximum(prediction.areas, 1)
    if prediction.area_std is not None:
        return prediction.area_std / areas
    if prediction.landmarks is None:
        return (prediction.probabilities * (1 - prediction.probabilities)).sum(axis=(1, 2)) / areas
    return None


def most_uncertain(
    uncertainty: np.ndarray, marked: np.ndarray | None = None, *, min_distance: int = MIN_DISTANCE
) -> list[int]:
    """Order the frames of a file: first those marked for review, then the others, by decreasing uncertainty.

    Args:
        uncertainty: (T,) float.
        marked: (T,) bool, whether frames are marked for review; None marks none.
        min_distance: The minimum distance between two frames of the result.

    Returns:
        The indices of the frames.
    """
    marked = np.zeros(len(uncertainty), dtype=bool) if marked is None else marked
    chosen: list[int] = []
    free = np.ones(len(uncertainty), dtype=bool)
    for frame in np.lexsort((-uncertainty, ~marked)).tolist():
        if free[frame]:
            chosen.append(frame)
            free[max(0, frame - min_distance + 1) : frame + min_distance] = False
    return chosen


def suggest(
    run: str | os.PathLike[str] | None,
    paths: Iterable[str | os.PathLike[str]],
    n: int = 20,
    *,
    out: str | os.PathLike[str] | None = None,
    approach: str = "landmark",
    device: str = "auto",
) -> pd.DataFrame:
    """Suggest which frames of which files to label next.

    Args:
        run: A run, or its folder. None: the network that ships with echoseg.
        paths: Files, and folders, which are searched with their subfolders.
        n: The number of frames.
        out: A CSV file to write, which must not exist; None writes none.
        approach: "landmark" or "mask", if `run` is None: which of the two networks that ship.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".

    Returns:
        A table with a row for each frame, the first being the most important: file, frame, uncertainty (the relative
        standard deviation of the area; nan if the run is not calibrated), unlike (the distance from the training
        images, as a multiple of the limit beyond which `echoseg predict` warns; nan if it is unknown), and name (that
        of the file in the tables of `echoseg review`).
        `table.attrs["errors"]` has a line for each file that cannot be used. There are fewer rows if the files have too
        few frames.

    Raises:
        DataError: The run cannot be used, an input is missing, or no file can be read.
        FileExistsError: `out` exists.
        ValueError: `approach` is unknown.
    """
    if out is not None and Path(out).exists():
        raise FileExistsError(f"{out}: exists already; choose another file")
    if out is not None:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
    predictor = load(run, approach=approach, device=device)
    names: dict[Path, str] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise DataError(f"{path}: no such file or folder; check the path")
        for file, name in _names_in_review(path, predictor.config.structure).items():
            names.setdefault(file, name)
    tables, statistics, errors = [], [], []
    bar = tqdm(names, desc="suggest", unit="file", disable=None)
    for path, (clip, error) in zip(bar, map_in_order(_read, names), strict=True):
        if clip is None:
            errors.append(f"{path}: {error}")
            continue
        try:
            table, features = find_candidates(predictor, clip)
        except DataError as reason:
            errors.append(f"{path}: {reason}")
            continue
        tables.append(table.assign(file=str(path), name=names[path]))
        statistics.append(features)
    if not tables:
        raise DataError(errors[0] if errors else "no file that contains frames; give files, or another folder")
    candidates = pd.concat(tables, ignore_index=True)
    chosen = choose(candidates, np.concatenate(statistics), n)
    result = candidates.iloc[chosen][["file", "frame", "uncertainty", "unlike", "name"]].reset_index(drop=True)
    result.attrs["errors"] = errors
    if out is not None:
        replace_file(Path(out), partial(result.to_csv, index=False, float_format="%.4f"))
    return result


def _names_in_review(path: Path, structure: str | None) -> dict[Path, str]:
    """The files of an input, and the name of each in a review of this input."""
    if not path.is_dir():
        return {path: path.name}
    listed = recordings_by_file(path, structure)
    names = {}
    for file in walk_inputs(path):
        recording = listed.get(file.resolve())
        names[file] = name_in_folder(file, path) if recording is None else name_in_tables(recording)
    return names


def _read(path: Path) -> tuple[Clip | None, str]:
    try:
        return read_clip(path), ""
    except DataError as error:
        return None, str(error).removeprefix(f"{path}: ")


def find_candidates(predictor: Predictor, clip: Clip) -> tuple[pd.DataFrame, np.ndarray]:
    """Find the frames of a file that come into question.

    Args:
        predictor: The predictor.
        clip: The clip of the file.

    Returns:
        The most uncertain frames, a table with frame, uncertainty and unlike; see `suggest`. And the statistics
        that describe their images; see `echoseg.metrics.image_domain.image_statistics`.
    """
    prediction = predictor(clip)
    uncertainty = frame_uncertainty(prediction)
    if uncertainty is None:
        uncertainty = np.full(len(prediction), np.nan)
    is_cine = bool(np.isnan(clip.thickness))
    order = most_uncertain(np.nan_to_num(uncertainty, nan=1.0), min_distance=MIN_DISTANCE if is_cine else 1)[
        :_CANDIDATES
    ]
    unlike = np.full(len(prediction), np.nan) if prediction.image_distances is None else prediction.image_distances
    frames = Crop(Box(0, 0, *prediction.size), predictor.config.size).frames(clip.frames[order])
    table = pd.DataFrame({"frame": order, "uncertainty": uncertainty[order], "unlike": unlike[order]})
    return table, image_statistics(frames)


def choose(candidates: pd.DataFrame, statistics: np.ndarray, count: int) -> list[int]:
    """Choose frames that are uncertain, typical and different.

    Args:
        candidates: What `find_candidates` returns for all files, with `file`.
        statistics: (N, D) float, the statistics of the N candidates.
        count: The number of frames.

    Returns:
        The positions of the chosen rows, in the order in which they were chosen.
    """
    scaled = (statistics - statistics.mean(axis=0)) / (statistics.std(axis=0) + 1e-6)
    uncertainty = candidates["uncertainty"].fillna(1.0).to_numpy()
    files = candidates["file"].to_numpy()
    left = np.arange(len(candidates))
    chosen: list[int] = []
    while len(chosen) < count and len(left):
        # of each file the most uncertain frame
        ordered = left[np.argsort(-uncertainty[left], kind="stable")]
        first = ordered[np.sort(np.unique(files[ordered], return_index=True)[1])]
        wanted = min(count - len(chosen), len(first))
        groups = _groups(scaled[first], wanted)
        picked = [int(first[group[uncertainty[first[group]].argmax()]]) for group in groups]
        # images that are equal make fewer groups
        picked += [place for place in first.tolist() if place not in picked][: wanted - len(picked)]
        chosen += picked
        left = np.setdiff1d(left, first)
    return chosen


def _groups(points: np.ndarray, count: int) -> list[np.ndarray]:
    """Divide (N, D) points into groups of similar ones by k-means.

    Returns:
        The indices of each group, the largest group first; of each group only the half that is nearest to its mean.
        There are at most `count` groups.
    """
    start = np.unique(points[_spread(points, count)], axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a group that became empty
        means, labels = kmeans2(points, start, minit="matrix")
    distances = np.linalg.norm(points - means[labels], axis=1)
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    groups.sort(key=len, reverse=True)
    return [group[np.argsort(distances[group], kind="stable")[: (len(group) + 1) // 2]] for group in groups]


def _spread(points: np.ndarray, count: int) -> list[int]:
    """Indices of distant points: the one nearest to the mean, then always the farthest from those before."""
    distances = -np.linalg.norm(points - points.mean(axis=0), axis=1)
    chosen = [int(distances.argmax())]
    distances = np.full(len(points), np.inf)
    while len(chosen) < count:
        distances = np.minimum(distances, np.linalg.norm(points - points[chosen[-1]], axis=1))
        distances[chosen] = -1
        chosen.append(int(distances.argmax()))
    return chosen
