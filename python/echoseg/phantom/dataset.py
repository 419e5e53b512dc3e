"""The two doors of the phantom: a folder in EchoNet-Dynamic's layout, and traced frames straight into a store.

Patient ``i`` of a seed is the same behind both doors, and does not depend on how many threads drew it.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from echoseg.datasets.echonet import FILE_LIST, TRACINGS, VIDEOS
from echoseg.datasets.store import Store, write_store
from echoseg.geometry.contour import order_contour
from echoseg.phantom.anatomy import Array
from echoseg.phantom.patient import FPS, FRAMES, Patient
from echoseg.phantom.view import SIZE
from echoseg.utils.files import check_avi, new_folder, opencv_name

FILE_COLUMNS = ("FileName", "EF", "ESV", "EDV", "FrameHeight", "FrameWidth", "FPS", "NumberOfFrames", "Split")
TRACING_COLUMNS = ("FileName", "X1", "Y1", "X2", "Y2", "Frame")
VERSION = 3  # of the pictures: raised whenever the same seed draws other ones

_SHARED = {
    **{"height": SIZE, "width": SIZE, "fps": FPS, "view": "A4C"},
    **dict.fromkeys(("spacing_y", "spacing_x", "thickness"), math.nan),
}


def write_phantom(out: str | Path, *, videos: int = 60, seed: int = 0, workers: int | None = None) -> Path:
    """Write synthetic apical four-chamber cines in the layout of EchoNet-Dynamic.

    ``FileList.csv`` holds the true volumes (ml) and EF (percent) of the two traced frames, ``VolumeTracings.csv`` what
    an observer would have traced in them, ``Videos/`` the MJPG cines of 60 frames, 112 × 112, 50 a second.

    Args:
        out: The folder to make; it appears when it is complete.
        videos: How many, one a patient.
        seed: Which population.
        workers: Threads; None takes as many as there are CPUs for this process.

    Returns:
        The folder.

    Raises:
        FileExistsError: ``out`` exists.
        ValueError: ``videos`` or ``workers`` is below 1, or ``seed`` below 0.

    Source: the layout is that of https://echonet.github.io/dynamic/ (Ouyang et al., Nature 580, 2020).
    """
    out = Path(out)
    _check("videos", videos, seed, workers)
    with new_folder(out) as folder:
        (folder / VIDEOS).mkdir()
        results = list(_each(partial(_write_video, folder / VIDEOS, seed), videos, workers, "phantom videos"))
        files = [[*listed, split] for (listed, _), split in zip(results, _splits(videos, seed), strict=True)]
        _write_table(folder / FILE_LIST, FILE_COLUMNS, files)
        _write_table(folder / TRACINGS, TRACING_COLUMNS, [row for _, traced in results for row in traced])
    return out


def write_phantom_store(out: str | Path, *, patients: int, seed: int = 0, workers: int | None = None) -> Store:
    """Write the traced frames of synthetic patients straight into a store: two a patient, end-diastole and end-systole.

    Args:
        out: The store to make.
        patients: How many.
        seed: Which population; its patients are those of ``write_phantom``.
        workers: Threads; None takes as many as there are CPUs for this process.

    Returns:
        The opened store.

    Raises:
        FileExistsError: ``out`` exists.
        ValueError: ``patients`` or ``workers`` is below 1, or ``seed`` below 0.
    """
    out = Path(out)
    _check("patients", patients, seed, workers)
    if out.exists():  # now rather than after the work
        raise FileExistsError(f"{out}: exists already; choose another name or remove it")
    frames = np.empty((2 * patients, SIZE, SIZE), np.uint8)
    contours: list[Array] = []
    records: list[dict[str, Any]] = []
    splits = _splits(patients, seed)
    for index, (pair, tracings, facts) in enumerate(
        _each(partial(_traced_frames, seed), patients, workers, "phantom patients")
    ):
        frames[2 * index : 2 * index + 2] = pair
        contours += [order_contour(tracing) for tracing in tracings]
        shared = {"video": _name(index), "patient": _name(index), "split": splits[index], "row": index + 2}
        records += [{**shared, **fact, **_SHARED} for fact in facts]
    manifest = {
        "source": f"phantom version {VERSION}, seed {seed}",
        "kind": "chords",
        "ordering": "chords",
        "faults": [],
    }
    return write_store(out, frames, contours, pd.DataFrame(records), manifest)


def _check(what: str, count: int, seed: int, workers: int | None) -> None:
    if count < 1:
        raise ValueError(f"{what}: expected at least 1, got {count}")
    if seed < 0:
        raise ValueError(f"seed: expected 0 or more, got {seed}")
    if workers is not None and workers < 1:
        raise ValueError(f"workers: expected at least 1, got {workers}")


def _each(task: Callable[[int], Any], count: int, workers: int | None, label: str) -> Iterator[Any]:
    """Results of ``task`` for 0 … count - 1, in order.

    Threads, not processes: OpenCV and NumPy let go of the interpreter for three quarters of a frame, threads start at
    once, and spawned processes would run the caller's script again unless it guards its main part.
    """
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads_before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    pool = ThreadPoolExecutor(workers)
    try:
        yield from tqdm(pool.map(task, range(count)), total=count, desc=label, unit="patient", disable=None)
    finally:
        pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(threads_before)


def _name(index: int) -> str:
    return f"PHANTOM{index:06d}"


def _splits(count: int, seed: int) -> list[str]:
    """One in eight for validation, one in eight for test, at least one each where there are three patients."""
    share = max(1, round(count / 8)) if count >= 3 else 0
    cells = np.array(["VAL"] * share + ["TEST"] * share + ["TRAIN"] * (count - 2 * share))
    return np.random.default_rng((seed, count)).permutation(cells).tolist()


def _write_video(folder: Path, seed: int, index: int) -> tuple[list[Any], list[list[Any]]]:
    patient, name = Patient(seed, index), _name(index)
    path = folder / f"{name}.avi"
    # OpenCV's own writer takes a quality, FFmpeg's does not; in grey it fails, and the real cines are colour too.
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(opencv_name(path), cv2.CAP_OPENCV_MJPEG, codec, FPS, (SIZE, SIZE))
    if not writer.isOpened():
        raise OSError(f"{path}: cannot be written")
    writer.set(cv2.VIDEOWRITER_PROP_QUALITY, patient.machine.quality)
    for number in range(FRAMES):
        writer.write(cv2.cvtColor(patient.frame(number), cv2.COLOR_GRAY2BGR))
    writer.release()
    check_avi(path)
    edv, esv = patient.volumes[patient.ed], patient.volumes[patient.es]
    listed = [name, f"{patient.ef:.6f}", f"{esv:.6f}", f"{edv:.6f}", SIZE, SIZE, round(FPS), FRAMES]
    traced = []
    for number in sorted((patient.ed, patient.es)):
        traced += [[f"{name}.avi", *(f"{v:.6f}" for v in row), number] for row in patient.tracing(number)]
    return listed, traced


def _traced_frames(seed: int, index: int) -> tuple[Array, list[Array], list[dict[str, Any]]]:
    patient = Patient(seed, index)
    edv, esv = patient.volumes[patient.ed], patient.volumes[patient.es]
    numbers = sorted((patient.ed, patient.es))
    truth = {"ef": patient.ef, "edv": edv, "esv": esv}
    facts = [{"frame": n, "phase": "ED" if n == patient.ed else "ES", **truth} for n in numbers]
    frames = np.stack([_through_jpeg(patient.frame(number), patient.machine.quality) for number in numbers])
    return frames, [patient.tracing(number) for number in numbers], facts


def _through_jpeg(frame: Array, quality: int) -> Array:
    packed = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE))


def _write_table(path: Path, columns: tuple[str, ...], rows: list[list[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
