"""Parsing: flags are never abbreviated, and an unknown flag or command is answered with the nearest known names."""

from __future__ import annotations

import argparse
import difflib
import itertools
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NoReturn

from echoseg.errors import printable

_FLAG = re.compile(r"--?[A-Za-z]\S*")  # a negative number is none


class Parser(argparse.ArgumentParser):
    """A parser that prints descriptions as they are written, and errors as two lines instead of a long usage."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where the help is, and exit with code 2."""
        self.exit(2, f"{self.prog}: {printable(message)}\nFor help, run '{self.prog} --help'.\n")


class CommandParser(Parser):
    """The parser of one command."""

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse all arguments; exit with code 2 if one is unknown.

        Flags are looked up first: a misspelt one would otherwise be reported as the missing of another. Inputs may
        stand between and after flags.
        """
        args = list(args or ())
        for word in itertools.takewhile("--".__ne__, args):
            flag = word.partition("=")[0]
            if _FLAG.fullmatch(flag) and flag not in self._option_string_actions:
                self.error(f"unknown flag {flag}{did_you_mean(flag, self._option_string_actions)}")
        parsed, rest = super().parse_known_args(args, namespace)
        rest = [word for word in rest if word != "--"]
        if rest and not hasattr(parsed, "inputs"):
            self.error(f"unexpected argument {rest[0]!r}")
        if rest:
            parsed.inputs = [*parsed.inputs, *map(Path, rest)]
        return parsed, []


def did_you_mean(word: str, known: Collection[str]) -> str:
    """The names that an unknown word may stand for, as the end of a message; "" where none is near."""
    near = [name for name in known if name.startswith(word)][:3] or difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {' or '.join(near)}?" if near else ""
