"""Make the first seed paper's table again, beside what it reports; or try each choice of the landmark approach."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from echoseg.datasets.store import Store

HELP = "make the papers' table again, or try each choice of landmarks"
FOOTNOTES = """\
paper: its "Dice" is the share of right pixels of both classes, on which an all-black mask scores 0.85-0.88; compare it
with our all-pixel Dice. Its landmark figure is the last batch's divided by the number of batches, after rows and
columns of the decoded points were swapped. It split by image, so both frames of a patient may lie on both sides; we
split by patient. "Without the layers that link the paths" may mean the skip connections or the bottleneck: here are
both."""


_EPOCHS = 10  # of a training with --landmarks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--landmarks", action="store_true", help="change one choice of the landmark approach at a time, instead"
    )
    parser.add_argument("--seeds", type=int, default=3, help="with --landmarks: trainings of each row (default: 3)")
    parser.add_argument("--data", type=Path, help="folder with tracings, or a store; default: a phantom")
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of training images (default: 1)")
    parser.add_argument(
        "--width", type=int, help="of the U-Net; a CPU wants 16 (default: 64, the paper's; with --landmarks: 16)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/experiments"), help="must not exist (default: %(default)s)"
    )
    parser.set_defaults(usage_error=parser.error)


def run(arguments: argparse.Namespace) -> None:
    if not 0 < arguments.scale <= 1:
        arguments.usage_error(f"--scale is {arguments.scale}, expected more than 0 and at most 1")
    if arguments.seeds < 1:
        arguments.usage_error(f"--seeds is {arguments.seeds}, expected at least 1")
    if arguments.out.exists():
        raise FileExistsError(f"{arguments.out}: exists already; choose another --out")

    from echoseg.datasets.store import prepare
    from echoseg.evaluation.experiments import TRAINING_IMAGES
    from echoseg.phantom.cached import PATIENTS, cached_phantom

    # a phantom patient has two images, and three in four train
    patients = max(PATIENTS, math.ceil(TRAINING_IMAGES * arguments.scale / 1.5))
    store = prepare(arguments.data or cached_phantom(patients), size=(112, 112))
    if arguments.landmarks:
        _try_landmarks(store, math.ceil(TRAINING_IMAGES * arguments.scale), arguments)
    else:
        _make_the_papers_table(store, arguments)
    print(arguments.out)


def _make_the_papers_table(store: Store, arguments: argparse.Namespace) -> None:
    from echoseg.evaluation.experiments import robustness, run_experiments
    from echoseg.report.tables import experiments_table, text_table

    settings = {"width": arguments.width or 64, "device": arguments.device, "seed": arguments.seed}
    table = run_experiments(store, arguments.out, scale=arguments.scale, **settings)
    print(experiments_table(table))
    print(FOOTNOTES)
    noisier = robustness(arguments.out / "1-mask", store, device=arguments.device)
    noisier.to_csv(arguments.out / "robustness.csv", index=False)
    rows = [[f"{row.speckle:g}", f"{row.dice:.4f}", f"{row.hd95_px:.2f}"] for row in noisier.itertuples()]
    print("\nexperiment 1 on noisier copies of the test set")
    print(text_table(["speckle", "foreground Dice", "HD95, px"], rows))


def _try_landmarks(store: Store, images: int, arguments: argparse.Namespace) -> None:
    from echoseg.evaluation.ablation import run_ablation
    from echoseg.report.tables import ablation_table

    settings = {"width": arguments.width or 16, "device": arguments.device, "epochs": _EPOCHS}
    trainings, decodings = run_ablation(store, arguments.out, images=images, seeds=arguments.seeds, **settings)
    print(ablation_table(trainings, ["change"]))
    print("\nthe default networks' heatmaps, read and joined otherwise")
    print(ablation_table(decodings, ["decode", "outline"]))
