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
    parser.add_argument(
        "--postprocess",
        nargs="+",
        default=[],
        metavar="NAME[=NUMBER]",
        help="steps after the network, in this order: threshold, reject_blank, closing, largest_component, fill_holes,"
        " smooth",
    )
    parser.add_argument(
        "--compare-postprocess",
        action="store_true",
        help="show what each of these steps alone is worth, with a paired interval over patients, and stop",
    )
    parser.add_argument(
        "--videos", action="store_true", help="also EF of the split's whole videos, by beats; needs a folder of videos"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    from contextlib import nullcontext
    from functools import partial

    from echoseg.datasets.formats import read_dataset
    from echoseg.datasets.store import prepare
    from echoseg.evaluation.evaluate import evaluate
    from echoseg.evaluation.postprocess_ablation import postprocess_ablation
    from echoseg.evaluation.temporal_context import temporal_radius
    from echoseg.inference.postprocess import parse_step
    from echoseg.inference.predictor import load
    from echoseg.phantom.cached import cached_phantom
    from echoseg.report.results import write_attention, write_evaluation
    from echoseg.report.tables import metrics_table, postprocess_table
    from echoseg.utils.files import new_folder, replace_file

    steps, split = arguments.postprocess, arguments.split
    for step in steps:
        parse_step(step)  # a wrong name fails at once
    predictor = load(arguments.run_folder, device=arguments.device)
    config = predictor.config
    data = Path(arguments.data or config.data or cached_phantom())
    recordings = None
    if (arguments.videos or arguments.compare_postprocess or temporal_radius(steps)) and not (
        data / "manifest.json"
    ).is_file():
        recordings = {recording.name: recording for recording in read_dataset(data).recordings}
    with new_folder(arguments.out) if arguments.out else nullcontext(arguments.run_folder) as folder:
        store = prepare(data, **config.store_options)
        print_faults(store.manifest["faults"])
        if arguments.compare_postprocess:
            gains = postprocess_ablation(predictor, store, split, recordings)
            write = partial(gains.to_csv, index=False, float_format="%.5f")
            replace_file(folder / f"postprocess_{split}.csv", write)
            print(postprocess_table(gains, split))
            if recordings is None:
                print("smooth needs neighbours of the traced frames: give --data the folder of videos, not a store")
        else:
            evaluation = evaluate(
                predictor, store, split, steps=steps, recordings=recordings, whole_videos=arguments.videos
            )
            write_evaluation(evaluation, store, split, folder)
            write_attention(predictor, evaluation, store, split, folder)
            print(metrics_table(evaluation.summary, split))
    print(f"written to {arguments.out or arguments.run_folder}")
