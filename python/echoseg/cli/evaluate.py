"""Measure a trained network on one split of a data set.

Prints Dice, distances between the contours and landmark errors with 95 %
intervals over patients, the same by subgroup, and how well the volumes and the
ejection fraction (EF) agree with those of the data set.

Writes to the run folder, or to --out: metrics.json (one entry for each split),
images_SPLIT.csv (one row for each image), subgroups_SPLIT.csv (one row for
each phase, view and so on), volumes_SPLIT.csv (one row for each video), and
images in figures/.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from echoseg.cli.flags import add_data, add_device, add_postprocess, add_run, add_split

HELP = "measure a trained network against tracings"
EXAMPLE = "  echoseg evaluate runs/landmark-1 --split val"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    add_data(parser)
    add_split(parser)
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="folder to write; must not exist (default: the run folder)"
    )
    parser.add_argument(
        "--videos",
        action="store_true",
        help="also predict every frame of the split's videos, and measure the EF as the mean over all heartbeats;"
        " the data set must be a folder with videos, not a store",
    )
    parser.add_argument(
        "--blanks",
        action="store_true",
        help="average over blank slices too, those of a stack that show nothing to trace: a Dice of 1 if the prediction"
        " is empty, else of 0; volumes of stacks contain them in any case",
    )
    add_postprocess(parser)
    parser.add_argument(
        "--compare-postprocess",
        action="store_true",
        help="instead, measure each post-processing step alone, print how much Dice it gains with a 95%% interval over"
        " patients, and write postprocess_SPLIT.csv; use --split val, since a step that is chosen on the test split"
        " makes the test result look better than it is",
    )
    parser.add_argument(
        "--ladder",
        action="store_true",
        help="with --compare-postprocess: add the steps of --postprocess one after the other, instead of each alone"
        " (default: those of Craciun); writes ladder_SPLIT.csv",
    )
    parser.add_argument(
        "--protocol",
        choices=("echonet", "camus", "sunnybrook"),
        help="also measure as the papers about this benchmark do, print published results beside it with their sources"
        " and what still differs, and write protocol_NAME_SPLIT.md",
    )
    add_device(parser)
    parser.set_defaults(usage_error=parser.error)


def run(arguments: argparse.Namespace) -> None:
    from echoseg.api import evaluate
    from echoseg.report.protocol_table import protocol_text
    from echoseg.report.tables import metrics_table

    if arguments.ladder and not arguments.compare_postprocess:
        arguments.usage_error("--ladder belongs to --compare-postprocess; give both")
    if arguments.compare_postprocess:
        for flag, is_used in (("videos", True), ("blanks", True), ("postprocess", not arguments.ladder)):
            if is_used and getattr(arguments, flag):
                arguments.usage_error(f"--compare-postprocess has steps and measures of its own; leave out --{flag}")
    if arguments.protocol and (arguments.compare_postprocess or arguments.blanks):
        other = "--compare-postprocess" if arguments.compare_postprocess else "--blanks"
        arguments.usage_error(f"--protocol says how to measure, and {other} changes that; leave one of them out")
    if arguments.compare_postprocess:
        _compare_postprocess(arguments)
    else:
        metrics = evaluate(
            arguments.run_folder,
            arguments.data,
            arguments.split,
            out=arguments.out,
            postprocess=arguments.postprocess,
            whole_videos=arguments.videos,
            blanks=arguments.blanks,
            protocol=arguments.protocol,
            device=arguments.device,
        )
        print(metrics_table(metrics, arguments.split))
        if "protocol" in metrics:
            print(f"\n{protocol_text(metrics['protocol'])}")
    print(f"written to {arguments.out or arguments.run_folder}")


def _compare_postprocess(arguments: argparse.Namespace) -> None:
    from contextlib import nullcontext
    from functools import partial

    from echoseg.api import log_faults
    from echoseg.evaluation.run_data import load_run_data
    from echoseg.report.tables import postprocess_table
    from echoseg.utils.files import new_folder, replace_file

    measured = load_run_data(arguments.run_folder, arguments.data, device=arguments.device)
    log_faults(measured.store)
    with new_folder(arguments.out) if arguments.out else nullcontext(arguments.run_folder) as folder:
        if arguments.ladder:
            name, table = "ladder", measured.postprocess_ladder(arguments.split, arguments.postprocess)
        else:
            name, table = "postprocess", measured.postprocess_ablation(arguments.split)
        write = partial(table.to_csv, index=False, float_format="%.5f")
        replace_file(folder / f"{name}_{arguments.split}.csv", write)
    print(postprocess_table(table, arguments.split, ladder=arguments.ladder))
