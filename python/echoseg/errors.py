"""The exception for unusable input."""

from __future__ import annotations


class DataError(ValueError):
    """Raised for input that cannot be used.

    The message names the file, the row and column if known, what is wrong, and the cure. The command line prints it as
    one line and exits with code 1.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


def printable(text: str) -> str:
    """Replace non-printable characters by their Python escape sequences, so that the text is one line."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
