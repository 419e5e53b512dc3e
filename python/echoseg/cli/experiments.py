"""Repeat the experiments of a paper, and print the results beside those that it
reports.

--paper rodriguez, the default, trains the networks of Rodríguez Valencia et
al. ("Left Ventricle Automatic Segmentation with Deep Learning on the EchoNet
Dynamic Dataset"), and also tests them on noisier images. --paper mendoza
compares masks with landmarks as Mendoza et al. do ("EchoNet-Dynamic: U-Net for
Cardiac Image Segmentation"), --paper craciun segments stacks as Craciun does
("Image Segmentation for Heart using Deep Learning", 2022). With --landmarks,
the settings of the landmark approach are compared instead: each training
changes one of them. --learning-curve trains on more and more images.

Writes to --out: one run folder for each training, and each table as CSV. At
full scale this takes many hours without a GPU; --scale and --width make it
smaller.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from echoseg.cli.flags import add_device, add_log, whole_number
from echoseg.evaluation.papers import PAPERS

HELP = "repeat published experiments, or compare landmark settings"
_SEED, _SEEDS = 0, 3
EXAMPLE = "  echoseg experiments --data data --scale 0.1 --width 16"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = f"{parser.prog} [--paper NAME|--landmarks|--learning-curve] [flags]"
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
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--paper", choices=PAPERS, help="the paper, by its first author (default: rodriguez)")
    kind.add_argument(
        "--landmarks",
        action="store_true",
        help="compare the settings of the landmark approach, instead of repeating a paper",
    )
    kind.add_argument(
        "--learning-curve",
        action="store_true",
        help="train on all images, a half, a quarter, an eighth and a sixteenth of them, instead of repeating a paper",
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="largest number of training images, as a share of that of the paper, above 0 and at most 1 (default: 1)",
    )
    parser.add_argument(
        "--width",
        type=whole_number(1),
        metavar="N",
        help="channels of the U-Net's first level; 16 is fast enough for a CPU (default: as in the paper; with"
        " --landmarks 16)",
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0),
        default=_SEED,
        metavar="N",
        help="random seed of a paper's trainings (default: %(default)s)",
    )
    parser.add_argument(
        "--seeds",
        type=whole_number(1),
        default=_SEEDS,
        metavar="N",
        help="with --landmarks or --learning-curve: number of trainings of each row, with the seeds 0, 1, ..."
        " (default: %(default)s)",
    )
    add_device(parser)
    add_log(parser)
    parser.set_defaults(usage_error=parser.error)


def run(arguments: argparse.Namespace) -> None:
    if not 0 < arguments.scale <= 1:
        arguments.usage_error(f"--scale is {arguments.scale:g}, expected more than 0 and at most 1")
    if arguments.learning_curve and arguments.scale != 1:
        arguments.usage_error("--learning-curve has its own numbers of images; leave out --scale")
    is_paper = not (arguments.landmarks or arguments.learning_curve)
    if not is_paper and arguments.seed != _SEED:
        arguments.usage_error("--seed is that of a paper's trainings; give --seeds, the number of seeds")
    if is_paper and arguments.seeds != _SEEDS:
        arguments.usage_error("--seeds belongs to --landmarks and --learning-curve; give --seed")

    from echoseg.training.logs import configure_logging

    configure_logging(arguments.log)
    settings = {"scale": arguments.scale, "device": arguments.device}
    if arguments.width is not None:
        settings["width"] = arguments.width
    if arguments.learning_curve:
        _learning_curve(arguments, settings)
    elif arguments.landmarks:
        _compare_landmark_settings(arguments, settings)
    else:
        _repeat_paper(arguments, settings)
    print(f"written to {arguments.out}")


def _repeat_paper(arguments: argparse.Namespace, settings: dict[str, Any]) -> None:
    from echoseg.evaluation.papers import repeat_function
    from echoseg.report.results import write_run
    from echoseg.report.tables import frame_table

    repeat = repeat_function(arguments.paper or "rodriguez")
    tables = repeat(arguments.data, arguments.out, seed=arguments.seed, write=write_run, **settings)
    if arguments.paper == "mendoza":
        from echoseg.evaluation.mendoza import IMAGES
        from echoseg.report.study_figures import dice_histograms_figure

        dice_histograms_figure(tables.pop(IMAGES), arguments.out / "dice_histograms.png")
    for title, table in tables.items():
        print(f"{title}\n{frame_table(table)}\n{table.attrs.get('note', '')}".rstrip() + "\n")


def _learning_curve(arguments: argparse.Namespace, settings: dict[str, Any]) -> None:
    from echoseg.evaluation.learning_curve import learning_curve
    from echoseg.report.study_figures import learning_curve_figure
    from echoseg.report.tables import frame_table

    del settings["scale"]
    table = learning_curve(arguments.data, arguments.out, seeds=arguments.seeds, **settings)
    learning_curve_figure(table, arguments.out / "learning_curve.png")
    print(frame_table(table))


def _compare_landmark_settings(arguments: argparse.Namespace, settings: dict[str, Any]) -> None:
    from echoseg.evaluation.ablation import compare_landmark_settings
    from echoseg.report.results import write_run
    from echoseg.report.tables import ablation_table

    trainings, decodings = compare_landmark_settings(
        arguments.data, arguments.out, seeds=arguments.seeds, write=write_run, **settings
    )
    print(ablation_table(trainings, ["change"]))
    print("\nThe heatmaps of the networks with default settings, decoded and joined in each way:")
    print(ablation_table(decodings, ["decode", "outline"]))
