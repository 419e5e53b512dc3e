"""Report what is missing, damaged or suspicious in a data set, before it is used.

Prints two lists, each with file, row and reason: the tracings that cannot be
used and are left out, and those that are used although they look wrong, for
example a contour far larger than the others, or the same image in two splits.
For tracings made of chords, as in EchoNet-Dynamic, a table compares the orders
in which the traced points can be joined to a contour.

Writes to --out: check.csv (one row for each problem) and check.html (a page
with images of the suspicious tracings); for chords also orderings.csv and
orderings.png; with --landmarks also landmarks.csv and landmarks.png.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from echoseg.cli.flags import DATA_SET, add_settings
from echoseg.cli.prepare import describe_store, print_blanks
from echoseg.training.logs import configure_logging
from echoseg.utils.words import counted

HELP = "report missing, damaged and suspicious tracings"
EXAMPLE = "  echoseg check data --out data-check"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "data", type=Path, metavar="DATA", help=f"{DATA_SET}, or a store, which does not show whether videos end early"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="folder to write; must not exist (default: only print)"
    )
    add_settings(parser, "structure", "axis3", "patients")
    parser.add_argument("--strict", action="store_true", help="fail (exit code 1) if any tracing would be left out")
    parser.add_argument(
        "--landmarks",
        action="store_true",
        help="also report the Dice that perfect landmarks would reach, for each way of choosing and joining them and"
        " for 3 to 20 landmarks",
    )
    parser.add_argument(
        "--store",
        type=Path,
        metavar="STORE",
        help="instead, compare the files of DATA with those that STORE was made from by 'echoseg prepare', print each"
        " that changed, and fail (exit code 1) if one did",
    )
    parser.set_defaults(usage_error=parser.error)


def run(arguments: argparse.Namespace) -> None:
    configure_logging("text")
    from echoseg.quality.dataset_check import check_dataset
    from echoseg.report.quality_page import CEILING, ORDERINGS, check_text, write_check
    from echoseg.report.tables import ceiling_rows, ordering_rows, text_table
    from echoseg.utils.files import new_folder

    if arguments.store:
        for flag in ("out", "landmarks", "strict", "structure", "axis3", "patients"):
            if getattr(arguments, flag):
                arguments.usage_error(f"--store compares files only; leave out --{flag}")
        print_changes(arguments.data, arguments.store)
        return
    if arguments.out and arguments.out.exists():
        raise FileExistsError(f"{arguments.out}: exists already; choose another --out")
    check = check_dataset(
        arguments.data,
        structure=arguments.structure,
        axis3=arguments.axis3,
        patients=arguments.patients,
        strict=arguments.strict,
        landmarks=arguments.landmarks,
    )
    print(f"{arguments.data}: {describe_store(check.store)}")
    print_blanks(check.store)
    print(check_text(check.findings))
    if check.orderings is not None:
        print(f"\n{ORDERINGS}:")
        print(text_table(*ordering_rows(check.orderings)))
    if check.ceiling is not None:
        print(f"\n{CEILING}:")
        print(text_table(*ceiling_rows(check.ceiling)))
    if arguments.out:
        with new_folder(arguments.out) as folder:
            write_check(check, folder)


def print_changes(data: Path, store: Path) -> None:
    """Print which files of a data set are not those that a store was made from.

    Raises:
        DataError: At least one is not.
    """
    from echoseg.errors import DataError
    from echoseg.quality.dataset_check import compare_files

    states = compare_files(data, store)
    changed = {name: state for name, state in states.items() if state != "unchanged"}
    for name, state in changed.items():
        print(f"{data / name}: {state}")
    if changed:
        raise DataError(
            f"{data}: {counted(len(changed), 'file')} changed since {store} was made; run 'echoseg prepare' again"
        )
    print(f"{data}: {counted(len(states), 'file')}, all as when {store} was made")
