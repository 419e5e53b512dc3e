"""Train a U-Net on tracings, measure it on the test split, and leave a run folder."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import get_args, get_type_hints

from echoseg.cli.prepare import print_faults
from echoseg.training.config import Config, load_config

HELP = "train on tracings"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, help="run folder; must not exist (default: the next free runs/APPROACH-N)")
    parser.add_argument("--config", type=Path, metavar="YAML", help="settings; flags override them")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--strict", action="store_true", help="refuse data with any fault instead of leaving it out")
    settings = parser.add_argument_group("settings")
    kinds = get_type_hints(Config)
    for setting in dataclasses.fields(Config):
        options = dict(setting.metadata)
        default = "" if setting.default is None else f" (default: {_shown(setting.default)})"
        types = [kind for kind in get_args(kinds[setting.name]) if kind is not type(None)] or [kinds[setting.name]]
        settings.add_argument(
            "--" + setting.name.replace("_", "-"),
            type=int if isinstance(setting.default, tuple) else types[0],
            nargs=2 if isinstance(setting.default, tuple) else None,
            choices=options.get("choices"),
            default=argparse.SUPPRESS,
            metavar=None if "choices" in options else ("H", "W") if isinstance(setting.default, tuple) else "X",
            help=options["help"] + default,
        )
    parser.set_defaults(usage_error=parser.error)


def run(arguments: argparse.Namespace) -> None:
    names = {setting.name for setting in dataclasses.fields(Config)}
    given = {name: value for name, value in vars(arguments).items() if name in names}
    if arguments.resume and arguments.out is None:
        arguments.usage_error("--resume needs --out, the run to go on with")
    if arguments.resume and (given or arguments.config):
        arguments.usage_error("--resume goes on with the run's own settings; leave the other flags out")
    config = load_config(arguments.out / "config.yaml" if arguments.resume else arguments.config, **given)

    import pandas as pd

    from echoseg.data.phantom.cached import cached_phantom
    from echoseg.data.store import prepare
    from echoseg.inference.evaluate import evaluate
    from echoseg.inference.predict import load
    from echoseg.report.figures import curves_figure
    from echoseg.report.results import write_evaluation
    from echoseg.report.tables import metrics_table
    from echoseg.training.loop import train

    if arguments.out and arguments.out.exists() and not arguments.resume:
        raise FileExistsError(f"{arguments.out}: exists already; choose another --out, or go on with it by --resume")
    store = prepare(
        config.data or cached_phantom(), size=config.size, ordering=config.ordering, strict=arguments.strict
    )
    print_faults(store.manifest["faults"])
    folder = arguments.out or _free_folder(config.approach)
    train(config, store, folder, resume=arguments.resume)

    evaluation = evaluate(load(folder, device=config.device), store, "test")
    write_evaluation(evaluation, store, "test", folder)
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
