"""Segment many files, with several processes if needed, and resume an interrupted prediction.

The next file is decoded and the results of the last one are written while the network runs. A file that cannot be
segmented gets a row with the error, and the other files are processed all the same. An output folder that cannot be
written to stops the prediction.

Each rank appends one line per file to its own manifest, after the results of the file are complete. A line is valid if
its checksum is correct and if it was made with the same run, the same settings, and a file of the same size and
modification time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

import pandas as pd

from echoseg.datasets.clips import recordings_by_file, with_listed_facts
from echoseg.datasets.decathlon import without_channel
from echoseg.datasets.patients import names_patient, patient_of_name
from echoseg.datasets.recording import Recording
from echoseg.errors import DataError
from echoseg.inference.body_surface import body_surface_areas
from echoseg.inference.measure import Measurement, measure
from echoseg.inference.postprocess import postprocess
from echoseg.inference.predictor import CALIBRATION, SHAPES, Prediction, Predictor
from echoseg.inference.stack_row import STACK_COLUMNS, read_stack_truth, stack_row
from echoseg.inference.truth import find_truth, is_truth
from echoseg.io.clip import Clip
from echoseg.io.file_types import unread_reason
from echoseg.io.reading import is_clip, read_clip, series_files
from echoseg.io.volume import is_volume
from echoseg.models.codec import Codec
from echoseg.training.checkpoint import BEST, CONFIG
from echoseg.training.stopwatch import Stopwatch
from echoseg.utils.checksum import add_checksum, parse
from echoseg.utils.files import hash_file, naming, new_folder, remove_abandoned, replace_file
from echoseg.utils.parallel import map_in_order

COLUMNS = {
    "file": "str",
    "patient": "str",
    "frames": "Int64",
    "fps": "float64",
    "unit": "str",
    "edv": "float64",
    "esv": "float64",
    "ef": "float64",
    "beats": "Int64",
    **STACK_COLUMNS,
    "review": "Int64",
    "note": "str",
    "error": "str",
}
"""Columns of the table of results, with their types."""
Row = dict[str, Any]
Write = Callable[[Path, Clip, Prediction, Measurement, Path], dict[str, float] | None]
"""A function of a file, what is known of it, and the folder to write to; it returns the seconds of each output."""
_RESERVED = re.compile(r"manifest-\d+\.jsonl|results\.(csv|parquet)(\.part)?|\..*\.part", re.IGNORECASE)
_RUN_FILES = (CONFIG, BEST, CALIBRATION, SHAPES)


@dataclass(frozen=True)
class InputFile:
    """One file to segment.

    Attributes:
        name: Name of the folder for its results, relative to the output folder, with "/" between parts.
        path: The file.
        key: Hash of the run, the settings, and the size and modification time of the file.
        recording: The metadata that a data set lists for the file; None if the file is not part of a data set.
        truth: The file of the ground truth mask; None if there is none.
        bsa: Body surface area of the patient, m²; nan if it is unknown.
    """

    name: str
    path: Path
    key: str
    recording: Recording | None = None
    truth: Path | None = None
    bsa: float = math.nan

    @property
    def patient(self) -> str:
        """The patient: as the data set says, else by the name of the file."""
        return _patient(self.path, self.recording)


def find_input_files(
    inputs: Sequence[Path],
    run: Path,
    settings: object,
    *,
    out: Path,
    structure: str | None = None,
    truth: Path | None = None,
    bsa: float | str | os.PathLike[str] | None = None,
) -> list[InputFile]:
    """Find the files to segment; folders are searched with their subfolders.

    The slices of a DICOM series in a folder are one input, whose path is the folder. In folders, hidden files, tables
    and texts, and the ground truth masks beside volumes are left out. Images and videos of a type that is not read are
    included, and fail with the reason. Results are named by the path relative to the
    deepest folder that contains every input, without suffix. If two names would be equal, all names keep their suffix.
    A series beside other inputs in its folder is named FOLDER/series.

    Args:
        inputs: Files, which are always included, and folders.
        run: The run folder.
        settings: Everything else that the results depend on; its `repr` is part of the key.
        out: The output folder, which is not searched.
        structure: The name of the structure that the run segments.
        truth: A folder with ground truth masks; None searches as `echoseg.inference.truth.find_truth` says.
        bsa: Body surface areas; see `echoseg.inference.body_surface`.

    Returns:
        The files, folder by folder in the order of `inputs`.

    Raises:
        DataError: An input is missing, no file is found, the results of a file would have a reserved name, `truth` has
            no mask of any file, or `bsa` cannot be used.
    """
    files: dict[Path, None] = {}
    recordings: dict[Path, Recording] = {}
    folders = []
    for path in inputs:
        if not path.exists():
            raise DataError(f"{path}: no such file or folder; check the path")
        folder = (path if path.is_dir() else path.parent).resolve()
        folders.append(folder)
        files |= dict.fromkeys(_walk(folder, out.resolve()) if path.is_dir() else [folder / path.name])
        recordings |= recordings_by_file(folder, structure) if path.is_dir() else {}
    if not files:
        raise DataError(f"{', '.join(map(str, inputs))}: no file that contains frames; give another folder")
    folders += [path.parent for path in files if path.is_dir()]  # so that the results of a series have a name
    names = _result_names(list(files), os.path.commonpath(folders), out)
    origin = [hash_file(run / name) if (run / name).exists() else "" for name in _RUN_FILES], settings
    if truth is not None and not truth.is_dir():
        raise DataError(f"{truth}: no such folder; give one with ground truth masks")
    listed = {path: recordings.get(path.resolve()) for path in files}
    truths = {path: find_truth(path, truth) if is_volume(path) or path.is_dir() else None for path in files}
    if truth is not None and not any(truths.values()):
        raise DataError(f"{truth}: has no mask with the name of an input, such as {names[0]}; give another folder")
    patients = {path: _patient(path, listed[path]) for path in files}
    areas = {} if bsa is None else body_surface_areas(bsa, patients.values())
    input_files = []
    for name, path in zip(names, files, strict=True):
        recording, mask, area = listed[path], truths[path], areas.get(patients[path], math.nan)
        metadata = None if recording is None else (recording.fps, recording.spacing)
        key = _key((origin, metadata, area, mask and _key("", mask)), path)
        input_files.append(InputFile(name, path, key, recording, mask, area))
    return input_files


def _patient(path: Path, recording: Recording | None) -> str:
    """The patient of a file: as the data set says, else by the folder if it is named for a patient, or the name."""
    if recording is not None:
        return recording.patient
    stem = without_channel(_without_suffix(path.name))
    folder = path.parent.name
    return folder if names_patient(folder) and not names_patient(stem) else patient_of_name(stem)


def _result_names(paths: Sequence[Path], top: str, out: Path) -> list[str]:
    """The name of the results of each path, which lies below the folder `top`.

    Raises:
        DataError: A name is reserved in the output folder.
    """
    with_inputs = {parent for path in paths for parent in path.parents}
    places = [path / "series" if path in with_inputs else path for path in paths]  # no results inside other results
    names = [path.relative_to(top).as_posix().encode(errors="backslashreplace").decode() for path in places]
    short = [name if path.is_dir() else _without_suffix(name) for name, path in zip(names, paths, strict=True)]
    folders = {parent.as_posix() for name in names for parent in PurePosixPath(name).parents}
    if len(set(short)) == len(short) and folders.isdisjoint(short) and not any(map(_is_reserved, short)):
        return short
    for name, path in zip(names, paths, strict=True):
        if _is_reserved(name):
            raise DataError(f"{path}: {out} needs the name of this file for its own table or manifest; rename the file")
    return names


def finished_rows(folder: Path) -> dict[tuple[str, str], Row]:
    """Read the manifests in a folder.

    Args:
        folder: The output folder.

    Returns:
        The rows by name and key of the file. A row with an error is kept only if there is none without.
    """
    rows: dict[tuple[str, str], Row] = {}
    for path in sorted(folder.glob("manifest-*.jsonl")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = parse(line, required=True)
            except ValueError:  # the process was killed while it wrote the line, or the file is damaged
                continue
            file = row["file"], row.pop("key")
            if file not in rows or not row["error"]:
                rows[file] = row
    return rows


def unfinished(files: Sequence[InputFile], folder: Path) -> list[InputFile]:
    """The files that have no results in an output folder."""
    rows = finished_rows(folder)
    return [file for file in files if rows.get((file.name, file.key), {"error": "no row"})["error"]]


def remove_unfinished(folder: Path) -> None:
    """Remove the incomplete files and folders that killed processes have left in an output folder."""
    remove_abandoned(list(folder.rglob(".*.????????.part")))


def segment_files(
    files: Iterable[InputFile],
    predictor: Predictor,
    folder: Path,
    write: Write | None,
    *,
    rank: int = 0,
    steps: Sequence[str] = (),
    structure: str | None = None,
) -> Iterator[Row]:
    """Segment files, write their results, and add a row for each to the manifest of the rank.

    Args:
        files: The files that this rank processes.
        predictor: The predictor.
        folder: The output folder.
        write: A function that writes the results of a file; None writes none.
        rank: Index of this process.
        steps: Post-processing steps; see `echoseg.inference.postprocess`.
        structure: The name of the structure, which says which label of the ground truth is compared.

    Yields:
        The row of each file, by the names in `COLUMNS`, and "seconds", by task. The row of a file that failed contains
        only "file", "unit" and "error".

    Raises:
        DataError: Results cannot be written, or a step cannot be applied to this run.
        OSError: Results cannot be written.
    """
    clips = map_in_order(_read, files, ahead=1)
    predictions = (_predict(predictor, *clip) for clip in clips)
    finish = partial(_finish, codec=predictor.codec, folder=folder, write=write, steps=steps, structure=structure)
    with _open_manifest(folder / f"manifest-{rank}.jsonl") as manifest:
        for file, row in map_in_order(finish, predictions, ahead=1):
            manifest.write(json.dumps(add_checksum({"key": file.key, **row})) + "\n")
            manifest.flush()
            yield row


def write_results(files: Sequence[InputFile], folder: Path, *, kind: str) -> pd.DataFrame:
    """Write `results.csv` or `results.parquet`, with a row for each file that was processed.

    Args:
        files: The files, in the order of the rows.
        folder: The output folder.
        kind: "csv" or "parquet".

    Returns:
        The table, with the columns `COLUMNS`.

    Raises:
        OSError: The table cannot be written.
    """
    rows = finished_rows(folder)
    processed = [{"note": "", **rows[file.name, file.key]} for file in files if (file.name, file.key) in rows]
    table = pd.DataFrame(processed, columns=list(COLUMNS)).astype(COLUMNS)
    write = partial(table.to_csv, float_format="%.3f") if kind == "csv" else table.to_parquet
    replace_file(folder / f"results.{kind}", partial(write, index=False))
    return table


def _walk(folder: Path, out: Path) -> Iterator[Path]:
    """The input files in a folder and its subfolders, without hidden folders and the output folder."""
    for parent, folders, files in os.walk(folder):
        path = Path(parent)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and path / name != out)
        series = series_files(path)
        if series:
            yield path
        yield from (path / name for name in sorted(files) if _is_input(path / name) and path / name not in series)


def _is_input(path: Path) -> bool:
    if not path.is_file() or path.name.startswith("."):
        return False
    return (is_clip(path) or unread_reason(path) != "") and not is_truth(path)


def _without_suffix(name: str) -> str:
    """Remove the suffix, unless only dots would be left: ".." from "...avi" would be the parent folder."""
    path = PurePosixPath(name)
    stem = PurePosixPath(path.name.removesuffix(".gz") or ".").stem
    return path.with_name(stem).as_posix() if stem.strip(".") else name


def _is_reserved(name: str) -> bool:
    """Whether results of this name would overwrite a manifest or a table of results."""
    return _RESERVED.fullmatch(name.split("/")[0]) is not None


def _key(origin: object, path: Path) -> str:
    statuses = [file.stat() for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    versions = [value for status in statuses for value in (status.st_size, status.st_mtime_ns)]
    return hashlib.sha256(repr((origin, *versions)).encode()).hexdigest()[:16]


def _read(file: InputFile) -> tuple[InputFile, Clip | None, str, Stopwatch]:
    """The file, its clip, and an error message; the clip is None if there is an error."""
    watch = Stopwatch()
    try:
        with watch.measure("reading"):
            clip = read_clip(file.path)
        return file, clip if file.recording is None else with_listed_facts(clip, file.recording), "", watch
    except DataError as error:
        return file, None, str(error).removeprefix(f"{file.path}: "), watch
    except Exception as error:  # an exception of a decoding library, which no reader converts to DataError
        return file, None, f"cannot be read ({type(error).__name__}: {error})", watch


def _predict(
    predictor: Predictor, file: InputFile, clip: Clip | None, message: str, watch: Stopwatch
) -> tuple[InputFile, Clip | None, Prediction | None, str, Stopwatch]:
    """The file, its clip and prediction, and an error message; clip and prediction are None if there is an error."""
    if clip is None:
        return file, None, None, message, watch
    try:
        with watch.measure("network"):
            return file, clip, predictor(clip), "", watch
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        frames, height, width = clip.frames.shape
        return file, None, None, f"out of memory with {frames} frames of {width}×{height} pixels", watch


def _finish(
    predicted: tuple[InputFile, Clip | None, Prediction | None, str, Stopwatch],
    *,
    codec: Codec,
    folder: Path,
    write: Write | None,
    steps: Sequence[str],
    structure: str | None,
) -> tuple[InputFile, Row]:
    """Post-process and measure a prediction, write the results, and return the file with its row."""
    file, clip, prediction, error, watch = predicted
    if clip is None or prediction is None:
        return file, {"file": file.name, "patient": file.patient, "unit": "", "error": error}
    confidence = None if prediction.landmarks is not None else prediction.confidence
    with watch.measure("measuring"):
        prediction = postprocess(prediction, steps, codec, over_time=math.isnan(clip.thickness))
        true, note = read_stack_truth(file.path, file.truth, clip, structure)
        measurement = replace(measure(prediction, clip, true=true), confidence=confidence, bsa=file.bsa)
    seconds = watch.seconds()
    if write is not None:
        target = folder / file.name
        # the folder exists if a process was killed before it wrote the row, or if another run made it
        shutil.rmtree(target, ignore_errors=True)
        with new_folder(target) as temporary:
            seconds |= write(file.path, clip, prediction, measurement, temporary) or {}
    declared = f"the header declares {clip.declared} frames" if clip.declared else ""
    row = {
        "file": file.name,
        "patient": file.patient,
        "frames": len(clip.frames) if clip.time_points == 1 else clip.time_points,
        "fps": clip.fps,
        "unit": measurement.unit,
        "edv": measurement.mean_edv,
        "esv": measurement.mean_esv,
        "ef": measurement.mean_ef,
        "beats": len(measurement.ef),
        **stack_row(measurement),
        "review": None if prediction.review is None else int(prediction.review.sum()),
        "note": "; ".join(filter(None, [declared, clip.note, note])),
        "error": "",
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
    }
    return file, row


@contextlib.contextmanager
def _open_manifest(path: Path) -> Iterator[TextIO]:
    # the last line is incomplete if the process that wrote it was killed
    incomplete = path.exists() and not path.read_bytes().endswith(b"\n")
    with naming(path), path.open("a", encoding="utf-8") as file:
        if incomplete:
            file.write("\n")
        yield file
