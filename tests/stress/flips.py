"""Damages files that echoseg wrote, as a failing disk would, and checks that damaged content is never used.

    python tests/stress/flips.py                  # minutes; 1,000 damages of each file, 17,000 in all
    python tests/stress/flips.py --count 100

Each file of a store, a run, an archive of predictions and a folder of corrections is damaged repeatedly: one bit,
several bits, consecutive bytes, a part set to zero, a missing end, a repeated end. The reader must raise a DataError of
one line that names a file in the folder, or give the same result as for the undamaged file. A line of an archive may
also be ignored, since its results are then written again. The exit code is 1 if a check failed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch

from _reviewing import CODEC, outlines
from echoseg.datasets.corrections import verify_checksums
from echoseg.datasets.file_contents import hash_content
from echoseg.datasets.store import Store, open_store
from echoseg.datasets.tracings import read_tracings
from echoseg.errors import DataError
from echoseg.evaluation.calibrate import calibrate
from echoseg.evaluation.evaluate import evaluate
from echoseg.inference.archive import finished_rows
from echoseg.inference.predictor import CALIBRATION, IMAGE_DOMAIN, SHAPES, load
from echoseg.phantom.dataset import write_phantom_store
from echoseg.report.results import write_evaluation
from echoseg.report.run_summary import read_run_summary
from echoseg.review.corrections_folder import CorrectionsFolder
from echoseg.review.handles import Handles, drawing_of
from echoseg.review.tables import FrameState
from echoseg.training import checkpoint, loop
from echoseg.training.config import EDITABLE, Config
from echoseg.utils.checksum import add_checksum


class StoredFile(NamedTuple):
    """A file and its reader.

    Attributes:
        path: The file.
        read: Reads the file and describes its content as text.
        may_skip_lines: Whether the reader may ignore damaged lines.
    """

    path: Path
    read: Callable[[], str]
    may_skip_lines: bool = False


def make_files(work: Path) -> dict[str, StoredFile]:
    """Write the files to a folder; returns them by name."""
    store = write_phantom_store(work / "store", patients=8, workers=1)
    run, settings = work / "run", {"width": 2, "depth": 2, "batch_size": 8, "device": "cpu", "precision": "float32"}
    loop.train(Config(**settings, landmarks=5, epochs=2), store, run)
    calibrate(run, store, device="cpu")
    write_evaluation(evaluate(load(run, device="cpu"), store, "test"), store, "test", run)
    _write_archive(work / "out")
    corrections = work / "corrections"
    with _open_corrections(corrections) as opened:
        opened.check_content("a.avi", hash_content(_reviewed_file(corrections)))
        for frame in range(3):
            handles = Handles(outlines(8)[frame], np.arange(5), np.zeros(5, bool))
            opened.save("a.avi", frame, FrameState(handles), version=0, before=outlines(8)[frame], effort={})
    files = {
        f"store/{path.name}": StoredFile(path, lambda: _describe(open_store(work / "store")))
        for path in store.path.iterdir()
    }
    for name in (checkpoint.CONFIG, checkpoint.BEST, CALIBRATION, SHAPES, IMAGE_DOMAIN):
        files[f"run/{name}"] = StoredFile(run / name, lambda: _describe(load(run, device="cpu")))
    files["run/config.yaml on resuming"] = StoredFile(run / checkpoint.CONFIG, lambda: _describe_resumed(run))
    files["run/metrics.json"] = StoredFile(run / "metrics.json", lambda: repr(read_run_summary(run).metrics))
    for name in (checkpoint.STATE, checkpoint.LAST):
        files[f"run/{name}"] = StoredFile(run / name, lambda: _describe_resumed(run))
    archive = work / "out" / "manifest-0.jsonl"
    files[f"archive/{archive.name}"] = StoredFile(
        archive, lambda: repr(finished_rows(work / "out")), may_skip_lines=True
    )
    for path in corrections.glob("[!.]*"):
        if path.name != "audit.jsonl":  # never read
            files[f"corrections/{path.name}"] = StoredFile(path, lambda: _describe_corrections(corrections))
    return files


def damage(content: bytes, rng: np.random.Generator) -> bytes:
    """Damage content in one of six ways."""
    data = bytearray(content)
    offset, length = int(rng.integers(len(data))), int(rng.integers(1, 65))
    match rng.integers(6):
        case 0:
            data[offset] ^= 1 << int(rng.integers(8))
        case 1:
            for index in rng.integers(len(data), size=int(rng.integers(2, 9))):
                data[index] ^= 1 << int(rng.integers(8))
        case 2:
            data[offset : offset + length] = rng.bytes(min(length, len(data) - offset))
        case 3:
            data[offset : offset + length] = bytes(min(length, len(data) - offset))
        case 4:
            del data[offset:]
        case _:
            data += data[offset:]
    return bytes(data)


def try_damage(file: StoredFile, folder: Path, count: int, seed: int = 0) -> tuple[Counter[str], list[str]]:
    """Damage a file a number of times, and read it each time; returns counts and problems."""
    rng, counts, problems = np.random.default_rng(seed), Counter[str](), []
    content, status = file.path.read_bytes(), file.path.stat()
    expected = file.read()
    for number in range(count):
        file.path.write_bytes(damage(content, rng))
        os.utime(file.path, ns=(status.st_atime_ns, status.st_mtime_ns))  # a disk error does not change the time
        try:
            result = file.read()
            equal = result == expected or (file.may_skip_lines and _is_part_of(result, expected))
            counts["unchanged" if equal else "wrong"] += 1
            if not equal:
                problems.append(f"damage {number}: used")
        except DataError as error:
            counts["refused"] += 1
            if str(folder) not in str(error) or "\n" in str(error):
                problems.append(f"damage {number}: {error}")
        except Exception:
            counts["wrong"] += 1
            problems.append(f"damage {number}: {traceback.format_exc()}")
    file.path.write_bytes(content)
    return counts, problems


def _is_part_of(result: str, expected: str) -> bool:
    rows, all_rows = (eval(text, {"nan": float("nan")}) for text in (result, expected))  # repr of a dict
    return all(key in all_rows and repr(all_rows[key]) == repr(row) for key, row in rows.items())


def _write_archive(out: Path) -> None:
    out.mkdir()
    rows = [
        {"key": f"{i:016x}", "file": f"folder/{i}", "frames": 8, "edv": 100.5 - i, "ef": float("nan"), "error": ""}
        for i in range(20)
    ]
    lines = "".join(json.dumps(add_checksum(row)) + "\n" for row in rows)
    (out / "manifest-0.jsonl").write_text(lines, encoding="utf-8")


def _describe(item: Any) -> str:
    """The content of a store or a predictor."""
    if isinstance(item, Store):
        arrays = [array.tobytes() for array in (item.frames, item.points, item.offsets)]
        return f"{hash(tuple(arrays))} {item.samples.to_csv()} {item.manifest}"
    weights = {name: tensor.numpy().tobytes() for name, tensor in item._model.state_dict().items()}
    shapes = [array.tobytes() for array in (item._shapes.mean, item._shapes.components, item._shapes.variances)]
    calibration = item.calibration
    numbers = calibration.spread, calibration.scale, calibration.floor, calibration.error_correlation.tobytes()
    domain = item._image_domain.mean.tobytes(), item._image_domain.whitening.tobytes(), item._image_domain.limit
    settings = {name: value for name, value in item.config.values().items() if name not in EDITABLE}
    hashes = hash(tuple(weights.items())), hash(tuple(shapes)), item._shapes.limit, hash(numbers), hash(domain)
    return repr((hashes, settings))


def _describe_resumed(run: Path) -> str:
    """The state that training would resume.

    Raises:
        DataError: Training would report a problem.
    """
    state, warning = checkpoint.load_state(run)
    config = checkpoint.load_config(run / checkpoint.CONFIG)
    notes = checkpoint.check_settings(run, config, state["settings"])
    last = checkpoint.build(config)[0]
    checkpoint.load_weights(run / checkpoint.LAST, last)
    if warning or notes:
        raise DataError(warning or notes[0])
    tensors = [*state["model"].values(), *last.state_dict().values()]
    return repr((hash(tuple(tensor.numpy().tobytes() for tensor in tensors)), state["progress"], state["data"], config))


def _reviewed_file(corrections: Path) -> Path:
    """The file beside a folder of corrections that stands for the one that was reviewed."""
    return corrections.parent / "store" / "frames.npy"


def _open_corrections(folder: Path) -> contextlib.closing[CorrectionsFolder]:
    files = {"a.avi": _reviewed_file(folder)}
    return contextlib.closing(CorrectionsFolder(folder, drawing_of(CODEC), kind="chords", files=files))


def _describe_corrections(folder: Path) -> str:
    """The corrections that training and the page would read; the page may rewrite a table, which is undone."""
    table = folder / "VolumeTracings.csv"
    verify_checksums(table)
    rows = {name: [t.coordinates.tolist() for t in traced.tracings] for name, traced in read_tracings(table)[1].items()}
    before = {path: path.read_bytes() for path in folder.iterdir()}
    try:
        with _open_corrections(folder) as kept:
            points = {frame: found.points.tolist() for frame, (found, _) in kept.of("a.avi").items()}
    finally:
        for path, content in before.items():
            path.write_bytes(content)
    return repr((rows, points))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="damages of each file (default: %(default)s)")
    arguments = parser.parse_args()
    os.environ["TQDM_DISABLE"] = "1"
    torch.set_num_threads(1)
    total, problems = Counter[str](), []
    with tempfile.TemporaryDirectory() as work:
        for name, file in make_files(Path(work)).items():
            counts, found = try_damage(file, Path(work), arguments.count)
            print(f"{name}: {counts['refused']} refused, {counts['unchanged']} read correctly, {len(found)} problems")
            print(*found[:5], sep="\n", end="\n" if found else "", flush=True)
            total += counts
            problems += found
    summary = f"{total['refused']} refused, {total['unchanged']} read correctly, {len(problems)} problems"
    print(f"{total.total()} damages: {summary}")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
