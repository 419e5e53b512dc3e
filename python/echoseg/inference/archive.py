"""Segment many files: decoded ahead, written behind, shared among ranks, restarted where it stopped.

What is wrong with a file goes into its row and never stops the rest; what is wrong with the place written to does. Each
rank appends a line a file to a manifest of its own once the file's results stand in their place. A line counts as long
as it is what was written, and the run, the settings, and the file's size and time are those that it was made with.
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
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

import pandas as pd

from echoseg.datasets.clips import recordings_by_file, with_listed_facts
from echoseg.datasets.recording import Recording
from echoseg.datasets.truth import is_truth
from echoseg.errors import DataError
from echoseg.inference.measure import Measurement, measure
from echoseg.inference.postprocess import postprocess
from echoseg.inference.predictor import CALIBRATION, SHAPES, Prediction, Predictor
from echoseg.io.clip import Clip
from echoseg.io.reading import is_clip, read_clip
from echoseg.models.codec import Codec
from echoseg.training.checkpoint import BEST, CONFIG
from echoseg.utils.checksum import add_checksum, parse
from echoseg.utils.files import hash_file, naming, new_folder, remove_abandoned, replace_file
from echoseg.utils.parallel import map_in_order

COLUMNS = {
    "file": "str",
    "frames": "Int64",
    "fps": "float64",
    "unit": "str",
    "edv": "float64",
    "esv": "float64",
    "ef": "float64",
    "beats": "Int64",
    "volume": "float64",
    "review": "Int64",
    "note": "str",
    "error": "str",
}
"""Of the table of results, with their types."""
Row = dict[str, Any]
Write = Callable[[Path, Clip, Prediction, Measurement, Path], None]  # the file; the folder to write to
_OWN = re.compile(r"manifest-\d+\.jsonl|results\.(csv|parquet)(\.part)?|\..*\.part", re.IGNORECASE)
_RUN_FILES = (CONFIG, BEST, CALIBRATION, SHAPES)


@dataclass(frozen=True)
class InputFile:
    """One file to segment.

    Attributes:
        name: of its folder, relative to that of all results; "/" between parts.
        path: where it lies.
        key: tells run, settings, size and time of the file from others.
        recording: what the data set in whose folder it lies lists about it; None where there is no such list.
    """

    name: str
    path: Path
    key: str
    recording: Recording | None = None


def find_input_files(inputs: Sequence[Path], run: Path, settings: object, *, out: Path) -> list[InputFile]:
    """List files, and those in folders and the folders below, that hold frames and are not the truth beside a volume.

    Results are named by the path below the deepest folder that holds every input, without suffix; if that gives two
    files one name, every name keeps its suffix.

    Args:
        inputs: files, which are taken as they are, and folders.
        run: folder of the run.
        settings: whatever else decides on the results; its ``repr`` counts.
        out: a folder to leave out.

    Raises:
        DataError: an input is missing, there is no file, or one is called as what the command keeps for itself.
    """
    files: dict[Path, None] = {}
    listed: dict[Path, Recording] = {}
    tops = []
    for given in inputs:
        if not given.exists():
            raise DataError(f"{given}: no such file or folder; check the path")
        folder = (given if given.is_dir() else given.parent).resolve()
        tops.append(folder)
        files |= dict.fromkeys(_walk(folder, out.resolve()) if given.is_dir() else [folder / given.name])
        listed |= recordings_by_file(folder) if given.is_dir() else {}
    if not files:
        raise DataError(f"{', '.join(map(str, inputs))}: no file that holds frames; give another folder")
    top = os.path.commonpath(tops)
    names = [path.relative_to(top).as_posix().encode(errors="backslashreplace").decode() for path in files]
    short = [_without_suffix(name) for name in names]
    folders = {parent.as_posix() for name in names for parent in PurePosixPath(name).parents}
    if len(set(short)) == len(short) and folders.isdisjoint(short) and not any(map(_is_own, short)):
        names = short
    for name, path in zip(names, files, strict=True):
        if _is_own(name):
            raise DataError(f"{path}: its results would lie where {out} keeps its own; rename it")
    made_by = [hash_file(run / name) if (run / name).exists() else "" for name in _RUN_FILES], settings
    found = []
    for name, path in zip(names, files, strict=True):
        recording = listed.get(path.resolve())
        facts = None if recording is None else (recording.fps, recording.spacing)
        found.append(InputFile(name, path, _key((made_by, facts), path), recording))
    return found


def finished_rows(folder: Path) -> dict[tuple[str, str], Row]:
    """What the manifests in a folder hold, by name and key of the source; a failure only where nothing succeeded."""
    rows: dict[tuple[str, str], Row] = {}
    for path in sorted(folder.glob("manifest-*.jsonl")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = parse(line, required=True)
            except ValueError:  # killed while writing it, or damaged since
                continue
            place = row["file"], row.pop("key")
            if place not in rows or not row["error"]:
                rows[place] = row
    return rows


def unfinished(sources: Sequence[InputFile], folder: Path) -> list[InputFile]:
    """The sources that a folder has no results of."""
    rows = finished_rows(folder)
    return [source for source in sources if rows.get((source.name, source.key), {"error": "new"})["error"]]


def remove_unfinished(folder: Path) -> None:
    """Remove what processes that were killed had begun to write."""
    remove_abandoned(list(folder.rglob(".*.????????.part")))


def segment_files(
    sources: Iterable[InputFile],
    predictor: Predictor,
    folder: Path,
    write: Write | None,
    *,
    rank: int = 0,
    steps: Sequence[str] = (),
) -> Iterator[Row]:
    """Segment files, write what they give, note each in the rank's manifest, and yield its row.

    Args:
        sources: of this rank.
        predictor: to use.
        folder: of all results.
        write: writes the results of a file; None writes none.
        rank: of this process.
        steps: of ``postprocess``.

    Yields:
        By the names of ``COLUMNS``; of a file that failed "file", "unit" and "error" alone.

    Raises:
        DataError, OSError: results cannot be written, or a step does not fit the run.
    """
    clips = map_in_order(_read, sources, ahead=1)
    predicted = (_predict(predictor, *found) for found in clips)
    finish = partial(_finish, codec=predictor.codec, folder=folder, write=write, steps=steps)
    with _open_manifest(folder / f"manifest-{rank}.jsonl") as manifest:
        for source, row in map_in_order(finish, predicted, ahead=1):
            manifest.write(json.dumps(add_checksum({"key": source.key, **row})) + "\n")
            manifest.flush()
            yield row


def write_results(sources: Sequence[InputFile], folder: Path, *, kind: str) -> pd.DataFrame:
    """Write ``results.csv`` or ``results.parquet``: a row for each source that was tried, in the sources' order."""
    rows = finished_rows(folder)
    tried = [{"note": "", **rows[source.name, source.key]} for source in sources if (source.name, source.key) in rows]
    table = pd.DataFrame(tried, columns=list(COLUMNS)).astype(COLUMNS)
    write = partial(table.to_csv, float_format="%.3f") if kind == "csv" else table.to_parquet
    replace_file(folder / f"results.{kind}", partial(write, index=False))
    return table


