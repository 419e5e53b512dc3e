"""``map`` over threads, for functions that release the interpreter's lock: reading, decoding, writing."""

from __future__ import annotations

import collections
import contextvars
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def cpus() -> int:
    """The number of CPUs that the process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_in_order(function: Callable[[Item], Result], items: Iterable[Item], *, ahead: int = 4) -> Iterator[Result]:
    """``map`` over threads, in order, with a bounded number of pending results.

    Args:
        function: Called in the worker threads, with the context variables of the calling thread.
        items: Iterated in the calling thread.
        ahead: Maximum number of pending results per CPU.

    Yields:
        The results, in the order of the items.
    """
    workers = cpus()
    executor = ThreadPoolExecutor(workers)
    pending: collections.deque[Future[Result]] = collections.deque()
    try:
        for item in items:
            pending.append(executor.submit(contextvars.copy_context().run, function, item))
            if len(pending) > ahead * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)
