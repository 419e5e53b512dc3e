"""``echoseg``: one file a command; each parses, calls and prints.

Exit codes: 0 done, 1 failed (one line says what and how to mend it), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence

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
from echoseg.errors import DataError

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
    parser = argparse.ArgumentParser(prog="echoseg", description="Left-ventricle segmentation from expert tracings.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        command = commands.add_parser(name, help=module.HELP, description=module.__doc__)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal or pipe that lacks a letter shows "?" instead of failing
            stream.reconfigure(errors="replace")
    parsed = parser.parse_args(arguments)
    try:
        parsed.run(parsed)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except DataError as error:
        return _fail(str(error), 1)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        return _fail(f"{name}{error.strerror or error}", 1)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        return _fail("out of memory; try a smaller --batch-size, --size or --width", 1)
    return 0


def _fail(message: str, code: int) -> int:
    print(f"echoseg: {message}", file=sys.stderr)
    return code
