"""Reads damaged videos, DICOM files, volumes and images.

A random input is a small valid file of one of about twenty formats that was cut, changed in 1 to 64 bits, given
numbers such as 0, -1, 2^31 - 1 or 2^32 - 1 of 2, 4 or 8 bytes, shortened, mixed with another file, or renamed. Special
inputs are decompression bombs, headers that lack one tag, volumes that refer to other files, and invalid affines and
slopes. Allowed outcomes are

- a clip within the size limits;
- a `DataError` of one line that starts with the file and contains no text about the patient.

Not allowed are other exceptions, warnings, a crash or hang of the program, different frames when they are read by
number, and a large growth of memory. Crashes of worker processes are counted; so are bombs that reach the limits of
time and memory.

Run `python tests/stress/damaged_files.py --count 10000`. It prints the outcomes, and how many files with changed bits
were read as different pixels, which a decoder cannot detect. The exit code is 1 if an outcome is not allowed.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from echoseg.errors import DataError
from echoseg.io.clip import MAX_BYTES, MAX_PIXELS, Clip
from echoseg.io.reading import decode_clip, is_clip, read_clip
from echoseg.io.worker_pool import MEMORY_LIMIT, TIME_LIMIT
from stress._damage import SECRETS, Files, make_random, make_special, write_valid

SIZE, FRAMES = (40, 48), 6
LIMITS = {TIME_LIMIT: "60", MEMORY_LIMIT: "2"}
MAX_GROWTH = 48 << 20  # bytes by which the program's memory may grow, in addition to three times the clip
UNEXPECTED = ("its decoder failed", "gave an invalid response")
LIMIT_EXCEEDED = ("takes longer", "needs more memory")


class Tally(NamedTuple):
    """The outcomes of many inputs.

    Attributes:
        outcomes: Number of inputs by outcome.
        failures: Outcomes that are not allowed.
        undetected: Number of files with changed bits, by whether their pixels changed.
        slowest: The longest time for one input, seconds.
    """

    outcomes: Counter[str]
    failures: list[str]
    undetected: Counter[str]
    slowest: float


def peak_memory() -> int:
    """The peak memory of this process, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def examine(path: Path) -> tuple[str, Clip | None]:
    """The outcome of reading a file: "clip", "refused", "crash", "limit", or a description of a failure."""
    before = peak_memory()
    clip, size = None, 0
    try:
        clip = read_clip(path)
        frames = clip.frames
        valid = frames.dtype == np.uint8 and frames.ndim == 3 and 0 < frames.size <= MAX_BYTES
        outcome = "clip" if valid and frames[0].size <= MAX_PIXELS else f"a clip of {frames.shape} {frames.dtype}"
        numbers = [value for value in (clip.fps, *clip.spacing, clip.thickness) if not math.isnan(value)]
        if not all(0 < value < math.inf for value in numbers):
            outcome = f"a clip with {clip.fps} frames per second and {clip.spacing} × {clip.thickness} mm"
        size = frames.nbytes
        decoded = decode_clip(path, [0, 2, 5]).frames if clip.fps == clip.fps and path.suffix != ".dcm" else {}
        if not all(np.array_equal(frame, frames[number]) for number, frame in decoded.items()):
            outcome = "read_clip and decode_clip give different frames"
    except DataError as error:
        text = str(error).removeprefix(f"{path}: ")
        if text == str(error) or not text.isprintable() or any(secret in text for secret in SECRETS):
            outcome = f"message {error!r}"
        elif any(part in text for part in UNEXPECTED):
            outcome = text
        elif any(part in text for part in LIMIT_EXCEEDED):
            outcome = "limit"
        else:
            outcome = "crash" if "crashed" in text else "refused"
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"
    growth = peak_memory() - before
    return (outcome if growth <= MAX_GROWTH + 3 * size else f"{growth >> 20} MiB for a clip of {size >> 20} MiB"), clip


def read_all(inputs: Iterator[tuple[str, str, Files]], folder: Path, originals: dict[str, np.ndarray]) -> Tally:
    """Read inputs one after the other."""
    outcomes: Counter[str] = Counter()
    undetected: Counter[str] = Counter()
    failures, slowest = [], 0.0
    for number, (kind, damage, files) in enumerate(inputs):
        work = folder / str(number)
        work.mkdir()
        (work / "folder").mkdir()
        os.mkfifo(work / "fifo")
        for name, data in files.items():
            (work / name).write_bytes(data)
        path = work / next(iter(files))
        started = time.monotonic()
        is_clip(path)
        outcome, clip = examine(path)
        if clip is not None and kind.startswith("MetaImage of "):
            outcome = "voxels of another file"
        slowest = max(slowest, time.monotonic() - started)
        allowed = outcome in ("clip", "refused", "crash") or (outcome == "limit" and damage == "bombs")
        outcomes[outcome if allowed else "failure"] += 1
        failures += [f"input {number} ({kind}, {damage}): {outcome}"] * (not allowed)
        if outcome not in ("clip", "refused"):
            print(f"input {number} ({kind}, {damage}): {outcome}", file=sys.stderr)
        if damage == "bits" and kind in originals:
            equal = clip is not None and np.array_equal(clip.frames, originals[kind])
            undetected["refused" if clip is None else "equal pixels" if equal else "different pixels"] += 1
        for entry in (work / "fifo", *(work / name for name in files)):
            entry.unlink()
    return Tally(outcomes, failures, undetected, slowest)


def run(folder: Path, count: int, seed: int) -> Iterator[tuple[str, Tally]]:
    """Read the special inputs and a number of random ones; yields the name and the tally of each group."""
    warnings.simplefilter("error")
    os.environ.update(LIMITS)
    work = folder / "valid"
    work.mkdir()
    valid = write_valid(work)
    originals = {}
    for kind, files in valid.items():
        for name, data in files.items():
            (work / name).write_bytes(data)
        originals[kind] = read_clip(work / next(iter(files))).frames
    for name, inputs in (("special", make_special(work, valid)), ("random", make_random(valid, count, seed))):
        (folder / name).mkdir()
        yield name, read_all(inputs, folder / name, originals)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="random inputs (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        for group, tally in run(Path(name), arguments.count, arguments.seed):
            outcomes = ", ".join(f"{count} {outcome}" for outcome, count in tally.outcomes.most_common())
            print(f"{group}: {tally.outcomes.total()} inputs: {outcomes}; the slowest took {tally.slowest:.1f} s")
            failed += len(tally.failures)
    undetected = ", ".join(f"{count} {outcome}" for outcome, count in tally.undetected.most_common())
    print(f"{tally.undetected.total()} files with 1 to 64 changed bits: {undetected}")
    program, worker = peak_memory() >> 20, worker_peak_memory() >> 20
    print(f"{failed} failures; peak memory of the program {program} MiB, of a worker process {worker} MiB")
    sys.exit(failed > 0)


def worker_peak_memory() -> int:
    """The largest peak memory of the worker processes, bytes."""
    from echoseg.io.worker_pool import end_workers

    end_workers()
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


if __name__ == "__main__":
    main()
