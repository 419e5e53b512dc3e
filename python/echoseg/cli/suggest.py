"""Suggest which frames of which files to label next, so that a training learns
most from them.

The files are divided into groups of similar images, as many as frames are
wanted. Each group gives the frame of which the network is least certain, among
its typical images. No file is suggested twice before every file has been.
Prints the frames, and writes them to --out as a table, which 'echoseg review'
takes in place of files.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from echoseg.cli.flags import add_device, add_run_and_inputs, split_run, whole_number

HELP = "suggest which frames to label next"
EXAMPLE = "  echoseg suggest runs/landmark-1 Videos --n 20 --out next.csv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run_and_inputs(parser, "files with frames, or folders, which are searched with their subfolders")
    parser.add_argument(
        "--n", type=whole_number(1), default=20, metavar="N", help="number of frames (default: %(default)s)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="CSV file to write, with the columns file, frame, uncertainty, unlike and name; must not exist (default:"
        " only print)",
    )
    add_device(parser)


def run(arguments: argparse.Namespace) -> None:
    from echoseg.inference.suggest import suggest
    from echoseg.report.tables import suggestion_table

    run_folder, inputs = split_run(arguments)
    frames = suggest(
        run_folder,
        inputs,
        arguments.n,
        out=arguments.out,
        approach=arguments.approach or "landmark",
        device=arguments.device,
    )
    for line in frames.attrs["errors"]:
        print(f"left out: {line}", file=sys.stderr)
    print(suggestion_table(frames))
    if arguments.out:
        print(f"written to {arguments.out}")
