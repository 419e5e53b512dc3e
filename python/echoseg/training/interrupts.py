"""Signals that ask a training to stop: noted at once, obeyed when the loop has saved its state."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Interrupts:
    """The signal that came, if any.

    Attributes:
        caught: Number of the signal; 0 for none.
    """

    def __init__(self) -> None:
        self.caught = 0

    def note(self, number: int, frame: FrameType | None) -> None:
        """Remember a signal.

        Args:
            number: Number of the signal.
            frame: Unused; ``signal.signal`` passes it.

        Raises:
            KeyboardInterrupt: It is a second Ctrl-C, which does not wait.
        """
        if self.caught == number == signal.SIGINT:
            raise KeyboardInterrupt
        self.caught = number

    @property
    def name(self) -> str:
        """Name of the signal for a message; where another rank got it, it is unknown here."""
        if self.caught == signal.SIGTERM:
            return "SIGTERM"
        return "Ctrl-C" if self.caught == signal.SIGINT else "a signal"

    def obey(self) -> None:
        """End the program as the signal asked.

        Raises:
            SystemExit: After SIGTERM, with exit code 143.
            KeyboardInterrupt: Otherwise.
        """
        if self.caught == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt


@contextlib.contextmanager
def noted_interrupts() -> Iterator[Interrupts]:
    """Note SIGTERM and Ctrl-C while inside. Python allows this in the main thread only; others note nothing."""
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
