"""Draw what a network is trained on, for one traced image of a data set.

Writes to --out: bands.png (the mask and its border bands), landmarks.png (the
landmarks of each scheme), heatmaps.png (Gaussian and Euclidean heatmaps,
without and with band), landmark_heatmaps.png (the heatmap of each landmark
over the frame), augmentation.png (fixed copies and random augmentation), and,
for tracings made of chords, orderings.png (the masks by the order in which the
points are joined).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from echoseg.cli.flags import DATA_SET, whole_number
from echoseg.training.presets import PRESETS

HELP = "draw masks, bands, landmarks, heatmaps and augmentation"
EXAMPLE = "  echoseg figures data --out figures --preset mendoza"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, metavar="DATA", help=DATA_SET)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="folder to write; must not exist (required)"
    )
    parser.add_argument(
        "--preset",
        choices=[name for name in PRESETS if "landmark" in PRESETS[name]],
        help="settings of a paper's landmarks (default: our own)",
    )
    parser.add_argument(
        "--image",
        type=whole_number(0),
        default=0,
        metavar="N",
        help="number of the traced image, from 0 (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> None:
    import numpy as np
    import torch

    from echoseg.datasets.formats import read_dataset
    from echoseg.datasets.store import is_store, open_store, prepare
    from echoseg.errors import DataError
    from echoseg.report.target_figures import write_orderings_of, write_target_figures
    from echoseg.training.config_file import load_config
    from echoseg.training.plan import make_plan
    from echoseg.utils.files import new_folder

    if arguments.out.exists():
        raise FileExistsError(f"{arguments.out}: exists already; choose another --out")
    unused = {"epochs": 1, "batch_size": 1}
    config = load_config(None, approach="landmark", preset=arguments.preset, **unused)
    data = arguments.data
    size = open_store(data).size if is_store(data) else config.size
    store = prepare(data, **{**config.store_options, "size": size})
    traced = np.flatnonzero(~store.blank)
    if arguments.image >= len(traced):
        raise DataError(f"{data}: has {len(traced)} traced images, so there is no image {arguments.image}")
    image = int(traced[arguments.image])
    config = make_plan(config, store, torch.device("cpu")).config
    with new_folder(arguments.out) as folder:
        write_target_figures(store.frames[image], store.contour(image), config, folder)
        if not is_store(data):
            write_orderings_of(read_dataset(data), store, image, folder)
    print(f"written to {arguments.out}")
