"""Simulate how much work it is to correct the masks that a network predicts.

A simulated user corrects each image until its foreground Dice is 0.90, and on
until it is 0.95, in two ways: by dragging the landmark with the largest error
to its true place (landmark approach only), and by strokes of a round brush.
Prints a table: the share of images that reach this Dice uncorrected, after 1, 2
or 5 steps, or at all, and the mean number of steps, and of pixels over which
the hand moves. The simulated user makes no mistakes; real users need more.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from echoseg.cli.flags import add_data, add_device, add_run, add_split

HELP = "simulate how much work it is to correct the predictions"
EXAMPLE = "  echoseg effort runs/landmark-1 --radius 3 6 --out effort.csv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    add_data(parser)
    add_split(parser)
    parser.add_argument(
        "--radius",
        type=float,
        nargs="+",
        default=(2.0, 4.0, 8.0),
        metavar="PIXELS",
        help="radius of the brush, one or several, pixels of the network's frames (default: 2 4 8)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="CSV file to write, one row for each image, tool and Dice; must not exist (default: only print)",
    )
    add_device(parser)
    parser.set_defaults(usage_error=parser.error)


def run(arguments: argparse.Namespace) -> None:
    for radius in arguments.radius:
        if not 0 <= radius <= 1000:
            arguments.usage_error(f"--radius is {radius:g}, expected 0 to 1000 pixels")
    if arguments.out and arguments.out.exists():
        raise FileExistsError(f"{arguments.out}: exists already; choose another --out")

    from echoseg.evaluation.correction_effort import correction_effort
    from echoseg.evaluation.run_data import load_run_data
    from echoseg.report.tables import effort_table
    from echoseg.utils.files import replace_file

    measured = load_run_data(arguments.run_folder, arguments.data, device=arguments.device)
    evaluation = measured.evaluate(arguments.split)
    effort = correction_effort(measured.predictor, evaluation, measured.store, arguments.radius)
    print(f"{arguments.split}: {len(evaluation.images)} images, foreground Dice {evaluation.summary['dice']:.4f}")
    print(effort_table(effort))
    if arguments.out:
        replace_file(arguments.out, lambda temporary: effort.to_csv(temporary, index=False))
