"""Train a U-Net on tracings, and measure it on the test split.

The mask approach learns which pixels belong to the structure. The landmark
approach learns where a few points of the contour are, and joins them by a
curve. Without --data, the network is trained on synthetic images.

Writes to the run folder: config.yaml (all settings), model.safetensors (the
weights with the best Dice on the validation split), log.csv (one row for each
epoch), metrics.json, tables, and images in figures/. Ctrl-C saves the state of
the training; --resume continues it.

--folds K trains K networks, each of which is tested on other patients. Their
runs are in fold-1, fold-2, ...; the run folder has the pooled test, and
predicts with the ensemble of the networks.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path

from echoseg.cli.flags import add_log, add_settings
from echoseg.training.config import Config
from echoseg.training.config_file import load_config
from echoseg.training.splits import NO_TEST
from echoseg.utils.words import counted

HELP = "train a network on tracings"
EXAMPLE = """\
  echoseg train --approach landmark --data data --out runs/first --epochs 20
  echoseg train --resume --out runs/first
  echoseg train --data data --folds 5 --out runs/crossvalidated
several GPUs, or several processes of a CPU:
  torchrun --nproc-per-node 2 -m echoseg train --data data --out runs/second"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = f"{parser.prog} [--approach mask|landmark] [--data FOLDER] [flags]"
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="run folder to write; must not exist (default: the next free one of runs/APPROACH-1, -2, ...)",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="YAML file with settings, such as the config.yaml of another run; flags override it",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue the run in --out, which was interrupted, with its own settings; give no other setting",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="fail (exit code 1) if a tracing has a fault, instead of leaving that tracing out",
    )
    add_log(parser)
    settings = parser.add_argument_group("settings", "They are kept in the run's config.yaml.")
    names = (field.name for field in dataclasses.fields(Config) if not field.metadata.get("internal"))
    add_settings(settings, *names, default=argparse.SUPPRESS)
    parser.set_defaults(usage_error=parser.error)


def run(arguments: argparse.Namespace) -> None:
    from echoseg.training.logs import configure_logging

    configure_logging(arguments.log)
    names = {setting.name for setting in dataclasses.fields(Config)}
    given = {name: value for name, value in vars(arguments).items() if name in names}
    if arguments.resume and arguments.out is None:
        arguments.usage_error("--resume needs --out, the run to go on with")
    if arguments.resume and (given or arguments.config):
        arguments.usage_error("--resume goes on with the run's own settings; leave the other flags out")
    config = None if arguments.resume else load_config(arguments.config, **given)

    from echoseg.api import train
    from echoseg.report.tables import metrics_table

    run = train(config=config, out=arguments.out, resume=arguments.resume, strict=arguments.strict)
    if "test" in run.metrics:  # of the first process alone
        print(metrics_table(run.metrics["test"], "test"))
        for number, fold in enumerate(run.metrics["test"].get("folds", []), start=1):
            images = counted(fold["images"], "image")
            print(f"fold {number}: Dice {fold['dice']:.4f}, {images}, patients: {fold['patients']}")
        print(f"run: {run.path}\nfigure: {run.path / 'figures' / 'overlay_test.png'}")
    elif run.config.test_fold == NO_TEST and os.environ.get("RANK", "0") == "0":
        print("nothing was tested: the network was trained on all patients (--test-fold none)")
        print(f"run: {run.path}\nmeasure it on other data: echoseg evaluate {run.path} --data FOLDER --split all")
