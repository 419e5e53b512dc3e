"""Repeat the experiments of Rodríguez Valencia et al. ("Left Ventricle Automatic
Segmentation with Deep Learning on the EchoNet Dynamic Dataset").

Trains six networks and prints their results beside those that the paper
reports; the first network is also tested on noisier images. With --landmarks,
it compares the settings of the landmark approach instead: each training changes
one of them.

Writes to --out: one run folder for each training, experiments.csv and
robustness.csv; with --landmarks trainings.csv and decodings.csv. At full scale
this takes many hours without a GPU; --scale and --width make it smaller.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from echoseg.cli.flags import add_device, add_log, whole_number

HELP = "repeat published experiments, or compare landmark settings"
EXAMPLE = "  echoseg experiments --data data --scale 0.1 --width 16"
_NOTES = """\
"Dice" in the paper is the share of pixels that are right, ventricle and background together; an all-black mask has 0.85
to 0.88. It is to be compared with our all-pixel Dice. For landmarks, the paper divides the value of the last batch by
the number of batches, after rows and columns of the points were exchanged. It splits the data by image, so that the two
frames of a patient can be in the training and in the test set; we split by patient. "Without the layers that link the
paths" may mean without the skip connections or without the bottleneck: the table has both."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="data set, or store, to train and test on (default: synthetic data, kept in the cache folder)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/experiments"),
        metavar="FOLDER",
        help="folder to write; must not exist (default: %(default)s)",
    )
    parser.add_argument(
        "--landmarks",
        action="store_true",
        help="compare the settings of the landmark approach, instead of repeating the paper",
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="share of the paper's numbers of training images, above 0 and at most 1 (default: 1)",
    )
    parser.add_argument(
        "--width",
        type=whole_number(1),
        metavar="N",
        help="channels of the U-Net's first level; 16 is fast enough for a CPU (default: 64 as in the paper; with"
        " --landmarks 16)",
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0),
        default=0,
        metavar="N",
        help="random seed; not used with --landmarks (default: %(default)s)",
    )
    parser.add_argument(
        "--seeds",
        type=whole_number(1),
        default=3,
        metavar="N",
        help="with --landmarks: number of trainings of each row, with the seeds 0, 1, ... (default: %(default)s)",
    )
    add_device(parser)
    add_log(parser)
    parser.set_defaults(usage_error=parser.error)


def run(arguments: argparse.Namespace) -> None:
    if not 0 < arguments.scale <= 1:
        arguments.usage_error(f"--scale is {arguments.scale:g}, expected more than 0 and at most 1")

    from echoseg.training.logs import configure_logging

    configure_logging(arguments.log)
    settings = {"scale": arguments.scale, "device": arguments.device}
    if arguments.width is not None:
        settings["width"] = arguments.width
    if arguments.landmarks:
        _compare_landmark_settings(arguments, settings)
    else:
        _repeat_paper(arguments, settings)
    print(f"written to {arguments.out}")


def _repeat_paper(arguments: argparse.Namespace, settings: dict[str, Any]) -> None:
    from echoseg.evaluation.experiments import repeat_paper
    from echoseg.report.tables import experiments_table, text_table

    table, noisier = repeat_paper(arguments.data, arguments.out, seed=arguments.seed, **settings)
    print(experiments_table(table))
    print(_NOTES)
    rows = [[f"{row.speckle:g}", f"{row.dice:.4f}", f"{row.hd95_px:.2f}"] for row in noisier.itertuples()]
    print("\nExperiment 1 on noisier images of the test set (speckle: standard deviation, share of a pixel's value):")
    print(text_table(["speckle", "foreground Dice", "HD95, px"], rows))


def _compare_landmark_settings(arguments: argparse.Namespace, settings: dict[str, Any]) -> None:
    from echoseg.evaluation.ablation import compare_landmark_settings
    from echoseg.report.tables import ablation_table

    trainings, decodings = compare_landmark_settings(arguments.data, arguments.out, seeds=arguments.seeds, **settings)
    print(ablation_table(trainings, ["change"]))
    print("\nThe heatmaps of the networks with default settings, decoded and joined in each way:")
    print(ablation_table(decodings, ["decode", "outline"]))
