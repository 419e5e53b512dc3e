"""Train a U-Net on tracings, measure it on the test split, and leave a run folder."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from echoseg.cli.prepare import print_faults
from echoseg.training.config import Config, load_config
from echoseg.training.presets import PRESETS

if TYPE_CHECKING:
    from echoseg.datasets.store import Store
    from echoseg.training.distributed import Ranks

HELP = "train on tracings"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, help="run folder; must not exist (default: the next free runs/APPROACH-N)")
    parser.add_argument("--config", type=Path, metavar="YAML", help="settings; flags override them")
    parser.add_argument("--preset", choices=PRESETS, help="a paper's settings; flags override them")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--strict", action="store_true", help="refuse data with any fault instead of leaving it out")
    settings = parser.add_argument_group("settings")
    kinds = get_type_hints(Config)
    for setting in dataclasses.fields(Config):
        options = dict(setting.metadata)
        default = "" if setting.default is None else f" (default: {_shown(setting.default)})"
        shared: dict[str, Any] = {"default": argparse.SUPPRESS, "help": options["help"] + default}
        flag = "--" + setting.name.replace("_", "-")
        kind = next(kind for kind in (*get_args(kinds[setting.name]), kinds[setting.name]) if kind is not type(None))
        if kind is bool:
            settings.add_argument(flag, action=argparse.BooleanOptionalAction, **shared)
        elif isinstance(setting.default, tuple):
            settings.add_argument(flag, type=kind, nargs=len(setting.default), metavar=options["metavar"], **shared)
        elif "choices" in options:
            settings.add_argument(flag, choices=options["choices"], **shared)
        else:
            settings.add_argument(flag, type=kind, metavar="X", **shared)
    parser.set_defaults(usage_error=parser.error)


def run(arguments: argparse.Namespace) -> None:
    names = {setting.name for setting in dataclasses.fields(Config)}
    given = {name: value for name, value in vars(arguments).items() if name in names}
    if arguments.resume and arguments.out is None:
        arguments.usage_error("--resume needs --out, the run to go on with")
    if arguments.resume and (given or arguments.config or arguments.preset):
        arguments.usage_error("--resume goes on with the run's own settings; leave the other flags out")
    if arguments.preset:
        given = {**PRESETS[arguments.preset][given.get("approach", Config.approach)], **given}
    config = load_config(arguments.out / "config.yaml" if arguments.resume else arguments.config, **given)

    from echoseg.training.distributed import ranks_of_torchrun

    if arguments.out and arguments.out.exists() and not arguments.resume:
        raise FileExistsError(f"{arguments.out}: exists already; choose another --out, or go on with it by --resume")
    with ranks_of_torchrun(config.device) as ranks:
        if ranks.count > 1 and arguments.out is None:
            arguments.usage_error("under torchrun, name the run folder by --out")
        folder = arguments.out or _free_folder(config.approach)
        store = _train(config, folder, arguments, ranks)
        if ranks.index == 0:
            _evaluate(folder, store, config)


def _train(config: Config, folder: Path, arguments: argparse.Namespace, ranks: Ranks) -> Store:
    from echoseg.datasets.store import prepare
    from echoseg.phantom.cached import cached_phantom
    from echoseg.training.loop import train

    if ranks.index > 0:  # the first prepares, the others find what it made
        ranks.wait()
    data = config.data or cached_phantom()
    store = trained = prepare(data, strict=arguments.strict, **config.store_options)
    if config.corrections:
        trained = prepare(data, strict=arguments.strict, corrections=config.corrections, **config.store_options)
    if ranks.index == 0:
        print_faults(trained.manifest["faults"])
        ranks.wait()
    train(config, trained, folder, resume=arguments.resume, ranks=ranks)
    return store


def _evaluate(folder: Path, store: Store, config: Config) -> None:
    import pandas as pd

    from echoseg.evaluation.calibrate import calibrate
    from echoseg.evaluation.evaluate import evaluate
    from echoseg.inference.predictor import load
    from echoseg.report.figures import curves_figure
    from echoseg.report.results import write_attention, write_evaluation
    from echoseg.report.tables import metrics_table

    calibrate(folder, store, device=config.device)
    predictor = load(folder, device=config.device)
    evaluation = evaluate(predictor, store, "test")
    write_evaluation(evaluation, store, "test", folder)
    write_attention(predictor, evaluation, store, "test", folder)
    curves_figure(pd.read_csv(folder / "log.csv"), folder / "figures" / "curves.png")
    print(metrics_table(evaluation.summary, "test"))
    print(f"run: {folder}\nfigure: {folder / 'figures' / 'overlay_test.png'}")


def _shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _free_folder(approach: str) -> Path:
    number = 1
    while (folder := Path("runs") / f"{approach}-{number}").exists():
        number += 1
    return folder
