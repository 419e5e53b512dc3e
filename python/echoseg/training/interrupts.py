"""Signals that ask a run to stop: noted at once, obeyed where the loop can save its state."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Interrupts:
    """Which signal came, if any.

    Attributes:
        caught: its number; 0 for none.
    """

    def __init__(self) -> None:
        self.caught = 0

    def note(self, number: int, frame: FrameType | None) -> None:
        """Remember a signal; a second Ctrl-C does not wait."""
        if self.caught == number == signal.SIGINT:
            raise KeyboardInterrupt
        self.caught = number

    def obey(self) -> None:
        """End the program as the signal asked: 130 after Ctrl-C (or another rank's), 143 after SIGTERM.

        Raises:
            KeyboardInterrupt, SystemExit: always.
        """
        if self.caught == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt


@contextlib.contextmanager
def noted_interrupts() -> Iterator[Interrupts]:
    """Note SIGTERM and Ctrl-C while inside; only the main thread can, so others note nothing."""
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    before = {number: signal.signal(number, interrupts.note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
