"""One process after the other that does a piece of work, and is killed at it; what all kill tests share."""

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

from stress._disk import watched

WAYS = ("at a random moment", "at a half-written file", "before an operation on a file")
PATIENCE = 120.0  # s, for a piece of work


class Victim(ABC):
    """Work on files below a folder, which a process does, and the next one goes on with where it was killed."""

    name: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"  # what may be written to
        self.work.mkdir(parents=True)
        self.counter = np.frombuffer(mmap.mmap(-1, 16), np.int64)  # shared with the child: operations, and its own

    @abstractmethod
    def act(self) -> None:
        """Do the work, or go on with it; in the child."""

    @abstractmethod
    def faults(self) -> list[str]:
        """What is wrong with the files that a killed process leaves."""

    @abstractmethod
    def ended(self) -> list[str]:
        """What is wrong where the work ended: it must be as if nothing had happened. Makes room for new work."""

    def lost_steps(self) -> int:
        """Work that was done when the kill came and that the files do not hold, where that may be."""
        return 0

    def start(self, deadly: int = 0) -> int:
        """Work in a child, which kills itself before the so-manieth operation on a file. Gives its id."""
        self.counter[0] = 0
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child:
            return child
        code = 1
        try:
            with watched(self.work, lambda *_: self._count(deadly)):
                self.act()
            code = 0
        except BaseException:
            traceback.print_exc()
        os._exit(code)

    def _count(self, deadly: int) -> None:
        self.counter[0] += 1
        if self.counter[0] == deadly:
            os.kill(os.getpid(), signal.SIGKILL)


def half_written(folder: Path) -> bool:
    """Whether a file or folder is there that has not got its own name yet."""
    try:
        return any(path.name.endswith(".part") for path in folder.rglob("*"))
    except OSError:  # it was just being moved
        return False


def strike(victim: Victim, way: str, random: np.random.Generator, seconds: float, operations: int) -> int:
    """Let a child work until it is killed in one of ``WAYS``, or to its end. Gives its exit code, -9 if killed."""
    child = victim.start(int(random.integers(1, operations + 1)) if way == WAYS[2] else 0)
    begun = time.monotonic()
    moment = begun + random.uniform(0, seconds)
    while not _over(child):
        now = time.monotonic()
        if way in WAYS[:2] and now > moment and (way == WAYS[0] or half_written(victim.work)):
            time.sleep(random.uniform(0, 0.003))
            os.kill(child, signal.SIGKILL)
            break
        if now > begun + PATIENCE:
            os.kill(child, signal.SIGABRT)
        time.sleep(0.0002)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def sweep_kills(victim: Victim, kills: int, *, seed: int = 0) -> tuple[Counter[str], list[str]]:
    """Kill so many times, over as many pieces of work as that takes; the last one may end. Gives counts and faults."""
    counts, random = Counter[str](), np.random.default_rng(seed)
    begun = time.monotonic()
    if strike(victim, "never", random, 0, 0):
        return counts, ["it does not even work undisturbed"]
    seconds, operations = time.monotonic() - begun, int(victim.counter[0])
    faults, under_way = victim.ended(), False
    while counts["kills"] < kills or under_way:
        way = WAYS[counts["tries"] % len(WAYS)] if counts["kills"] < kills else "never"
        counts["tries"] += 1
        code = strike(victim, way, random, seconds, operations)
        under_way = code == -signal.SIGKILL
        if under_way:
            counts += Counter({"kills": 1, way: 1, "half written": half_written(victim.work)})
            found = victim.faults()
            counts["most steps lost"] = max(counts["most steps lost"], victim.lost_steps())
        elif code == 0:
            counts["ended"] += 1
            found = victim.ended()
        else:
            found = [f"failed, exit code {code}"]
        faults += [f"{victim.name}, kill {counts['kills']}, {way}: {fault}" for fault in found]
        if len(faults) > 20 or counts["tries"] > 20 * kills:
            return counts, [*faults, "given up"]
    return counts, faults


def _over(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
