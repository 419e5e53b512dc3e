"""Measure a run on one split of a data set."""

from __future__ import annotations

import argparse
from pathlib import Path

from echoseg.cli.prepare import print_faults

HELP = "measure a run on a split"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder that 'echoseg train' wrote")
    parser.add_argument("--data", type=Path, help="folder with tracings, or a store (default: the run's own)")
    parser.add_argument("--split", choices=("train", "val", "test", "all"), default="test", help="default: %(default)s")
    parser.add_argument("--out", type=Path, help="folder to write; must not exist (default: into the run)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    from contextlib import nullcontext

    from echoseg.data.files import new_folder
    from echoseg.data.phantom.cached import cached_phantom
    from echoseg.data.store import prepare
    from echoseg.inference.evaluate import evaluate
    from echoseg.inference.predict import load
    from echoseg.report.results import write_attention, write_evaluation
    from echoseg.report.tables import metrics_table

    predictor = load(arguments.run_folder, device=arguments.device)
    config = predictor.config
    data = arguments.data or config.data or cached_phantom()
    with new_folder(arguments.out) if arguments.out else nullcontext(arguments.run_folder) as folder:
        store = prepare(data, size=config.size, ordering=config.ordering, field=config.field)
        evaluation = evaluate(predictor, store, arguments.split)
        write_evaluation(evaluation, store, arguments.split, folder)
        write_attention(predictor, evaluation, store, arguments.split, folder)
    print_faults(store.manifest["faults"])
    print(metrics_table(evaluation.summary, arguments.split))
    print(f"written to {arguments.out or arguments.run_folder}")
