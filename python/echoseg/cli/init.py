"""Make an empty folder for your own data.

The folder holds the subfolders and the empty tables that the layout needs, and
a README.md that says which file goes where.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

HELP = "make an empty folder for your own data"
EXAMPLE = "  echoseg init my-data --layout echonet"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder to make; must not exist")
    parser.add_argument(
        "--structure", metavar="NAME", help="what is traced, such as 'left atrium' (default: the left ventricle)"
    )
    parser.add_argument(
        "--layout",
        choices=("echonet", "nnunet"),
        required=True,
        help="echonet: videos, and a table of the points that were traced in them; nnunet: images or volumes, each"
        " with a mask (required)",
    )


def run(arguments: argparse.Namespace) -> None:
    from echoseg.datasets.layouts import lay_out

    lay_out(arguments.folder, arguments.layout, structure=arguments.structure)
    print(f"{arguments.folder / 'README.md'} says which file goes where")
    flag = f" --structure {shlex.quote(arguments.structure)}" if arguments.structure else ""
    print(f"when the files are there, run: echoseg check {arguments.folder}{flag}")
