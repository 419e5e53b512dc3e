"""The command ``echoseg``: one file for each subcommand, which parses its flags, calls the library and prints.

Exit codes: 0 done, 1 failed (one line names the cause and the cure), 2 wrong usage, 130 interrupted by Ctrl-C,
143 terminated by SIGTERM. This room imports everything below it.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from echoseg.cli import (
    check,
    compare,
    demo,
    effort,
    evaluate,
    experiments,
    export,
    figures,
    info,
    init,
    phantom,
    predict,
    prepare,
    report,
    review,
    suggest,
    train,
)
from echoseg.cli.parser import CommandParser, Parser, did_you_mean
from echoseg.errors import DataError, printable

COMMANDS = {
    "demo": demo,
    "phantom": phantom,
    "init": init,
    "check": check,
    "prepare": prepare,
    "figures": figures,
    "train": train,
    "evaluate": evaluate,
    "compare": compare,
    "predict": predict,
    "review": review,
    "suggest": suggest,
    "report": report,
    "effort": effort,
    "experiments": experiments,
    "export": export,
    "info": info,
}
_DESCRIPTION = """\
Segmentation of the heart's left ventricle, or of another structure, in
ultrasound and MRI: train a U-Net on expert tracings, measure it, and use it to
compute contours, areas, volumes and the ejection fraction (EF)."""
_EXAMPLE = """\
to try it on synthetic data:
  echoseg phantom data
  echoseg train --data data --out runs/first
  echoseg predict runs/first data/Videos --out predicted

'echoseg COMMAND --help' explains a command and its flags.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted, 143 terminated."""


def make_parser() -> Parser:
    """The parser of all commands."""
    parser = Parser(prog="echoseg", description=_DESCRIPTION, epilog=_EXAMPLE)
    parser.add_argument("--version", action=_PrintVersion, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=CommandParser)
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name, help=module.HELP, description=module.__doc__, epilog=f"for example:\n{module.EXAMPLE}"
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: As typed after ``echoseg``; None takes the process's own.

    Returns:
        The exit code.

    Raises:
        SystemExit: The arguments are wrong (code 2), or ask for help or the version (code 0).
    """
    _open_streams()
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = make_parser()
    if not arguments:
        parser.print_help(sys.stderr)
        parser.exit(2)
    first, known = arguments[0], [*COMMANDS, "-h", "--help", "--version"]
    if first not in known:
        parser.error(f"unknown {'flag' if first.startswith('-') else 'command'} {first}{did_you_mean(first, known)}")
    try:
        parsed = parser.parse_args(arguments)
        parsed.run(parsed)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:  # the reader of the output, such as head, has closed it
        _discard_output()
        return 1
    except DataError as error:
        return _fail(str(error), 1)
    except UnicodeEncodeError as error:
        if not "\ud800" <= error.object[error.start] <= "\udfff":
            raise
        near = error.object[max(0, error.start - 40) : error.end + 10]
        return _fail(f"a name is not UTF-8, near {near!r}; rename it, or, if it is UTF-8, set PYTHONUTF8=1", 1)
    except OSError as error:
        try:
            sys.stdout.flush()
        except OSError:  # it is the output that cannot be written
            _discard_output()
        name = f"{error.filename}: " if error.filename else ""
        return _fail(f"{name}{error.strerror or error}", 1)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        return _fail("out of memory; try a smaller --batch-size, --size or --width", 1)
    return 0


class _PrintVersion(argparse.Action):
    """Looks the version up only when it is asked for, which takes 30 ms."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"echoseg {version('echoseg')}", flush=True)
        parser.exit()


def _open_streams() -> None:
    """Make the standard streams safe to print to.

    A character that a stream cannot encode is printed as "?". A stream that is closed is replaced by one to nowhere:
    otherwise the next file to be opened would get its number, and what libraries print would go into that file.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115  # stays open
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _discard_output() -> None:
    """Let Python write what it has not written yet to nowhere: it would fail again at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _fail(message: str, code: int) -> int:
    print(f"echoseg: {printable(message)}", file=sys.stderr)
    return code
