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
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from echoseg.datasets.clips import with_listed_facts
from echoseg.errors import DataError
from echoseg.inference.input_files import InputFile
from echoseg.inference.measure import Measurement, measure
from echoseg.inference.notes import reading_note, unlike_note
from echoseg.inference.postprocess import postprocess
from echoseg.inference.predictor import Prediction, Predictor
from echoseg.inference.stack_row import STACK_COLUMNS, read_stack_truth, stack_row
from echoseg.io.clip import Clip
from echoseg.io.reading import read_clip
from echoseg.models.codec import Codec
from echoseg.training.stopwatch import Stopwatch
from echoseg.utils.checksum import add_checksum, parse
from echoseg.utils.files import TEMPORARY_FOLDERS, naming, new_folder, remove_abandoned, replace_file
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
    "ef_low": "float64",
    "ef_high": "float64",
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
    remove_abandoned(list(folder.rglob(TEMPORARY_FOLDERS)))


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
        return file, None, f"cannot be read ({type(error).__name__}: {error}); convert it to another type", watch


def _predict(
    predictor: Predictor, file: InputFile, clip: Clip | None, message: str, watch: Stopwatch
) -> tuple[InputFile, Clip | None, Prediction | None, str, Stopwatch]:
    """The file, its clip and prediction, and an error message; clip and prediction are None if there is an error."""
    if clip is None:
        return file, None, None, message, watch
    try:
        with watch.measure("network"):
            return file, clip, predictor(clip), "", watch
    except DataError as error:
        return file, None, None, str(error), watch
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
        prediction = postprocess(prediction, steps, codec)
        true, note = read_stack_truth(file.path, file.truth, clip, structure)
        measurement = replace(measure(prediction, clip, true=true), confidence=confidence, bsa=file.bsa)
    seconds = watch.seconds()
    if write is not None:
        target = folder / file.name
        # the folder exists if a process was killed before it wrote the row, or if another run made it
        shutil.rmtree(target, ignore_errors=True)
        with new_folder(target) as temporary:
            seconds |= write(file.path, clip, prediction, measurement, temporary) or {}
    row = {
        "file": file.name,
        "patient": file.patient,
        "frames": len(clip.frames) if clip.time_points == 1 else clip.time_points,
        "fps": clip.fps,
        "unit": measurement.unit,
        "edv": measurement.mean_edv,
        "esv": measurement.mean_esv,
        "ef": measurement.mean_ef,
        "ef_low": measurement.ef_interval[0],
        "ef_high": measurement.ef_interval[1],
        "beats": len(measurement.ef),
        **stack_row(measurement),
        "review": None if prediction.review is None else int(prediction.review.sum()),
        "note": "; ".join(filter(None, [unlike_note(prediction), reading_note(clip), note])),
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
