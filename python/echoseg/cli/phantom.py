"""Write a synthetic data set with known truth, in the layout of EchoNet-Dynamic."""

from __future__ import annotations

import argparse
from pathlib import Path

from echoseg.cli.numbers import whole_number

HELP = "write a synthetic data set"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write; must not exist")
    parser.add_argument("--videos", type=whole_number(1), default=60, help="one video a patient (default: %(default)s)")
    parser.add_argument("--seed", type=whole_number(0), default=0, help="same seed, same data (default: %(default)s)")
    parser.add_argument(
        "--store", action="store_true", help="write only the traced frames, straight into a store: far quicker"
    )


def run(arguments: argparse.Namespace) -> None:
    from echoseg.phantom import write_phantom, write_phantom_store

    if arguments.store:
        write_phantom_store(arguments.out, patients=arguments.videos, seed=arguments.seed)
    else:
        write_phantom(arguments.out, videos=arguments.videos, seed=arguments.seed)
    print(f"wrote {arguments.videos} patients to {arguments.out}")
