"""Damage videos, DICOM files, volumes and pictures in every way we can think of, and look at what is read.

Each input is a small valid file of one of some twenty kinds, written, then cut, flipped in 1 to 64 bits, given
header fields of 0, -1, 2^31 - 1, 2^32 - 1, … of 2, 4 or 8 bytes in either order, robbed of a piece, mixed with another
file, or renamed. Beside them stand inputs made by hand: bombs, headers without each of their tags in turn, volumes that
refer to files elsewhere, places and slopes that are no numbers. Allowed is

- a clip, whole and no larger than the limits;
- a `DataError` of one line that begins with the file, tells nothing of the patient, and has been foreseen.

Not allowed is another exception, a warning, the end or a hang of the program, other frames when it is read by frame
numbers, or that it takes more memory than what it gets. Crashes of the decoding child, and bombs that meet its limits
of time and memory, are counted: they are what it is there for.

Run it: `python tests/stress/damaged_files.py --count 10000`. It prints what was tried and found, and how many flipped
files were read as other pixels without any complaint, as no decoder can know; exit code 1 if anything failed.
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
from stress._damage import SECRETS, Files, by_hand, damaged, write_whole

SIZE, FRAMES = (40, 48), 6
LIMITS = {TIME_LIMIT: "60", MEMORY_LIMIT: "2"}
SLACK = 48 << 20  # bytes that the program may grow by beside twice what it is given
UNFORESEEN = ("its decoder failed", "gave an invalid response")


class Tally(NamedTuple):
    """What was found."""

    outcomes: Counter[str]
    failures: list[str]
    silent: Counter[str]
    slowest: float


def peak() -> int:
    """The most bytes that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def examine(path: Path) -> tuple[str, Clip | None]:
    """What comes of reading a file: "clip", "refused", "crash", or what must not be."""
    before = peak()
    clip, size = None, 0
    try:
        clip = read_clip(path)
        frames = clip.frames
        sound = frames.dtype == np.uint8 and frames.ndim == 3 and 0 < frames.size <= MAX_BYTES
        outcome = "clip" if sound and frames[0].size <= MAX_PIXELS else f"a clip of {frames.shape} {frames.dtype}"
        known = [value for value in (clip.fps, *clip.spacing, clip.thickness) if not math.isnan(value)]
        if not all(0 < value < math.inf for value in known):
            outcome = f"a clip of {clip.fps} frames a second and {clip.spacing} × {clip.thickness} mm"
        size = frames.nbytes
        found = decode_clip(path, [0, 2, 5]).frames if clip.fps == clip.fps and path.suffix != ".dcm" else {}
        if not all(np.array_equal(frame, frames[number]) for number, frame in found.items()):
            outcome = "the frames differ between two ways to read them"
    except DataError as error:
        text = str(error).removeprefix(f"{path}: ")
        if text == str(error) or not text.isprintable() or any(secret in text for secret in SECRETS):
            outcome = f"message {error!r}"
        elif any(words in text for words in UNFORESEEN):
            outcome = text
        else:
            outcome = "crash" if "crashed" in text else "limit" if "takes " in text else "refused"
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"
    grown = peak() - before
    return (outcome if grown <= SLACK + 3 * size else f"{grown >> 20} MiB taken for {size >> 20} MiB"), clip


def sweep(inputs: Iterator[tuple[str, str, Files]], folder: Path, originals: dict[str, np.ndarray]) -> Tally:
    """Read inputs one after the other."""
    outcomes: Counter[str] = Counter()
    silent: Counter[str] = Counter()
    failures, slowest = [], 0.0
    for number, (kind, how, files) in enumerate(inputs):
        here = folder / str(number)
        here.mkdir()
        (here / "folder").mkdir()
        os.mkfifo(here / "fifo")
        for name, data in files.items():
            (here / name).write_bytes(data)
        path = here / next(iter(files))
        started = time.monotonic()
        is_clip(path)
        outcome, clip = examine(path)
        if clip is not None and kind.startswith("MetaImage of "):
            outcome = "voxels from elsewhere"
        slowest = max(slowest, time.monotonic() - started)
        allowed = outcome in ("clip", "refused", "crash") or (outcome == "limit" and how == "bombs")
        outcomes[outcome if allowed else "failure"] += 1
        failures += [f"input {number} ({kind}, {how}): {outcome}"] * (not allowed)
        if outcome not in ("clip", "refused"):
            print(f"input {number} ({kind}, {how}): {outcome}", file=sys.stderr)
        if how == "flipped" and kind in originals:
            same = clip is not None and np.array_equal(clip.frames, originals[kind])
            silent["refused" if clip is None else "same pixels" if same else "other pixels"] += 1
        for entry in (here / "fifo", *(here / name for name in files)):
            entry.unlink()
    return Tally(outcomes, failures, silent, slowest)


def run(folder: Path, count: int, seed: int) -> Iterator[tuple[str, Tally]]:
    """Both halves, by name: what is made by hand, and so many random inputs."""
    warnings.simplefilter("error")
    os.environ.update(LIMITS)
    made = folder / "made"
    made.mkdir()
    whole = write_whole(made)
    originals = {}
    for kind, files in whole.items():
        for name, data in files.items():
            (made / name).write_bytes(data)
        originals[kind] = read_clip(made / next(iter(files))).frames
    for name, inputs in (("by hand", by_hand(made, whole)), ("random", damaged(whole, count, seed))):
        (folder / name).mkdir()
        yield name, sweep(inputs, folder / name, originals)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="random inputs (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        for half, tally in run(Path(name), arguments.count, arguments.seed):
            told = ", ".join(f"{count} {outcome}" for outcome, count in tally.outcomes.most_common())
            print(f"{half}: {tally.outcomes.total()} inputs: {told}; the slowest took {tally.slowest:.1f} s")
            failed += len(tally.failures)
    silent = ", ".join(f"{count} {what}" for what, count in tally.silent.most_common())
    print(f"of {tally.silent.total()} files with 1 to 64 flipped bits: {silent} without complaint")
    print(f"{failed} failures; most memory of the program {peak() >> 20} MiB, of a child {child_peak() >> 20} MiB")
    sys.exit(failed > 0)


def child_peak() -> int:
    """The most bytes of a child that has ended."""
    from echoseg.io.worker_pool import end_workers

    end_workers()
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


if __name__ == "__main__":
    main()
