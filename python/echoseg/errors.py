"""The one exception that means "your input, not our code"."""

from __future__ import annotations


class DataError(ValueError):
    """Input that cannot be used; the message names the file, the row where there is one, and the cure.

    The command line prints it as one line and exits with 1.
    """
