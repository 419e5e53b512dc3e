"""Timing of several implementations, the contenders, of the same work.

The contenders of a case take turns. In each pass, every contender has one untimed call and then its share of the time.
There are several passes, so that other load of the machine affects all contenders. The results are medians over all
calls. A contender that exceeds its time with three calls is not called again. `pytest bench --check` runs each
contender once on a few images and checks only the result.
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
SECONDS = 0.15  # total time of one contender's timed calls
SLOW = 0.03  # seconds; after a longer call, the untimed call is omitted
CHECKED = 3  # images with --check


@dataclass(frozen=True)
class Contender:
    """One implementation.

    Attributes:
        make: A function of inputs and outputs that does all preparations and returns the function to be timed.
        needs: The module of an optional package; "" if none is needed.
        images: The maximum number of 112×112 images per call, or fewer larger ones; None for all.
        threads: The number of threads of echoseg; other implementations use one.
        off: The tolerance of the check; its meaning is given in each file.
        rule: The fill rule.
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
        """Yield name, contender and number of images of each installed contender; record the names of the others."""
        for name, contender in contenders.items():
            if contender.needs and find_spec(contender.needs.partition(".")[0]) is None:
                self.absent.append(name)
                continue
            limit = CHECKED if self.check_only else count
            if contender.images:
                limit = min(limit, max(1, round(contender.images * 112**2 / (shape[0] * shape[1]))))
            yield name, contender, min(count, limit)

    def enter(self, name: str, run: Callable[[], object], images: int, threads: int = 1) -> None:
        self.entries[name] = Entry(run, images, threads)

    def start(self, case: str, clock: Callable[[Callable[[], object], float], list[float]] | None = None) -> None:
        """Time all entries. `clock(run, seconds)` returns the duration of each of its calls in seconds."""
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
    """Eight images from the whole batch, since comparing all planes would take longer than timing them."""
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
