"""Lay out an empty folder for one's own data, with a README of what goes where."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "lay out an empty folder for data"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder to make; must not exist")
    parser.add_argument(
        "--layout",
        choices=("echonet", "nnunet"),
        required=True,
        help="echonet: videos and tables of traced points; nnunet: images or volumes and painted masks",
    )


def run(arguments: argparse.Namespace) -> None:
    from echoseg.datasets.layouts import lay_out

    lay_out(arguments.folder, arguments.layout)
    print(f"{arguments.folder / 'README.md'} says what goes where; then run: echoseg check {arguments.folder}")