def _walk(folder: Path, out: Path) -> Iterator[Path]:
    for name, folders, files in os.walk(folder):
        here = Path(name)
        folders[:] = sorted(one for one in folders if not one.startswith(".") and here / one != out)
        yield from (here / one for one in sorted(files) if _is_input(here / one))


def _is_input(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and is_clip(path) and not is_truth(path)


def _without_suffix(name: str) -> str:
    """As it is where nothing but dots would be left: "..", of "...avi", would be the folder above all results."""
    path = PurePosixPath(name)
    stem = PurePosixPath(path.name.removesuffix(".gz") or ".").stem
    return path.with_name(stem).as_posix() if stem.strip(".") else name


def _is_own(name: str) -> bool:
    return _OWN.fullmatch(name.split("/")[0]) is not None


def _key(made_by: object, path: Path) -> str:
    facts = path.stat()
    return hashlib.sha256(repr((made_by, facts.st_size, facts.st_mtime_ns)).encode()).hexdigest()[:16]


def _read(source: InputFile) -> tuple[InputFile, Clip | None, str]:
    try:
        clip = read_clip(source.path)
        return source, clip if source.recording is None else with_listed_facts(clip, source.recording), ""
    except DataError as error:
        return source, None, str(error).removeprefix(f"{source.path}: ")
    except Exception as error:  # a decoder's own, on a file that no reader foresaw
        return source, None, f"cannot be read ({type(error).__name__}: {error})"


def _predict(
    predictor: Predictor, source: InputFile, clip: Clip | None, error: str
) -> tuple[InputFile, Clip | None, Prediction | None, str]:
    if clip is None:
        return source, None, None, error
    try:
        return source, clip, predictor(clip), ""
    except (MemoryError, RuntimeError) as found:
        if not isinstance(found, MemoryError) and "memory" not in str(found):
            raise
        frames, height, width = clip.frames.shape
        return source, None, None, f"out of memory with {frames} frames of {width}×{height} pixels"


def _finish(
    found: tuple[InputFile, Clip | None, Prediction | None, str],
    *,
    codec: Codec,
    folder: Path,
    write: Write | None,
    steps: Sequence[str],
) -> tuple[InputFile, Row]:
    source, clip, prediction, error = found
    if clip is None or prediction is None:
        return source, {"file": source.name, "unit": "", "error": error}
    prediction = postprocess(prediction, steps, codec, over_time=math.isnan(clip.thickness))
    measured = measure(prediction, clip)
    if write is not None:
        target = folder / source.name
        shutil.rmtree(target, ignore_errors=True)  # of a process killed before its line, or of another run
        with new_folder(target) as temporary:
            write(source.path, clip, prediction, measured, temporary)
    row = {
        "file": source.name,
        "frames": len(clip.frames),
        "fps": clip.fps,
        "unit": measured.unit,
        "edv": measured.mean_edv,
        "esv": measured.mean_esv,
        "ef": measured.mean_ef,
        "beats": len(measured.ef),
        "volume": measured.volume,
        "review": None if prediction.review is None else int(prediction.review.sum()),
        "note": f"its header tells of {clip.declared} frames" if clip.declared else "",
        "error": "",
    }
    return source, row


@contextlib.contextmanager
def _open_manifest(path: Path) -> Iterator[TextIO]:
    cut = path.exists() and not path.read_bytes().endswith(b"\n")  # its last line, of a process that was killed
    with naming(path), path.open("a", encoding="utf-8") as file:
        if cut:
            file.write("\n")
        yield file
