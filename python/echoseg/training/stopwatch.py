"""How long the parts of a task take; on a GPU, measured without making it wait."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import torch


class Stopwatch:
    """Adds up the seconds of each part of a task; on a GPU by events in its stream.

    Args:
        device: The device that does the work; None is the CPU.
    """

    def __init__(self, device: torch.device | None = None) -> None:
        self._device = device or torch.device("cpu")
        self._seconds: dict[str, float] = {}
        self._events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextlib.contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Add the time spent inside to ``part``."""
        if self._device.type == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record(torch.cuda.current_stream(self._device))  # the device need not be the current one
            yield
            end.record(torch.cuda.current_stream(self._device))
            self._events.append((part, start, end))
        else:
            started = time.perf_counter()
            yield
            self._seconds[part] = self._seconds.get(part, 0.0) + time.perf_counter() - started

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each part so far. Waits for the GPU."""
        for part, start, end in self._events:
            end.synchronize()
            self._seconds[part] = self._seconds.get(part, 0.0) + start.elapsed_time(end) / 1000
        self._events.clear()
        return dict(self._seconds)
