"""Make the first seed paper's table again, beside what it reports."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

HELP = "make the papers' table again"
FOOTNOTES = """\
paper: its "Dice" is the share of right pixels of both classes, on which an all-black mask scores 0.85-0.88; compare it
with our all-pixel Dice. Its landmark figure is the last batch's divided by the number of batches, after rows and
columns of the decoded points were swapped. It split by image, so both frames of a patient may lie on both sides; we
split by patient. "Without the layers that link the paths" may mean the skip connections or the bottleneck: here are
both."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, help="folder with tracings, or a store; default: a phantom")
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of training images (default: 1)")
    parser.add_argument("--width", type=int, default=64, help="of the U-Net; a CPU wants 16 (default: 64, the paper's)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/experiments"), help="must not exist (default: %(default)s)"
    )
    parser.set_defaults(usage_error=parser.error)


def run(arguments: argparse.Namespace) -> None:
    if not 0 < arguments.scale <= 1:
        arguments.usage_error(f"--scale is {arguments.scale}, expected more than 0 and at most 1")
    if arguments.out.exists():
        raise FileExistsError(f"{arguments.out}: exists already; choose another --out")

    from echoseg.data.phantom.cached import PATIENTS, cached_phantom
    from echoseg.data.store import prepare
    from echoseg.inference.experiments import TRAINING_IMAGES, robustness, run_experiments
    from echoseg.report.tables import experiments_table, text_table

    # a phantom patient has two images, and three in four train
    patients = max(PATIENTS, math.ceil(TRAINING_IMAGES * arguments.scale / 1.5))
    store = prepare(arguments.data or cached_phantom(patients), size=(112, 112))
    settings = {"width": arguments.width, "device": arguments.device, "seed": arguments.seed}
    table = run_experiments(store, arguments.out, scale=arguments.scale, **settings)
    print(experiments_table(table))
    print(FOOTNOTES)
    noisier = robustness(arguments.out / "1-mask", store, device=arguments.device)
    noisier.to_csv(arguments.out / "robustness.csv", index=False)
    rows = [[f"{row.speckle:g}", f"{row.dice:.4f}", f"{row.hd95_px:.2f}"] for row in noisier.itertuples()]
    print("\nexperiment 1 on noisier copies of the test set")
    print(text_table(["speckle", "foreground Dice", "HD95, px"], rows))
    print(arguments.out)
