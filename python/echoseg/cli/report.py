"""Write one HTML page about a trained network: results, single images, figures,
settings and model card.

The page needs no other file and no network. Videos and patients are shown as
numbers, and no folder is named, so that the page can be passed on; --names
shows the names.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from echoseg.cli.flags import add_run

HELP = "write an HTML page about a trained network"
EXAMPLE = "  echoseg report runs/landmark-1 --split test --out report.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="HTML file to write (default: RUN/report.html)")
    parser.add_argument(
        "--split",
        dest="splits",
        nargs="+",
        choices=("train", "val", "test", "all"),
        metavar="SPLIT",
        help="splits whose images are shown: train, val, test, all (default: every split that was evaluated)",
    )
    parser.add_argument("--names", action="store_true", help="show the names of videos, patients and folders")


def run(arguments: argparse.Namespace) -> None:
    from echoseg.report.page import write_report

    out = arguments.out or arguments.run_folder / "report.html"
    write_report(arguments.run_folder, out, splits=arguments.splits, names=arguments.names)
    print(f"written to {out}")
