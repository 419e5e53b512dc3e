"""The one exception that means "your input, not our code"."""

from __future__ import annotations


class DataError(ValueError):
    """Input that cannot be used; the message names the file, the row and column where there are any, and the cure.

    The command line prints it as one line and exits with 1.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


def printable(text: str) -> str:
    """Text as one line that a terminal takes for nothing but text: what does not print is written as in Python."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
