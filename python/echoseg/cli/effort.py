"""Simulate how much work it is to correct the masks that a network predicts.

A simulated user corrects each image until its foreground Dice is 0.90, and on
until it is 0.95, in two ways: by dragging the landmark with the largest error
to its true place (landmark approach only), and by strokes of a round brush.
Prints a table: the share of images that reach this Dice uncorrected, after 1, 2
or 5 steps, or at all, and the mean number of steps, and of pixels over which
the hand moves. The simulated user makes no mistakes; real users need more.

With --propagate, whole videos are corrected instead, the worst frame first,
until every traced frame has a Dice of 0.95: frame by frame, and with each
correction carried to the other frames, as on the page of 'echoseg review'.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from echoseg.cli.flags import add_data, add_device, add_run, add_split
from echoseg.utils.words import counted

HELP = "simulate how much work it is to correct the predictions"
RADII = (2.0, 4.0, 8.0)
EXAMPLE = "  echoseg effort runs/landmark-1 --radius 3 6 --out effort.csv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    add_data(parser)
    add_split(parser)
    parser.add_argument(
        "--radius",
        type=float,
        nargs="+",
        default=RADII,
        metavar="PIXELS",
        help="radius of the brush, one or several, pixels of the network's frames (default: 2 4 8; with --propagate 4)",
    )
    parser.add_argument(
        "--propagate",
        action="store_true",
        help="correct whole videos, with and without carrying corrections to the other frames; needs videos with at"
        " least 5 traced frames, such as those of 'echoseg phantom OUT --exact'",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="CSV file to write, one row for each image, tool and Dice, or two for each video; must not exist (default:"
        " only print)",
    )
    add_device(parser)
    parser.set_defaults(usage_error=parser.error)


def run(arguments: argparse.Namespace) -> None:
    for radius in arguments.radius:
        if not 0 <= radius <= 1000:
            arguments.usage_error(f"--radius is {radius:g}, expected 0 to 1000 pixels")
    if arguments.propagate and len(arguments.radius) > 1:
        if arguments.radius != RADII:
            arguments.usage_error("--propagate takes one --radius")
        arguments.radius = RADII[1:2]
    if arguments.out and arguments.out.exists():
        raise FileExistsError(f"{arguments.out}: exists already; choose another --out")

    from echoseg.evaluation.correction_effort import correction_effort
    from echoseg.evaluation.run_data import load_run_data
    from echoseg.report.tables import beat_effort_table, effort_table
    from echoseg.utils.files import replace_file

    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
    measured = load_run_data(arguments.run_folder, arguments.data, device=arguments.device)
    if arguments.propagate:
        effort = measured.beat_effort(arguments.split, arguments.radius[0])
        print(beat_effort_table(effort))
    else:
        evaluation = measured.evaluate(arguments.split)
        effort = correction_effort(measured.predictor, evaluation, measured.store, arguments.radius)
        images = counted(len(evaluation.images), "image")
        print(f"{arguments.split}: {images}, foreground Dice {evaluation.summary['dice']:.4f}")
        print(effort_table(effort))
    if arguments.out:
        replace_file(arguments.out, lambda temporary: effort.to_csv(temporary, index=False))
