"""What commands leave, and what they print that fail or are used wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from echoseg.cli import main


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def failure(capsys, *arguments) -> str:
    """The one line that a failing command prints."""
    assert main([str(argument) for argument in arguments]) == 1
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1, printed.err
    assert printed.err.startswith("echoseg: ")
    return printed.err


def wrong_usage(capsys, *arguments) -> str:
    """The first of the two lines that a command prints which is used wrongly; the other one names the help."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert stop.value.code == 2
    first, second = capsys.readouterr().err.splitlines()
    assert second.startswith("For help, run 'echoseg ")
    return first
