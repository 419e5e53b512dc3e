"""Write one self-contained HTML page on a run: measures, cases, figures, settings and model card.

Videos and patients go by number, and folders are not named, so that the page can be passed on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "write a page on a run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder that 'echoseg train' wrote")
    parser.add_argument("--out", type=Path, help="HTML file to write (default: report.html in the run)")
    parser.add_argument(
        "--split",
        dest="splits",
        nargs="+",
        choices=("test", "val", "train", "all"),
        help="whose cases to show (default: every split that was evaluated)",
    )
    parser.add_argument("--names", action="store_true", help="show the names of videos, patients and folders")


def run(arguments: argparse.Namespace) -> None:
    from echoseg.report.page import write_report

    out = arguments.out or arguments.run_folder / "report.html"
    write_report(arguments.run_folder, out, splits=arguments.splits, names=arguments.names)
    print(out)
