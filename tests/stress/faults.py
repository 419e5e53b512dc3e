"""Disks that fail: full, read-only, broken, without permission, or gone, at every single operation.

    python tests/stress/faults.py              # minutes; Linux
    python tests/stress/faults.py --count 5    # places in each piece of work, instead of all of them

Whatever writes (a run's files, a training, a store, an archive of predictions, corrections, an evaluation, a repository
of weights) is done once for each of its operations on files (open, write, close, fsync, rename, …), and there the disk
fails in one of ``KINDS``: from then on, or just once. The error must name a path in the folder in one line, what is
there must be what was there before or what was to be written, without half a file, and once the disk works again the
same work must succeed and leave what it leaves undisturbed, without a trace of the failure.

As root on Linux the commands themselves are run on a small tmpfs of every size from one page on until they fit, on one
that is mounted read-only, and with a folder that vanishes in mid-training. Exit code 1 if anything failed.
"""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from echoseg.errors import DataError
from stress._disk import OPERATIONS, watched
from stress._fault_mounts import sweep_mounts
from stress._fault_work import Work, all_works

_CHANGES = {"open", "mkdir", "rename", "replace", "unlink", "rmdir"}
KINDS = {
    "disk full": (errno.ENOSPC, {"open", "write", "mkdir", "fsync"}, True),
    "read-only disk": (errno.EROFS, _CHANGES, True),
    "no permission": (errno.EACCES, _CHANGES, True),
    "network folder gone": (errno.ESTALE, set(OPERATIONS), True),
    "input/output error": (errno.EIO, set(OPERATIONS), False),
}
"""Number of the error, operations that give it, and whether all after the first one give it, too."""


class Fault:
    """Fails at the so-manieth operation of its kind."""

    def __init__(self, kind: str, place: int) -> None:
        self.number, self.operations, self.lasts = KINDS[kind]
        self.place, self.seen, self.struck = place, 0, ""

    def __call__(self, operation: str, path: str) -> None:
        if operation not in self.operations:
            return
        self.seen += 1
        if self.seen == self.place or (self.lasts and self.seen > self.place):
            self.struck = self.struck or f"{operation} {Path(path).name}"
            raise OSError(self.number, os.strerror(self.number), path if operation in _CHANGES else None)


def sweep_faults(work: Work, kind: str, places: Iterable[int], folder: Path) -> tuple[Counter[str], list[str]]:
    """Let a piece of work fail at each of some places, up to the one that it does not reach."""
    counts, faults = Counter[str](), []
    before, after = _state(work, folder, 0), _state(work, folder, 1)
    for place in places:
        _begin(work, folder)
        fault, error = Fault(kind, place), None
        try:
            with watched(folder, fault):
                work.act(folder)
        except BaseException as caught:
            error = caught
        if not fault.struck:
            break
        counts += Counter({"failures": 1, "told": error is not None})
        found = _wrong_words(error, folder)
        try:
            pinned = work.pinned(folder)
            if _after(pinned) not in (_after(before), _after(after)) and not pinned.startswith(("begun", "weights")):
                found.append(f"neither as before nor as written: {pinned[:300]}")
            if error is None and pinned != after:
                found.append("said to be done, but is not")
            if kind in ("disk full", "input/output error"):
                found += [f"left behind: {path.name}" for path in folder.rglob("*.part")]
            work.act(folder)
            if (now := _after(work.pinned(folder))) != _after(after):
                found.append(f"done again: {now[:300]}")
            found += [f"still left behind: {path.name}" for path in folder.rglob("*.part")]
        except Exception:
            found.append(traceback.format_exc())
        faults += [f"{kind} at {fault.struck} ({place}): {one}" for one in found]
    return counts, faults


def _begin(work: Work, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    work.begin(folder)


def _state(work: Work, folder: Path, times: int) -> str:
    _begin(work, folder)
    for _ in range(times):
        work.act(folder)
    return work.pinned(folder)


def _after(pinned: str) -> str:
    return pinned.split("]]}, ")[0]  # a correction that is tried again may have a line more in its log


def _wrong_words(error: BaseException | None, folder: Path) -> list[str]:
    """What is wrong with how a failure is told; the command line prints an OSError's filename and strerror."""
    if error is None:
        return []
    if isinstance(error, DataError):
        words = str(error)
    elif isinstance(error, OSError):
        words = f"{error.filename}: {error.strerror}"
    else:
        return ["".join(traceback.format_exception(error))]
    return [] if str(folder) in words and "\n" not in words and ".part" not in words else [f"told as {words!r}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, help="places a piece of work and kind (default: all)")
    parser.add_argument("--what", help="one piece of work, or 'mounts' (default: all)")
    arguments = parser.parse_args()
    os.environ["TQDM_DISABLE"] = "1"
    every = []
    with tempfile.TemporaryDirectory() as place:
        os.environ["ECHOSEG_CACHE"] = str(Path(place) / "cache")
        for name, work in all_works(Path(place)).items():
            if arguments.what not in (None, name):
                continue
            counts, faults = Counter[str](), []
            for kind in KINDS:
                places = range(1, (arguments.count or sys.maxsize - 1) + 1)
                more, found = sweep_faults(work, kind, places, Path(place) / "work")
                counts += more
                faults += found
            print(f"{name}: {counts['failures']} failures, {counts['told']} of them told; {len(faults)} wrong")
            print(*faults, sep="\n", end="\n" if faults else "", flush=True)
            every += faults
        if arguments.what in (None, "mounts"):
            every += sweep_mounts(Path(place), arguments.count)
    return int(bool(every))


if __name__ == "__main__":
    sys.exit(main())
