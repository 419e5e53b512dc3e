"""Compare trained networks, and masks of other tools, on the same images.

Prints the measures of each method, the paired differences to the first run with
their intervals, and a signed-rank test. Images of patients that a run was
trained on are left out.

Writes to --out: comparison.md and comparison.csv, groups.csv (by phase, view,
EF, area), cases.csv (one row for each image and method), volumes.csv (one row
for each video and method), and images in figures/.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from echoseg.cli.flags import add_data, add_device, add_split, whole_number

HELP = "compare trained networks, and masks of other tools, on the same images"
EXAMPLE = "  echoseg compare runs/landmark-1 runs/mask-1 --out compared"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="run folders that 'echoseg train' wrote; the others are compared with the first one",
    )
    add_data(parser)
    add_split(parser)
    parser.add_argument(
        "--masks",
        type=_named_folder,
        nargs="+",
        default=[],
        metavar="NAME=FOLDER",
        help="folders of masks that other tools predicted, with a name for each tool. The mask of frame 12 of VIDEO is"
        " VIDEO_frame0012.png, or page 12 of VIDEO.nii.gz, VIDEO.tif or VIDEO/masks.tif",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder to write; must not exist")
    parser.add_argument(
        "--films",
        type=whole_number(0),
        default=0,
        metavar="N",
        help="also write films of the N videos in which the runs differ most, side by side; the data set must be a"
        " folder with videos, not a store (default: %(default)s)",
    )
    add_device(parser)
    parser.set_defaults(usage_error=parser.error)


def run(arguments: argparse.Namespace) -> None:
    from echoseg.api import compare
    from echoseg.report.comparison import comparison_table

    if len(arguments.runs) + len(arguments.masks) < 2:
        arguments.usage_error("a comparison needs two methods; give another run, or --masks NAME=FOLDER")
    if len(masks := dict(arguments.masks)) < len(arguments.masks):
        arguments.usage_error("--masks: a name is given twice; give each tool a name of its own")
    table = compare(
        arguments.runs,
        arguments.data,
        arguments.split,
        masks=masks,
        out=arguments.out,
        films=arguments.films,
        device=arguments.device,
    )
    print(comparison_table(table, arguments.split))
    print(f"written to {arguments.out}")


def _named_folder(text: str) -> tuple[str, Path]:
    name, separator, folder = text.partition("=")
    if not (name and separator and folder):
        raise argparse.ArgumentTypeError(f"expected NAME=FOLDER, got {text!r}")
    return name, Path(folder)
