"""Simulates disks that fail at each operation: full, read-only, without permission, with errors, or disconnected.

    python tests/stress/faults.py              # minutes; Linux
    python tests/stress/faults.py --count 5    # only the first 5 operations of each task

Each task (writing a run, training, a store, predictions, corrections, an evaluation, a repository of weights) is
repeated once for each of its operations on files (open, write, close, fsync, rename, …). At that operation the disk
fails in one of `KINDS`, once or from then on. The error message must be one line and name a path in the folder. The
files must be complete, either as before or as intended. When the disk works again, the same task must succeed with the
same result as without a failure, and leave no temporary files.

As root on Linux the commands also run on tmpfs file systems of many sizes, on a read-only one, and with a folder that
disappears during training. The exit code is 1 if a check failed.
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
from stress._disk import OPERATIONS, intercept
from stress._fault_mounts import try_mounts
from stress._fault_tasks import Task, make_tasks

_CHANGES = {"open", "mkdir", "rename", "replace", "unlink", "rmdir"}
KINDS = {
    "disk full": (errno.ENOSPC, {"open", "write", "mkdir", "fsync"}, True),
    "read-only disk": (errno.EROFS, _CHANGES, True),
    "no permission": (errno.EACCES, _CHANGES, True),
    "network folder gone": (errno.ESTALE, set(OPERATIONS), True),
    "input/output error": (errno.EIO, set(OPERATIONS), False),
}
"""Kind of failure → errno, the operations that fail, and whether all later operations fail too."""


class FailingDisk:
    """A callback for `intercept` that fails at the given operation, counted from 1."""

    def __init__(self, kind: str, number: int) -> None:
        self.errno, self.operations, self.permanent = KINDS[kind]
        self.number, self.count, self.failed_at = number, 0, ""

    def __call__(self, operation: str, path: str) -> None:
        if operation not in self.operations:
            return
        self.count += 1
        if self.count == self.number or (self.permanent and self.count > self.number):
            self.failed_at = self.failed_at or f"{operation} {Path(path).name}"
            raise OSError(self.errno, os.strerror(self.errno), path if operation in _CHANGES else None)


def try_failures(task: Task, kind: str, numbers: Iterable[int], folder: Path) -> tuple[Counter[str], list[str]]:
    """Run a task with a failure at each of some operations, until it has no more; returns counts and problems."""
    counts, problems = Counter[str](), []
    before, after = _final_state(task, folder, 0), _final_state(task, folder, 1)
    for number in numbers:
        _set_up(task, folder)
        disk, error = FailingDisk(kind, number), None
        try:
            with intercept(folder, disk):
                task.run(folder)
        except BaseException as caught:
            error = caught
        if not disk.failed_at:
            break
        counts += Counter({"failures": 1, "reported": error is not None})
        found = _check_message(error, folder)
        try:
            state = task.read(folder)
            states = (_without_log(before), _without_log(after))
            if _without_log(state) not in states and not state.startswith(("begun", "weights")):
                found.append(f"neither as before nor as intended: {state[:300]}")
            if error is None and state != after:
                found.append("no error although the task is not done")
            if kind in ("disk full", "input/output error"):
                found += [f"temporary file: {path.name}" for path in folder.rglob("*.part")]
            task.run(folder)
            if (state := _without_log(task.read(folder))) != _without_log(after):
                found.append(f"after another run: {state[:300]}")
            found += [f"temporary file after another run: {path.name}" for path in folder.rglob("*.part")]
        except Exception:
            found.append(traceback.format_exc())
        problems += [f"{kind} at {disk.failed_at} ({number}): {problem}" for problem in found]
    return counts, problems


def _set_up(task: Task, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    task.set_up(folder)


def _final_state(task: Task, folder: Path, runs: int) -> str:
    _set_up(task, folder)
    for _ in range(runs):
        task.run(folder)
    return task.read(folder)


def _without_log(state: str) -> str:
    return state.split("]]}, ")[0]  # the log may have an additional line after another run


def _check_message(error: BaseException | None, folder: Path) -> list[str]:
    """Problems of an error message; the command line prints the filename and strerror of an OSError."""
    if error is None:
        return []
    if isinstance(error, DataError):
        message = str(error)
    elif isinstance(error, OSError):
        message = f"{error.filename}: {error.strerror}"
    else:
        return ["".join(traceback.format_exception(error))]
    valid = str(folder) in message and "\n" not in message and ".part" not in message
    return [] if valid else [f"message {message!r}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, help="number of operations per task and kind (default: all)")
    parser.add_argument("--what", help="one task, or 'mounts' (default: all)")
    arguments = parser.parse_args()
    os.environ["TQDM_DISABLE"] = "1"
    problems = []
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["ECHOSEG_CACHE"] = str(Path(temporary) / "cache")
        for name, task in make_tasks(Path(temporary)).items():
            if arguments.what not in (None, name):
                continue
            counts, found = Counter[str](), []
            for kind in KINDS:
                numbers = range(1, (arguments.count or sys.maxsize - 1) + 1)
                kind_counts, kind_problems = try_failures(task, kind, numbers, Path(temporary) / "work")
                counts += kind_counts
                found += kind_problems
            print(f"{name}: {counts['failures']} failures, {counts['reported']} reported; {len(found)} problems")
            print(*found, sep="\n", end="\n" if found else "", flush=True)
            problems += found
        if arguments.what in (None, "mounts"):
            problems += try_mounts(Path(temporary), arguments.count)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
