"""Writes phantoms: a folder in the format of EchoNet-Dynamic, or a store of traced frames.

Patient `i` of a seed is the same in both, and does not depend on the number of threads.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from echoseg.datasets.echonet import FILE_LIST, VIDEOS
from echoseg.datasets.store import Store, write_store
from echoseg.datasets.tracings import TRACINGS
from echoseg.geometry.contour import order_contour
from echoseg.geometry.crop import Box, Crop
from echoseg.phantom.anatomy import Array
from echoseg.phantom.patient import FPS, FRAMES, Patient
from echoseg.phantom.view import SIZE
from echoseg.utils.files import new_folder, written_avi
from echoseg.utils.parallel import cpus

FILE_COLUMNS = ("FileName", "EF", "ESV", "EDV", "FrameHeight", "FrameWidth", "FPS", "NumberOfFrames", "Split")
TRACING_COLUMNS = ("FileName", "X1", "Y1", "X2", "Y2", "Frame")
VERSION = 3
"""Version of the simulation; increased when the same seed gives different images."""

_SHARED = {
    **{"height": SIZE, "width": SIZE, "fps": FPS, "view": "A4C"},
    **dict.fromkeys(("spacing_y", "spacing_x", "thickness"), math.nan),
}


def write_phantom(
    out: str | Path, *, videos: int = 60, seed: int = 0, exact: bool = False, workers: int | None = None
) -> Path:
    """Write synthetic apical four-chamber cines in the format of EchoNet-Dynamic.

    `FileList.csv` has the true volumes (ml) and EF (percent) at end-diastole and end-systole, `VolumeTracings.csv` the
    simulated expert's tracings of these two frames, and `Videos/` Motion JPEG cines of 60 frames, 112 × 112 pixels, 50
    frames per second.

    Source: The format is that of https://echonet.github.io/dynamic/ (Ouyang et al., Nature 580, 2020).

    Args:
        out: The folder to write; it must not exist.
        videos: Number of videos, one per patient.
        seed: Seed of the population.
        exact: Whether every frame is traced, with the exact contour, in place of two frames by the simulated expert.
        workers: Number of threads; None means one per CPU.

    Returns:
        The folder.

    Raises:
        FileExistsError: `out` exists.
        ValueError: `videos` or `workers` is less than 1, or `seed` is negative.
    """
    out = Path(out)
    _check("videos", videos, seed, workers)
    with new_folder(out) as folder:
        (folder / VIDEOS).mkdir()
        results = list(
            _map_patients(partial(_write_video, folder / VIDEOS, seed, exact), videos, workers, "phantom videos")
        )
        files = [[*file_row, split] for (file_row, _), split in zip(results, _splits(videos, seed), strict=True)]
        _write_table(folder / FILE_LIST, FILE_COLUMNS, files)
        _write_table(folder / TRACINGS, TRACING_COLUMNS, [row for _, tracing_rows in results for row in tracing_rows])
    return out


def write_phantom_store(
    out: str | Path,
    *,
    patients: int,
    seed: int = 0,
    frames: int | None = None,
    size: tuple[int, int] = (SIZE, SIZE),
    ordering: str | None = None,
    workers: int | None = None,
) -> Store:
    """Write the traced frames of synthetic patients to a store.

    By default these are end-diastole and end-systole of each patient, traced by a simulated expert. A network that is
    to follow a whole beat learns from `frames` of any phase, whose contours are exact.

    Args:
        out: The store to write; it must not exist.
        patients: Number of patients.
        seed: Seed of the population; the patients are those of `write_phantom`.
        frames: Number of frames of each patient of the training split, at random times and with the exact contour.
            Patients of the other splits keep the expert's tracings of end-diastole and end-systole, so that results
            stay comparable. None: all patients have these.
        size: (H, W) of the frames, which are simulated with 112 × 112 pixels and resized.
        ordering: A name in `echoseg.geometry.contour.ORDERINGS`; None is "chords".
        workers: Number of threads; None means one per CPU.

    Returns:
        The opened store.

    Raises:
        DataError: The ordering is not one of chords.
        FileExistsError: `out` exists.
        ValueError: `patients` or `workers` is less than 1, `seed` is negative, or `frames` is not between 1 and 60.
    """
    out = Path(out)
    _check("patients", patients, seed, workers)
    if frames is not None and not 1 <= frames <= FRAMES:
        raise ValueError(f"frames: expected 1 to {FRAMES}, got {frames}")
    if out.exists():  # checked here too, since the simulation takes minutes
        raise FileExistsError(f"{out}: exists already; choose another name or remove it")
    splits = _splits(patients, seed)
    counts = [frames if frames is not None and split == "TRAIN" else None for split in splits]
    images = np.empty((sum(count or 2 for count in counts), *size), np.uint8)
    crop = Crop(Box(0, 0, SIZE, SIZE), size)
    contours: list[Array] = []
    records: list[dict[str, Any]] = []
    results = _map_patients(partial(_traced_frames, seed, counts), patients, workers, "phantom patients")
    for index, (simulated, tracings, metadata) in enumerate(results):
        images[len(contours) : len(contours) + len(simulated)] = crop.frames(simulated)
        contours += [crop.points(order_contour(tracing, ordering)) for tracing in tracings]
        shared = {"video": _name(index), "patient": _name(index), "split": splits[index], "row": index + 2}
        records += [{**shared, **row, **_SHARED} for row in metadata]
    manifest = {
        "source": f"phantom version {VERSION}, seed {seed}" + (f", {frames} frames of any phase" if frames else ""),
        "kind": "chords",
        "ordering": ordering or "chords",
        "faults": [],
    }
    return write_store(out, images, contours, pd.DataFrame(records), manifest)


def _check(argument: str, count: int, seed: int, workers: int | None) -> None:
    if count < 1:
        raise ValueError(f"{argument}: expected at least 1, got {count}")
    if seed < 0:
        raise ValueError(f"seed: expected 0 or more, got {seed}")
    if workers is not None and workers < 1:
        raise ValueError(f"workers: expected at least 1, got {workers}")


def _map_patients(task: Callable[[int], Any], count: int, workers: int | None, label: str) -> Iterator[Any]:
    """The results of `task` for 0 … count - 1, in order.

    Threads are used instead of processes: OpenCV and NumPy release the interpreter's lock for three quarters of the
    time, threads start immediately, and spawned processes would run a caller's script again if it has no main guard.
    """
    threads_before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    pool = ThreadPoolExecutor(workers or cpus())
    try:
        yield from tqdm(pool.map(task, range(count)), total=count, desc=label, unit="patient", disable=None)
    finally:
        pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(threads_before)


def _name(index: int) -> str:
    return f"PHANTOM{index:06d}"


def _splits(count: int, seed: int) -> list[str]:
    """One eighth VAL, one eighth TEST, the rest TRAIN; with three patients or more, at least one of each."""
    share = max(1, round(count / 8)) if count >= 3 else 0
    cells = np.array(["VAL"] * share + ["TEST"] * share + ["TRAIN"] * (count - 2 * share))
    return np.random.default_rng((seed, count)).permutation(cells).tolist()


def _write_video(folder: Path, seed: int, exact: bool, index: int) -> tuple[list[Any], list[list[Any]]]:
    patient, name = Patient(seed, index), _name(index)
    path = folder / f"{name}.avi"
    # only OpenCV's own writer supports a quality setting; it needs colour frames, as the real cines have
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    with written_avi(path) as file:
        writer = cv2.VideoWriter(file, cv2.CAP_OPENCV_MJPEG, codec, FPS, (SIZE, SIZE))
        if not writer.isOpened():
            raise OSError(f"{path}: cannot be written")
        writer.set(cv2.VIDEOWRITER_PROP_QUALITY, patient.machine.quality)
        for number in range(FRAMES):
            writer.write(cv2.cvtColor(patient.frame(number), cv2.COLOR_GRAY2BGR))
        writer.release()
    edv, esv = patient.volumes[patient.ed], patient.volumes[patient.es]
    file_row = [name, f"{patient.ef:.6f}", f"{esv:.6f}", f"{edv:.6f}", SIZE, SIZE, round(FPS), FRAMES]
    tracing_rows = []
    trace = patient.exact_tracing if exact else patient.tracing
    for number in range(FRAMES) if exact else sorted((patient.ed, patient.es)):
        tracing_rows += [[f"{name}.avi", *(f"{v:.6f}" for v in row), number] for row in trace(number)]
    return file_row, tracing_rows


def _traced_frames(seed: int, counts: list[int | None], index: int) -> tuple[Array, list[Array], list[dict[str, Any]]]:
    patient, count = Patient(seed, index), counts[index]
    shared = {"ef": patient.ef, "edv": patient.volumes[patient.ed], "esv": patient.volumes[patient.es]}
    if count is None:
        numbers = sorted((patient.ed, patient.es))
        tracings = [patient.tracing(number) for number in numbers]
        phases = ["ED" if number == patient.ed else "ES" for number in numbers]
    else:
        numbers = sorted(np.random.default_rng((seed, index, count)).permutation(FRAMES)[:count].tolist())
        tracings = [patient.exact_tracing(number) for number in numbers]
        phases = [""] * count
    metadata = [{"frame": number, "phase": phase, **shared} for number, phase in zip(numbers, phases, strict=True)]
    frames = np.stack([_compress(patient.frame(number), patient.machine.quality) for number in numbers])
    return frames, tracings, metadata


def _compress(frame: Array, quality: int) -> Array:
    """The frame after JPEG compression and decompression."""
    encoded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE))


def _write_table(path: Path, columns: tuple[str, ...], rows: list[list[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
