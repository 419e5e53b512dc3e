"""Files that rot: cut off anywhere, or with some bits the other way round. Never used as if nothing were.

    python tests/stress/flips.py                  # minutes; 1,000 damages a file, 14,000 in all
    python tests/stress/flips.py --count 100

Each file that the package reads back of its own (a store's, a run's, an archive's lines, corrections) is damaged again
and again: one bit, several bits, some bytes in a row, a piece that is zero, an end that is missing or is double. The
reader must say a DataError of one line that names a file in the folder, or give what it gives for the whole file: a
line of an archive may also be missing, since that file of results is then made again. Exit code 1 if anything failed.
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
from echoseg.datasets.echonet import read_tracings
from echoseg.datasets.store import Store, open_store
from echoseg.errors import DataError
from echoseg.evaluation.calibrate import calibrate
from echoseg.evaluation.evaluate import evaluate
from echoseg.inference.archive import finished_rows
from echoseg.inference.predictor import load
from echoseg.phantom.dataset import write_phantom_store
from echoseg.report.results import write_evaluation
from echoseg.report.run_summary import read_run_summary
from echoseg.review.corrections_folder import CorrectionsFolder
from echoseg.review.handles import Handles, drawing_of
from echoseg.training import checkpoint, loop
from echoseg.training.config import EDITABLE, Config
from echoseg.utils.checksum import add_checksum


class Read(NamedTuple):
    """A file, and what a reader makes of it: the same of the same content, told as text."""

    path: Path
    read: Callable[[], str]
    may_lack: bool = False  # lines


def all_reads(place: Path) -> dict[str, Read]:
    """The files by name, written into ``place``."""
    store = write_phantom_store(place / "store", patients=8, workers=1)
    run, settings = place / "run", {"width": 2, "depth": 2, "batch_size": 8, "device": "cpu", "precision": "float32"}
    loop.train(Config(**settings, landmarks=5, epochs=2), store, run)
    calibrate(run, store, device="cpu")
    write_evaluation(evaluate(load(run, device="cpu"), store, "test"), store, "test", run)
    _write_archive(place / "out")
    corrections = place / "corrections"
    with contextlib.closing(CorrectionsFolder(corrections, drawing_of(CODEC), kind="chords")) as kept:
        for frame in range(3):
            handles = Handles(outlines(8)[frame], np.arange(5), np.zeros(5, bool))
            kept.save("a.avi", frame, handles, version=0, before=outlines(8)[frame], effort={})
    reads = {
        f"store/{path.name}": Read(path, lambda: _told(open_store(place / "store"))) for path in store.path.iterdir()
    }
    for name in (checkpoint.CONFIG, checkpoint.BEST, "calibration.json", "shape.json"):
        reads[f"run/{name}"] = Read(run / name, lambda: _told(load(run, device="cpu")))
    reads["run/config.yaml on resuming"] = Read(run / checkpoint.CONFIG, lambda: _resumed(run))
    reads["run/metrics.json"] = Read(run / "metrics.json", lambda: repr(read_run_summary(run).metrics))
    for name in (checkpoint.STATE, checkpoint.LAST):
        reads[f"run/{name}"] = Read(run / name, lambda: _resumed(run))
    archive = place / "out" / "manifest-0.jsonl"
    reads[f"archive/{archive.name}"] = Read(archive, lambda: repr(finished_rows(place / "out")), may_lack=True)
    for path in corrections.glob("[!.]*"):
        if path.name != "audit.jsonl":  # which nothing reads
            reads[f"corrections/{path.name}"] = Read(path, lambda: _corrected(corrections))
    return reads


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """Some of the damages that disks, networks and hands do."""
    data = bytearray(content)
    place, length = int(random.integers(len(data))), int(random.integers(1, 65))
    match random.integers(6):
        case 0:
            data[place] ^= 1 << int(random.integers(8))
        case 1:
            for at in random.integers(len(data), size=int(random.integers(2, 9))):
                data[at] ^= 1 << int(random.integers(8))
        case 2:
            data[place : place + length] = random.bytes(min(length, len(data) - place))
        case 3:
            data[place : place + length] = bytes(min(length, len(data) - place))
        case 4:
            del data[place:]
        case _:
            data += data[place:]
    return bytes(data)


def sweep_flips(file: Read, folder: Path, count: int, seed: int = 0) -> tuple[Counter[str], list[str]]:
    """Damage a file so often. Gives what came of it, and what should not have."""
    random, counts, faults = np.random.default_rng(seed), Counter[str](), []
    whole, state = file.path.read_bytes(), file.path.stat()
    expected = file.read()
    for number in range(count):
        content = damaged(whole, random)
        file.path.write_bytes(content)
        os.utime(file.path, ns=(state.st_atime_ns, state.st_mtime_ns))  # as bits that rot leave it
        try:
            found = file.read()
            same = found == expected or (file.may_lack and _all_lines_in(found, expected))
            counts["as before" if same else "wrong"] += 1
            if not same:
                faults.append(f"damage {number}: used")
        except DataError as error:
            counts["named"] += 1
            if str(folder) not in str(error) or "\n" in str(error):
                faults.append(f"damage {number}: {error}")
        except Exception:
            counts["wrong"] += 1
            faults.append(f"damage {number}: {traceback.format_exc()}")
    file.path.write_bytes(whole)
    return counts, faults


def _all_lines_in(found: str, expected: str) -> bool:
    rows, all_rows = (eval(text, {"nan": float("nan")}) for text in (found, expected))  # our own repr
    return all(key in all_rows and repr(all_rows[key]) == repr(row) for key, row in rows.items())


def _write_archive(out: Path) -> None:
    out.mkdir()
    rows = [
        {"key": f"{i:016x}", "file": f"folder/{i}", "frames": 8, "edv": 100.5 - i, "ef": float("nan"), "error": ""}
        for i in range(20)
    ]
    lines = "".join(json.dumps(add_checksum(row)) + "\n" for row in rows)
    (out / "manifest-0.jsonl").write_text(lines, encoding="utf-8")


def _told(thing: Any) -> str:
    """All that a store or a predictor consists of."""
    if isinstance(thing, Store):
        arrays = [array.tobytes() for array in (thing.frames, thing.points, thing.offsets)]
        return f"{hash(tuple(arrays))} {thing.samples.to_csv()} {thing.manifest}"
    weights = {name: tensor.numpy().tobytes() for name, tensor in thing._model.state_dict().items()}
    shapes = [array.tobytes() for array in (thing._shapes.mean, thing._shapes.components, thing._shapes.variances)]
    calibration = thing.calibration
    told = calibration.spread, calibration.scale, calibration.floor, calibration.error_correlation.tobytes()
    settings = {
        name: value for name, value in thing.config.values().items() if name not in EDITABLE
    }  # resuming tells of
    return repr((hash(tuple(weights.items())), hash(tuple(shapes)), thing._shapes.limit, hash(told), settings))


def _resumed(run: Path) -> str:
    """What training would go on with, and what it would tell of that."""
    state, complaint = checkpoint.load_state(run)
    config = checkpoint.load_config(run / checkpoint.CONFIG)
    notes = checkpoint.check_settings(run, config, state["settings"])
    last = checkpoint.build(config)[0]
    checkpoint.load_weights(run / checkpoint.LAST, last)
    if complaint or notes:  # told
        raise DataError(complaint or notes[0])
    tensors = [*state["model"].values(), *last.state_dict().values()]
    return repr((hash(tuple(tensor.numpy().tobytes() for tensor in tensors)), state["progress"], state["data"], config))


def _corrected(folder: Path) -> str:
    """What the page and what training would see; the page, opened again, puts its second table right."""
    table = folder / "VolumeTracings.csv"
    verify_checksums(table)
    rows = {name: [t.coordinates.tolist() for t in traced.tracings] for name, traced in read_tracings(table)[1].items()}
    before = {path: path.read_bytes() for path in folder.iterdir()}
    try:
        with contextlib.closing(CorrectionsFolder(folder, drawing_of(CODEC), kind="chords")) as kept:
            points = {frame: found.points.tolist() for frame, (found, _) in kept.of("a.avi").items()}
    finally:
        for path, content in before.items():
            path.write_bytes(content)
    return repr((rows, points))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="damages a file (default: %(default)s)")
    arguments = parser.parse_args()
    os.environ["TQDM_DISABLE"] = "1"
    torch.set_num_threads(1)
    total, every = Counter[str](), []
    with tempfile.TemporaryDirectory() as place:
        for name, file in all_reads(Path(place)).items():
            counts, faults = sweep_flips(file, Path(place), arguments.count)
            print(f"{name}: {counts['named']} named, {counts['as before']} read as before, {len(faults)} wrong")
            print(*faults[:5], sep="\n", end="\n" if faults else "", flush=True)
            total += counts
            every += faults
    print(f"{total.total()} damages: {total['named']} named, {total['as before']} read as before, {len(every)} wrong")
    return int(bool(every))


if __name__ == "__main__":
    sys.exit(main())
