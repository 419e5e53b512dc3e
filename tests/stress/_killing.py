"""Runs a task in one process after the other and kills them; used by `kills.py`."""

from __future__ import annotations

import mmap
import os
import signal
import sys
import time
import traceback
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path

import numpy as np

from stress._disk import intercept

KILL_TIMES = ("at a random time", "while a partial file exists", "before an operation on a file")
TIMEOUT = 120.0  # s for a task


class Workload(ABC):
    """A task that writes files in a folder, and that a later process can resume after a kill.

    Attributes:
        folder: The folder of the workload.
        work: The folder that the task may write to.
        counter: Two numbers in memory shared with the forked process: its operations on files, and one for subclasses.
    """

    name: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.work.mkdir(parents=True)
        self.counter = np.frombuffer(mmap.mmap(-1, 16), np.int64)

    @abstractmethod
    def run(self) -> None:
        """Run or resume the task; called in the forked process."""

    @abstractmethod
    def check_killed(self) -> list[str]:
        """Check the files after a kill; returns problems."""

    @abstractmethod
    def check_finished(self) -> list[str]:
        """Check and remove the files of a finished task; returns problems."""

    def lost_steps(self) -> int:
        """The number of steps done before the kill that are not in the files."""
        return 0

    def start(self, kill_at: int = 0) -> int:
        """Run the task in a forked process, which kills itself before operation `kill_at`; returns its id."""
        self.counter[0] = 0
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            with intercept(self.work, lambda *_: self._count(kill_at)):
                self.run()
            code = 0
        except BaseException:
            traceback.print_exc()
        os._exit(code)

    def _count(self, kill_at: int) -> None:
        self.counter[0] += 1
        if self.counter[0] == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def has_partial_files(folder: Path) -> bool:
    """Whether a file or folder still has its temporary name."""
    try:
        return any(path.name.endswith(".part") for path in folder.rglob("*"))
    except OSError:  # a path was just renamed
        return False


def run_and_kill(workload: Workload, when: str, rng: np.random.Generator, seconds: float, operations: int) -> int:
    """Run the task until it is killed at one of `KILL_TIMES`, or finishes; returns the exit code, -9 if killed."""
    pid = workload.start(int(rng.integers(1, operations + 1)) if when == KILL_TIMES[2] else 0)
    started = time.monotonic()
    kill_time = started + rng.uniform(0, seconds)
    while not _has_ended(pid):
        now = time.monotonic()
        if when in KILL_TIMES[:2] and now > kill_time and (when == KILL_TIMES[0] or has_partial_files(workload.work)):
            time.sleep(rng.uniform(0, 0.003))
            os.kill(pid, signal.SIGKILL)
            break
        if now > started + TIMEOUT:
            os.kill(pid, signal.SIGABRT)
        time.sleep(0.0002)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill_repeatedly(workload: Workload, kills: int, *, seed: int = 0) -> tuple[Counter[str], list[str]]:
    """Kill a task a number of times, then let it finish; returns counts and problems."""
    counts, rng = Counter[str](), np.random.default_rng(seed)
    started = time.monotonic()
    if run_and_kill(workload, "never", rng, 0, 0):
        return counts, ["the task fails without a kill"]
    seconds, operations = time.monotonic() - started, int(workload.counter[0])
    problems, unfinished = workload.check_finished(), False
    while counts["kills"] < kills or unfinished:
        when = KILL_TIMES[counts["runs"] % len(KILL_TIMES)] if counts["kills"] < kills else "never"
        counts["runs"] += 1
        code = run_and_kill(workload, when, rng, seconds, operations)
        unfinished = code == -signal.SIGKILL
        if unfinished:
            counts += Counter({"kills": 1, when: 1, "partial files": has_partial_files(workload.work)})
            found = workload.check_killed()
            counts["lost steps"] = max(counts["lost steps"], workload.lost_steps())
        elif code == 0:
            counts["finished"] += 1
            found = workload.check_finished()
        else:
            found = [f"failed with exit code {code}"]
        problems += [f"{workload.name}, kill {counts['kills']}, {when}: {problem}" for problem in found]
        if len(problems) > 20 or counts["runs"] > 20 * kills:
            return counts, [*problems, "stopped after too many problems or runs"]
    return counts, problems


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
