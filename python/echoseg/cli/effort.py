"""Simulate a person who mends what a run predicts: how many drags of landmarks, or strokes of a brush, it takes."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "count the corrections that a run's masks need"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder that 'echoseg train' wrote")
    parser.add_argument("--data", type=Path, help="folder with tracings, or a store (default: the run's own)")
    parser.add_argument("--split", choices=("train", "val", "test", "all"), default="test", help="default: %(default)s")
    parser.add_argument(
        "--radius", type=float, nargs="+", default=(2.0, 4.0, 8.0), help="of the brush, pixels (default: 2 4 8)"
    )
    parser.add_argument("--out", type=Path, metavar="CSV", help="a row an image, tool and target; must not exist")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")
    parser.set_defaults(usage_error=parser.error)


def run(arguments: argparse.Namespace) -> None:
    if not all(0 <= radius <= 1000 for radius in arguments.radius):
        arguments.usage_error(f"--radius is {min(arguments.radius):g}, expected 0 to 1000 pixels")
    if arguments.out and arguments.out.exists():
        raise FileExistsError(f"{arguments.out}: exists already; choose another --out")

    from echoseg.datasets.store import prepare
    from echoseg.evaluation.correction_effort import correction_effort
    from echoseg.evaluation.evaluate import evaluate
    from echoseg.inference.predictor import load
    from echoseg.phantom.cached import cached_phantom
    from echoseg.report.tables import effort_table
    from echoseg.utils.files import replace_file

    predictor = load(arguments.run_folder, device=arguments.device)
    config = predictor.config
    data = arguments.data or config.data or cached_phantom()
    store = prepare(data, **config.store_options)
    evaluation = evaluate(predictor, store, arguments.split)
    effort = correction_effort(predictor, evaluation, store, arguments.radius)
    print(f"{arguments.split}: {len(evaluation.images)} images, foreground Dice {evaluation.summary['dice']:.4f}")
    print(effort_table(effort))
    if arguments.out:
        replace_file(arguments.out, lambda temporary: effort.to_csv(temporary, index=False))
