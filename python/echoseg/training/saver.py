"""Writes the state of a training in a thread, while the training goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import torch
from torch import Tensor


class Snapshot:
    """Values at one moment: a copy of each tensor in dictionaries, lists and tuples.

    A GPU copies the tensors within its memory, in its stream, so that nothing waits; where its memory is full, they are
    copied to the CPU.

    Args:
        values: Tensors, and anything that does not change.
    """

    def __init__(self, values: Any) -> None:
        self._device: torch.device | None = None  # of CUDA
        self._copied: torch.cuda.Event | None = None
        self._values = _map_tensors(values, self._copy)
        if self._device is not None:
            self._copied = torch.cuda.current_stream(self._device).record_event()

    def _copy(self, tensor: Tensor) -> Tensor:
        tensor = tensor.detach()
        if tensor.is_cuda:
            self._device = tensor.device
            try:
                return tensor.clone()
            except torch.cuda.OutOfMemoryError:
                return tensor.cpu()
        return tensor.to("cpu", copy=True)

    def on_cpu(self) -> Any:
        """Return the values with their tensors on the CPU. A GPU goes on with its own work meanwhile."""
        if self._device is None or self._copied is None:
            return self._values
        stream = torch.cuda.Stream(self._device)
        stream.wait_event(self._copied)
        with torch.cuda.stream(stream):
            return _map_tensors(self._values, Tensor.cpu)


def _map_tensors(values: Any, function: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(values, Tensor):
        return function(values)
    if isinstance(values, dict):
        return {name: _map_tensors(value, function) for name, value in values.items()}
    if isinstance(values, (list, tuple)):
        return type(values)(_map_tensors(value, function) for value in values)
    return values


class Saver:
    """Runs one task after the other in a thread. Leaving the context waits for it.

    Attributes:
        submitted: Time of the last task's submission, by ``time.monotonic``.
        saved: Time of the submission of the last task that is done.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="echoseg-saver")
        self._task: Future[None] | None = None
        self.submitted = self.saved = time.monotonic()

    def submit(self, task: Callable[[], object]) -> None:
        """Start a task when the one before it is done.

        Raises:
            Exception: What the task before raised.
        """
        self.wait()
        submitted = self.submitted = time.monotonic()

        def run() -> None:
            task()
            self.saved = submitted

        self._task = self._thread.submit(run)

    def check(self, seconds: float) -> None:
        """Wait for the task that runs if what is saved is older.

        Args:
            seconds: Largest age of what is saved while a task runs.

        Raises:
            Exception: What the task raised.
        """
        if self._task is not None and (self._task.done() or time.monotonic() - self.saved > seconds):
            self.wait()

    def wait(self) -> None:
        """Wait until all is saved.

        Raises:
            Exception: What the task raised.
        """
        if self._task is not None:
            task, self._task = self._task, None
            task.result()

    def __enter__(self) -> Saver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread.shutdown()
        if error is None:
            self.wait()
