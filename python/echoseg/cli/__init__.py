"""``echoseg``: one file a command; each parses, calls and prints.

Exit codes: 0 done, 1 failed (one line says what and how to mend it), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from echoseg.cli import (
    check,
    effort,
    evaluate,
    experiments,
    export,
    info,
    init,
    phantom,
    predict,
    prepare,
    report,
    review,
    train,
)
from echoseg.errors import DataError, printable

COMMANDS = {
    "init": init,
    "phantom": phantom,
    "check": check,
    "prepare": prepare,
    "train": train,
    "evaluate": evaluate,
    "predict": predict,
    "effort": effort,
    "experiments": experiments,
    "review": review,
    "report": report,
    "export": export,
    "info": info,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    _open_streams()
    parser = argparse.ArgumentParser(prog="echoseg", description="Left-ventricle segmentation from expert tracings.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        command = commands.add_parser(name, help=module.HELP, description=module.__doc__)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    parsed = parser.parse_args(arguments)
    try:
        parsed.run(parsed)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what Python still holds back
        return 1
    except DataError as error:
        return _fail(str(error), 1)
    except UnicodeEncodeError as error:
        if not "\ud800" <= error.object[error.start] <= "\udfff":
            raise
        near = error.object[max(0, error.start - 40) : error.end + 10]
        return _fail(f"a name is not UTF-8, near {near!r}; rename it, or, where it is, set PYTHONUTF8=1", 1)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        return _fail(f"{name}{error.strerror or error}", 1)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        return _fail("out of memory; try a smaller --batch-size, --size or --width", 1)
    return 0


def _open_streams() -> None:
    """Make output fit to be printed to: a letter that it lacks is shown as "?", and one that is closed takes all.

    Without that, the next file to be opened would stand in a closed one's place, and get what libraries print.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115  # stays open
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _fail(message: str, code: int) -> int:
    print(f"echoseg: {printable(message)}", file=sys.stderr)
    return code
