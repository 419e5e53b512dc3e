"""Segment every frame of videos, DICOM cines, volumes and pictures: EDV, ESV and EF of each, masks, areas, an overlay.

OUT holds results.csv, a row a file, and a folder a file. A file that cannot be read has a row that says why and stops
no other; the exit code is 1 only if none could be segmented. After a break, the same command with --resume goes on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HELP = "segment videos, DICOM cines, volumes, pictures, and folders of them"
_KEEP = ("masks", "overlay", "gif", "frames")
_SHOWN = 5  # failures


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder that 'echoseg train' wrote")
    parser.add_argument("inputs", type=Path, nargs="+", metavar="INPUT", help="file, or folder to search")
    parser.add_argument("--out", type=Path, required=True, help="folder to write; must not exist, but for --resume")
    parser.add_argument("--resume", action="store_true", help="skip the files that OUT has results of")
    parser.add_argument(
        "--keep",
        nargs="*",
        choices=_KEEP,
        default=["masks", "overlay", "frames"],
        help="what to write of each file beside its row (default: masks overlay frames; none: --keep alone)",
    )
    parser.add_argument(
        "--format", choices=["csv", "parquet"], default="csv", help="of the rows (default: %(default)s)"
    )
    parser.add_argument(
        "--postprocess", nargs="+", default=[], metavar="NAME", help="steps as of 'echoseg evaluate', in this order"
    )
    parser.add_argument(
        "--regularize",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="bring outlines unlike any that was trained on back to possible ones (default: yes)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    from echoseg.api import predict_files
    from echoseg.errors import DataError

    out = arguments.out
    table = predict_files(
        arguments.run_folder,
        arguments.inputs,
        out,
        keep=arguments.keep,
        postprocess=arguments.postprocess,
        regularize=arguments.regularize,
        format=arguments.format,
        resume=arguments.resume,
        device=arguments.device,
    )
    failed = table[table["error"] != ""]
    lines = [f"{path}: {error}" for path, error in zip(failed["path"], failed["error"], strict=True)]
    if len(failed) and len(failed) == len(table):
        more = f" (and {len(lines) - 1} more; see {out})" if len(lines) > 1 else ""
        raise DataError(lines[0] + more)
    for line in lines[:_SHOWN]:
        print(f"left out: {line}", file=sys.stderr)
    for row in table[table["note"] != ""].head(_SHOWN).itertuples():
        print(f"look at it: {row.path}: {row.frames} frames, {row.note}", file=sys.stderr)
    if len(table):  # of the first process alone
        print(f"{len(table) - len(failed)} of {len(table)} files segmented: {out}/results.{arguments.format}")
