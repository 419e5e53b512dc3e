"""Train a U-Net on tracings, measure it on the test split, and leave a run folder."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any, get_args, get_type_hints

from echoseg.training.config import Config, load_config
from echoseg.training.presets import PRESETS

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
    config = None if arguments.resume else load_config(arguments.config, **given)

    from echoseg.api import train
    from echoseg.report.tables import metrics_table

    run = train(config=config, out=arguments.out, resume=arguments.resume, strict=arguments.strict)
    if run.metrics:  # of the first process alone
        print(metrics_table(run.metrics["test"], "test"))
        print(f"run: {run.path}\nfigure: {run.path / 'figures' / 'overlay_test.png'}")


def _shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
