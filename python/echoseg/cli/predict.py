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
    import importlib.util
    from datetime import timedelta
    from functools import partial

    import numpy as np
    from tqdm import tqdm

    from echoseg.errors import DataError
    from echoseg.inference.archive import find_input_files, segment_files, sweep, unfinished, write_results
    from echoseg.inference.postprocess import postprocess
    from echoseg.inference.predictor import load
    from echoseg.report.results import write_prediction
    from echoseg.training.distributed import ranks_of_torchrun

    if arguments.format == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise DataError("--format parquet: needs another package; pip install 'echoseg[parquet]'")
    out, keep, steps = arguments.out, sorted(set(arguments.keep)), arguments.postprocess
    with ranks_of_torchrun(arguments.device, patience=timedelta(days=7)) as ranks:
        device = ranks.device or arguments.device
        predictor = load(arguments.run_folder, device=device, regularize=arguments.regularize)
        postprocess(predictor(np.empty((0, 1, 1), dtype=np.uint8)), steps, predictor.codec)  # a wrong step fails here
        settings = (keep, steps, arguments.regularize)
        sources = find_input_files(arguments.inputs, arguments.run_folder, settings, out=out)
        if out.exists() and not arguments.resume:
            raise FileExistsError(f"{out}: exists already; choose another name, or add --resume to go on")
        ranks.wait()
        out.mkdir(parents=True, exist_ok=True)
        if ranks.index == 0:
            sweep(out)
        left = unfinished(sources, out)
        ranks.wait()
        share = left[ranks.part(len(left))]
        write = partial(write_prediction, keep=keep) if keep else None
        rows = segment_files(share, predictor, out, write, rank=ranks.index, steps=steps)
        for _ in tqdm(rows, total=len(share), unit="file", disable=True if ranks.index else None):
            pass
        ranks.wait()
        if ranks.index:
            return
        table = write_results(sources, out, kind=arguments.format)
    failed = table[table["error"] != ""]
    paths = {source.name: source.path for source in sources}
    lines = [f"{paths[file]}: {error}" for file, error in zip(failed["file"], failed["error"], strict=True)]
    if len(failed) == len(table):
        more = f" (and {len(lines) - 1} more; see {out})" if len(lines) > 1 else ""
        raise DataError(lines[0] + more)
    for line in lines[:_SHOWN]:
        print(f"left out: {line}", file=sys.stderr)
    for row in table[table["note"] != ""].head(_SHOWN).itertuples():
        print(f"look at it: {paths[row.file]}: {row.frames} frames, {row.note}", file=sys.stderr)
    print(f"{len(table) - len(failed)} of {len(table)} files segmented: {out}/results.{arguments.format}")
