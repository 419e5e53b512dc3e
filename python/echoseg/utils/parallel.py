"""``map`` over threads, for work that is read from disk, decoded or written without holding the interpreter's lock."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def cpus() -> int:
    """How many CPUs the process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_in_order(function: Callable[[Item], Result], items: Iterable[Item], *, ahead: int = 4) -> Iterator[Result]:
    """``map`` over threads that keeps the order and never runs far ahead of who takes the results.

    Args:
        function: Called in the threads.
        items: Taken in the caller's thread.
        ahead: Results that may wait to be taken, for each CPU that the process may use.
    """
    workers = cpus()
    executor = ThreadPoolExecutor(workers)
    pending: collections.deque[Future[Result]] = collections.deque()
    try:
        for item in items:
            pending.append(executor.submit(function, item))
            if len(pending) > ahead * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)
