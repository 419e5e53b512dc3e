"""Write one HTML page about a trained network: results, single images, figures,
settings and model card. With --paper, write the parts of a paper instead.

The page needs no other file and no network, and opens each case with its
traced and predicted outline. Videos and patients are shown as numbers, and no
folder is named, so that the page can be passed on; --names shows the names.

The parts of a paper are tables (LaTeX, CSV, Markdown), figures (PDF), the
methods with the settings and counts of the run, the CLAIM 2024 checklist, the
model card, hashes and versions, and main.tex, which includes them. What only
the author knows is marked by "[AUTHOR: ...]".
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from echoseg.cli.flags import add_run

HELP = "write an HTML page about a trained network"
EXAMPLE = """  echoseg report runs/landmark-1 --split test --out report.html
  echoseg report runs/landmark-1 --paper paper"""


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
    parser.add_argument(
        "--paper", type=Path, metavar="FOLDER", help="folder to write with the parts of a paper; must not exist"
    )
    parser.add_argument("--names", action="store_true", help="show the names of videos, patients and folders")
    parser.set_defaults(usage_error=parser.error)


def run(arguments: argparse.Namespace) -> None:
    from echoseg.manuscript.write import write_paper
    from echoseg.report.page import write_report

    if arguments.paper:
        if arguments.out:
            arguments.usage_error("--out is for the page, which --paper replaces; leave one of them out")
        for problem in write_paper(
            arguments.run_folder, arguments.paper, splits=arguments.splits, names=arguments.names
        ):
            print(f"warning: {problem}", file=sys.stderr)
        print(f"written to {arguments.paper}; compile it by 'pdflatex main.tex' in that folder")
        return
    out = arguments.out or arguments.run_folder / "report.html"
    write_report(arguments.run_folder, out, splits=arguments.splits, names=arguments.names)
    print(f"written to {out}")
