"""How contenders are timed against each other.

All contenders of a case run in turns: a pass goes around them all, gives each one untimed call and then its share of
the time, and there are several passes, so that other work on the machine falls on everybody. The table shows medians
over all passes; whoever needs more than its time for three calls is spared the rest. ``pytest bench --check`` runs each
contender once, on a few images, for its result alone.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

PASSES = 5
SECONDS = 0.15  # what one contender's timed calls may take together
SLOW = 0.03  # a call that takes longer needs no untimed one before it
CHECKED = 3  # images with --check


@dataclass(frozen=True)
class Contender:
    """One way to do a piece of work.

    Attributes:
        make: Takes inputs and outputs, prepares what need not be timed, returns the call that is timed.
        needs: The module of a peer that need not be installed.
        images: How many 112×112 images one call gets at most (fewer where they are larger); None for all.
        threads: For echoseg alone; all peers run on one.
        off: How far its result may be from ours, as the file's check understands it.
        rule: The fill rule that it follows, where there is one.
    """

    make: Callable[..., Callable[[], object]]
    needs: str = ""
    images: int | None = None
    threads: int = 1
    off: float = 0.0
    rule: str = "opencv"


@dataclass(frozen=True)
class Entry:
    run: Callable[[], object]
    images: int
    threads: int


class Race:
    """The contenders of one case, and the results of all cases so far."""

    def __init__(self, benchmark: Any, check_only: bool, results: list[dict[str, Any]], missing: dict[str, list[str]]):
        self.benchmark, self.check_only, self.results, self.missing = benchmark, check_only, results, missing
        self.entries: dict[str, Entry] = {}
        self.absent: list[str] = []

    def entrants(
        self, contenders: dict[str, Contender], count: int, shape: tuple[int, int]
    ) -> Iterator[tuple[str, Contender, int]]:
        """(name, contender, number of images) of each that is installed; notes the names of the others."""
        for name, contender in contenders.items():
            if contender.needs and find_spec(contender.needs.partition(".")[0]) is None:
                self.absent.append(name)
                continue
            most = CHECKED if self.check_only else count
            if contender.images:
                most = min(most, max(1, round(contender.images * 112**2 / (shape[0] * shape[1]))))
            yield name, contender, min(count, most)

    def enter(self, name: str, run: Callable[[], object], images: int, threads: int = 1) -> None:
        self.entries[name] = Entry(run, images, threads)

    def start(self, case: str, clock: Callable[[Callable[[], object], float], list[float]] | None = None) -> None:
        """Times all that entered. ``clock(run, seconds)`` returns the seconds that each of its calls took."""
        clock = clock or wall_clock
        times: dict[str, list[float]] = {name: [] for name in self.entries}

        def one_pass() -> None:
            for name, entry in self.entries.items():
                taken = times[name]
                if len(taken) >= 3 and sum(taken) > SECONDS:
                    continue
                os.environ["ECHOSEG_NUM_THREADS"] = str(entry.threads)
                if not taken or taken[-1] < SLOW:
                    entry.run()
                if not self.check_only:
                    taken += clock(entry.run, SECONDS / PASSES)

        self.benchmark.pedantic(one_pass, rounds=1 if self.check_only else PASSES)
        for name, seconds in times.items():
            if seconds:
                entry = self.entries[name]
                self.results.append(
                    {
                        "case": case,
                        "contender": name,
                        "images": entry.images,
                        "threads": entry.threads,
                        "calls": len(seconds),
                        "microseconds": statistics.median(seconds) / entry.images * 1e6,
                        "fastest": min(seconds) / entry.images * 1e6,
                    }
                )
        if self.absent:
            self.missing[case] = self.absent


def some(planes: Any) -> Any:
    """Eight images spread over the batch: comparing all planes would take longer than timing them."""
    return planes[:: max(1, len(planes) // 8)]


def wall_clock(run: Callable[[], object], seconds: float) -> list[float]:
    taken: list[float] = []
    left = seconds
    while left > 0:
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
        left -= taken[-1]
    return taken
